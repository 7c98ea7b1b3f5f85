# The local stack (docker-compose.yml), the images and the template. Included by the Makefile.
COMPOSE ?= docker compose
CFN_LINT := 1.58.0
UV := 0.13.9

# Compose prefers a variable of the shell to the one in .env: none of those that the stack has may
# come from there.
STACK_NAMES := $(shell sed -nE 's/^\#?([A-Z_]+)=.*/\1/p' .env.example)
STACK := env $(STACK_NAMES:%=-u %) $(COMPOSE)

.PHONY: up down demo-stack test-stack lock check-deploy

up:  ## start the local stack: store, queue, workers, Lambda, RunPod, dashboard
	$(STACK) up --detach --build --wait
	@printf 'the dashboard is at http://'
	@$(STACK) port dashboard 8765
	@printf 'and asks for the token '
	@$(STACK) exec --no-TTY dashboard cat /var/lib/outlast/dashboard-token

down:  ## stop the local stack; its jobs stay in a volume
	$(STACK) --profile demo down

demo-stack: up  ## run one job on all workers of the stack at once
	@$(STACK) run --rm demo

test-stack:  ## start a new stack, test it, remove it; needs Docker
	bash tests/stack/run.sh

lock: $(VENV)/uv/.installed  ## renew the pinned packages of the images
	bash deploy/lock.sh $(VENV)/uv/bin/uv

check: check-deploy

check-deploy: $(BIN)/.installed-lint $(VENV)/cfn-lint/.installed
	$(VENV)/cfn-lint/bin/cfn-lint deploy/template.yaml
	$(BIN)/mypy --config-file pyproject.toml deploy/local

$(VENV)/uv/.installed: deploy/stack.mk | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/uv
	$(VENV)/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV)
	@touch $@

# In an environment of its own: with what it needs it is as large as all else together, and it wants
# an older pydantic.
$(VENV)/cfn-lint/.installed: deploy/stack.mk | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/cfn-lint
	$(VENV)/cfn-lint/bin/pip install --quiet --disable-pip-version-check cfn-lint==$(CFN_LINT)
	@touch $@
