# Every target makes .venv first; that step does nothing in a few milliseconds when it is up to date.
PY := .venv/bin/python
PORT ?= 8080
DATA_DIR ?= ./data
SCENARIO ?=
PRODUCTION ?=
PYTEST_ARGS ?=

# What `make test` runs a second time, on two gateways and a worker behind a proxy.
GATEWAY_TESTS := socket_contract rights who_may_what who_may_revise revisions ephemera http_streams repeated_requests \
	described admin_live
ON_CLUSTER := $(GATEWAY_TESTS:%=tests/integration/gateway/test_%.py) tests/integration/broadcast/test_broadcast.py \
	tests/integration/broadcast/test_revisions.py tests/integration/broadcast/test_flapping.py \
	tests/integration/promise/test_stream_rules.py

.DEFAULT_GOAL := help
.PHONY: help setup servers run up down test check format bench e2e clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: # Make or refresh .venv (every other target asks for it)
	@scripts/setup

servers: # Install what tests start by themselves (nothing to do when it is there)
	@scripts/install-servers

run: setup ## Serve everything from one process (PORT=8080 DATA_DIR=./data)
	.venv/bin/aldis serve --port "$(PORT)" --data-dir "$(DATA_DIR)"

up: setup servers ## Start a production in small: PostgreSQL, RabbitMQ, Redis, two gateways, a worker, a proxy
	@PYTHONPATH=tests $(PY) -m servers.stack up

down: setup ## End it, with its data
	@PYTHONPATH=tests $(PY) -m servers.stack down

test: setup servers ## Run all tests, then those of a server again on a cluster
	$(PY) -m pytest $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,$(PY) -m pytest --cluster $(ON_CLUSTER))

check: setup ## Format, lint, types, imports and unit tests, in under a minute
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	$(PY) -m pytest tests/unit $(PYTEST_ARGS)

format: setup ## Format the code and apply the linter's safe fixes
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

bench: setup $(if $(PRODUCTION)$(filter B1% %P,$(SCENARIO)),servers) ## Measure (SCENARIO=B2 for one; PRODUCTION=1: on PostgreSQL, RabbitMQ, Redis)
	$(PY) tests/bench/run.py $(SCENARIO) $(if $(PRODUCTION),--production)

e2e: setup ## Run the end-to-end tests
	$(PY) -m pytest e2e $(PYTEST_ARGS)

clean: ## Remove .venv, caches and build results (never DATA_DIR)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
