# Ronghe: two commands carry a newcomer: `make run` and `make test`. `make help` lists the others.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Tests are about our own declarations, whatever folders a shell has in force.
# Two JVMs on two cores: a collector without threads of its own disturbs the other one least.
PYTEST := env -u RONGHE_SCHEMAS -u RONGHE_SOURCES SPARK_SUBMIT_OPTS="-XX:+UseSerialGC" $(BIN)/pytest -q
# One Spark keeps little more than one core busy; two of them, each with whole files, take little more than half the time.
BOTH_CORES := -n 2 --dist loadfile
UNREACHABLE := The package registries cannot be reached (see the lines above): check the network or your proxy, then try again.

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Install what is locked, and fetch the two locked jars

$(VENV)/.ready: requirements.lock requirements-dev.lock pyproject.toml src/ronghe/jars.lock
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is missing: install it (Debian: apt-get install python3.11 python3.11-venv), or name it with PYTHON=..."; exit 1; }
	@command -v java >/dev/null || { echo "Java is missing: install a JDK 17 (Debian: apt-get install openjdk-17-jdk-headless)."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made: install python3.11-venv."; exit 1; }
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install -q uv || { echo "$(UNREACHABLE)"; exit 1; }
	@echo "Installing what is locked ..."
	@uv=$$(command -v uv || echo $(BIN)/uv); \
	  $$uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes \
	    -r requirements.lock -r requirements-dev.lock \
	  && $$uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e . \
	  || { echo "$(UNREACHABLE)"; exit 1; }
	@$(BIN)/python -m ronghe.jars
	@touch $@

run: setup ## Make feeds if there are none, start engine and Airflow, run the night, say what was built
	@$(BIN)/ronghe simulate --if-empty
	@$(BIN)/ronghe up
	@$(BIN)/ronghe run
	@echo "The services stay up; \`make down\` ends them."

down: ## End Airflow and the engine, with all their children
	@test ! -x $(BIN)/ronghe || $(BIN)/ronghe down

check: setup ## Format, lint, types, imports and contracts: a minute and a half, no Java
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(PYTEST) $(BOTH_CORES) tests/contracts

# Files are taken in their order, for the night, by far the longest, is to begin early.
test: check ## Check, then run every other test but the long nights
	@$(PYTEST) $(BOTH_CORES) tests/unit tests/dags
	@$(PYTEST) $(BOTH_CORES) tests/spark -m "not long"
	@$(PYTEST) $(BOTH_CORES) --no-loadscope-reorder tests/engine tests/faults -m "smoke or engine and not long"

faults: setup ## Break things on purpose and see that nothing is lost
	@$(PYTEST) tests/faults

SEED ?= 1
MINUTES ?= 15
nemesis: setup ## Disturb days of work for MINUTES by faults that SEED chooses, then compare with undisturbed ones
	@$(BIN)/python -m tests.faults.nemesis --seed $(SEED) --minutes $(MINUTES)

nights: setup ## Run the long tests: nights through Airflow, cut off and late, killed after writes (an hour)
	@$(PYTEST) tests/spark -m long
	@$(PYTEST) tests/engine -m long
	@$(PYTEST) tests/pipeline

bench: setup ## Measure every stage against DuckDB and fill docs/benchmarks.md (hours, on a quiet machine)
	@$(BIN)/python -m bench.run

docs: setup ## Write docs/reference and docs/risk-index.md anew from the declarations and the DAGs
	@$(BIN)/python -m ronghe.cli reference
	@$(BIN)/python -m ronghe.risk.sheet > docs/risk-index.md
	@$(BIN)/python -m ronghe_airflow.reference

audit: setup ## Ask what is known against the locked packages; tools/audit-exceptions.yaml lets pass what must be
	@$(BIN)/python tools/audit.py

sbom: setup ## Write what Ronghe consists of, packages and jars, as CycloneDX to build/sbom.cdx.json
	@$(BIN)/python tools/sbom.py build/sbom.cdx.json

fmt: setup ## Format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: setup ## Resolve the dependencies anew: what is shipped, and what development adds
	@compile="$$(command -v uv || echo $(BIN)/uv) pip compile -q --python-version 3.11 --generate-hashes --no-header"; \
	  $$compile --group build pyproject.toml -o requirements.lock \
	  && $$compile --group dev -c requirements.lock -o requirements-dev.lock

clean: down ## Remove everything made at run time; asks first
	@home=$$(realpath -m "$${RONGHE_HOME:-data}"); \
	  read -p "Remove $$home with all tables, feeds and keys in it? [y/N] " answer; [ "$$answer" = y ] && rm -rf "$$home" || true

.PHONY: help setup run down check test nights faults nemesis bench docs audit sbom fmt lock clean
