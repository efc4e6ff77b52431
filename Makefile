# Everything that a person types. A second run of each target does only what has changed.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
JARS := .kafka/pom.sha256
ARGS ?=
# Tests wait for one another's servers more than they count: three at a time keep two cores busy.
WORKERS ?= 3

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup browser run test fuzz bench bench-quick faults drill check generate lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) $(JARS) ## Virtual environment, packages, Kafka's jars

$(BIN)/python:
	@python=$$(sh deploy/find-python.sh) && \
	echo "Making a virtual environment with $$($$python --version) …" && \
	$$python -m venv $(VENV)

$(INSTALLED): requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing the packages (a minute or two, once) …"
	@$(BIN)/python -m pip install --require-hashes --requirement requirements.txt | sed '/^Requirement already/d'
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Without Java or Maven this says what follows from that, and is tried again next time.
$(JARS): deploy/local/kafka-jars/pom.xml | $(INSTALLED)
	@$(BIN)/python -m deploy.local.kafka_setup

browser: ## A Chromium for the tests of the pages
	@sh deploy/find-browser.sh

run: setup ## Play a short real story on real parts, and keep serving until Ctrl-C
	@$(BIN)/otklik demo --serve $(ARGS)

# What ARGS names runs in one process, without the start of workers; tests/workers.py says how they share the tests.
test: setup browser ## Every test, on three workers (ARGS="tests/unit -x" for some of them, on none)
	@CHROMIUM="$$(sh deploy/find-browser.sh --print)" $(BIN)/python -m pytest -q $(or $(ARGS),-n $(WORKERS))

fuzz: setup ## Some ten thousand requests at the HTTP surface of all services, and broken bodies (N per operation and vendor)
	@OTKLIK_FUZZ_EXAMPLES=$(or $(N),200) $(BIN)/python -m pytest -q tests/fuzz $(ARGS)

bench: setup ## Each stage beside its floor, measured in the same run (ARGS="--only ingest" for some of them)
	@$(BIN)/python -m bench $(ARGS)

bench-quick: setup ## The same, rougher, in under two minutes
	@$(BIN)/python -m bench --quick $(ARGS)

faults: setup ## Faults on the real stack under load, and the ledger (N=500 SEED=7 ONLY='kill@*,*@postgres' REPORT=file)
	@$(BIN)/python -m faults $(if $(N),-n $(N)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)') $(if $(REPORT),--report $(REPORT)) $(ARGS)

drill: setup ## A campaign of 100,000 mails whose sender is killed twenty times (MAILS=3000 KILLS=4 SEED=7)
	@$(BIN)/python -m faults.drill $(if $(MAILS),--mails $(MAILS)) $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

check: $(INSTALLED) ## Format, lint, types, import contracts, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m libs.events.generate --check

generate: $(INSTALLED) ## Write the reference of events and HTTP (docs/api) anew
	@$(BIN)/python -m libs.events.generate

lock: ## Pin every package, with hashes, for all platforms and Python 3.11 up (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--extra dev --no-header -o requirements.txt pyproject.toml

clean: ## Remove all that can be made again; the data in .data stays
	rm -rf $(VENV) .kafka .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
