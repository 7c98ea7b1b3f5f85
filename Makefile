# Everything happens in the project's own virtual environment; `make` alone lists the targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-inside test-cli test-outside check format docs bench chaos audit screenshots clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: $(BIN)/.installed-bare  ## run two real jobs in slices, one past a killed worker, and show their records
	@BIN="$(BIN)" sh docs/demo.sh

test: $(BIN)/.installed-test $(BIN)/.installed-torch  ## run the tests, on real servers, in three parts at a time
	@$(MAKE) --no-print-directory --jobs 3 \
	  $(if $(filter output-sync,$(.FEATURES)),--output-sync) test-inside test-cli test-outside

# What is stored, the kernels and the protocol; the commands and killed processes; the rest is shared jobs,
# and what platforms and newcomers meet. The first part computes, the others mostly wait for processes.
INSIDE := tests/checkpoint tests/fuzz tests/kernel tests/simulation tests/worker
CLI := tests/cli tests/process

test-inside: $(BIN)/.installed-test
	$(BIN)/python -m pytest -q $(INSIDE)

test-cli: $(BIN)/.installed-test
	$(BIN)/python -m pytest -q $(CLI)

test-outside: $(BIN)/.installed-test $(BIN)/.installed-torch
	$(BIN)/python -m pytest -q $(INSIDE:%=--ignore=%) $(CLI:%=--ignore=%)

check: $(BIN)/.installed-lint  ## check format, lint, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.installed-lint  ## format the sources
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(BIN)/.installed-test  ## write the tables of settings, events and licences into docs/
	$(BIN)/python docs/generate.py

bench: $(BIN)/.installed-bench $(BIN)/.installed-torch  ## measure speed and cost, beside other tools; takes minutes
	$(BIN)/python -m bench

chaos: $(BIN)/.installed-test $(BIN)/.installed-torch  ## the long tests: soaks, heavy numbers, killed processes, bad input
	$(BIN)/python -m pytest -q -m chaos
	$(BIN)/python -m pytest -q tests/fuzz --hypothesis-profile=long

audit: $(BIN)/.installed-audit  ## compare the installed packages with published advisories; needs the network
	$(BIN)/pip-audit --skip-editable

screenshots: $(BIN)/.installed-test  ## take the pictures in docs/images again; needs Chromium
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.cli.dashboard.screenshots

clean:  ## remove the virtual environment and all caches
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache worker/cli/scaffold/.ruff_cache .import_linter_cache .nox
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(BIN)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[primes]'
	@touch $@

# Enough for the demonstration to begin.
$(BIN)/.installed-bare: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --editable .
	@touch $@

$(BIN)/.installed-%: $(BIN)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

# For the tests of examples/train: torch without CUDA (190 MB to fetch, a few GB less than with it). The
# index of packages has it, or torch's own does.
TORCH := 2.13.0
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

$(BIN)/.installed-torch: Makefile | $(BIN)/.installed
	$(PIP) 'torch==$(TORCH)+cpu' 2>/dev/null || \
	  $(PIP) --index-url https://download.pytorch.org/whl/cpu torch==$(TORCH)
	@touch $@

-include deploy/stack.mk
