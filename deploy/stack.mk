# The local stack (docker-compose.yml), the images and the template. Included by the Makefile.
COMPOSE ?= docker compose
PYTHON_IMAGE ?= python:3.13.16-slim-trixie
CFN_LINT := 1.58.0

.PHONY: up down demo-stack test-stack lock check-deploy

up:  ## start the local stack: store, queue, workers, Lambda, RunPod
	$(COMPOSE) up --detach --build --wait

down:  ## stop the local stack; its jobs stay in a volume
	$(COMPOSE) --profile demo down

demo-stack: up  ## submit jobs to the stack and watch them move between its workers
	@$(COMPOSE) run --rm demo

test-stack:  ## start a new stack, test it, remove it; needs Docker
	bash tests/stack/run.sh

lock:  ## renew the pinned packages of the images
	bash deploy/lock.sh $(PYTHON_IMAGE)

check: check-deploy

check-deploy: $(BIN)/.installed-lint $(VENV)/cfn-lint/.installed
	$(VENV)/cfn-lint/bin/cfn-lint deploy/template.yaml
	$(BIN)/mypy --config-file pyproject.toml deploy/local

# In an environment of its own: with what it needs it is as large as all else together, and it wants
# an older pydantic.
$(VENV)/cfn-lint/.installed: deploy/stack.mk | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/cfn-lint
	$(VENV)/cfn-lint/bin/pip install --quiet --disable-pip-version-check cfn-lint==$(CFN_LINT)
	@touch $@
