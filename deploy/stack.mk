# The local stack (docker-compose.yml), the images and the template. Included by the Makefile.
COMPOSE ?= docker compose
PYTHON_IMAGE ?= python:3.13.16-slim-trixie

.PHONY: up down demo-stack test-stack lock check-deploy

up:  ## start the local stack: store, queue, workers, Lambda, RunPod
	$(COMPOSE) up --detach --build --wait

down:  ## stop the local stack; its jobs stay in a volume
	$(COMPOSE) --profile demo down

demo-stack: up  ## submit jobs to the stack and watch them move between its workers
	@$(COMPOSE) run --rm demo

test-stack:  ## bring the stack up from nothing, try it, take it down; needs Docker
	bash tests/stack/run.sh

lock:  ## pin anew the packages that the images hold
	bash deploy/lock.sh $(PYTHON_IMAGE)

check: check-deploy

check-deploy: $(BIN)/.installed-lint
	$(BIN)/cfn-lint deploy/template.yaml
	$(BIN)/mypy --config-file pyproject.toml deploy/local
