# Every target makes .venv first; that step does nothing in a few milliseconds when it is up to date.
PY := .venv/bin/python
PORT ?= 8080
DATA_DIR ?= ./data
SCENARIO ?=
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup servers run test check format bench e2e clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: # Make or refresh .venv (every other target asks for it)
	@scripts/setup

servers: # Install what tests start by themselves (nothing to do when it is there)
	@scripts/install-servers

run: setup ## Serve everything from one process (PORT=8080 DATA_DIR=./data)
	.venv/bin/aldis serve --port "$(PORT)" --data-dir "$(DATA_DIR)"

test: setup servers ## Run the unit, contract and integration tests
	$(PY) -m pytest $(PYTEST_ARGS)

check: setup ## Format, lint, types, imports and unit tests, in under a minute
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	$(PY) -m pytest tests/unit $(PYTEST_ARGS)

format: setup ## Format the code and apply the linter's safe fixes
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

bench: setup ## Measure (SCENARIO=B2 for one, all without)
	$(PY) tests/bench/run.py $(SCENARIO)

e2e: setup ## Run the end-to-end tests
	$(PY) -m pytest e2e $(PYTEST_ARGS)

clean: ## Remove .venv, caches and build results (never DATA_DIR)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
