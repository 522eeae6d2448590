# Everything a developer or an operator of one machine needs. A bare machine has Python 3.11 or newer, and make.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 3
EXAMPLES ?= 100000
TRIES ?= 200
COUNT ?= 2
# Where the tests' databases lie: in memory where it has room for them, so that no COMMIT waits for a disk.
SCRATCH ?= $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 4000000 { print "/dev/shm" }')

# pytest's own output is the result: nothing may filter it.
PYTEST := $(BIN)/pytest

.DEFAULT_GOAL := help
.PHONY: help run test check chaos bench soak fuzz schema pictures lock sbom audit wheel clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

run: $(VENV)/.core  ## start Firedoor on this machine (web, workers, clock, Valkey, SQLite under ./var)
	@exec $(BIN)/firedoor up

test: $(VENV)/.dev  ## run all tests, on SQLite and PostgreSQL (two at a time; COUNT=4 for more)
	$(if $(SCRATCH),TMPDIR=$(SCRATCH)) $(PYTEST) -n $(COUNT) --dist worksteal

check: $(VENV)/.dev  ## format, lint, types, the rules of imports, and the docs' own tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -q tests/docs

chaos: $(VENV)/.dev  ## kill, freeze and flush for SEEDS seeds a database, and count what was lost
	$(BIN)/python -m tests.chaos --seeds $(SEEDS)

bench: $(VENV)/.dev  ## measure, beside a floor measured in the same run
	$(BIN)/python -m bench

fuzz: $(VENV)/.dev  ## EXAMPLES bodies at the parsers, and a twentieth of that of each kind of policy and runbook
	FIREDOOR_EXAMPLES=$(EXAMPLES) $(PYTEST) -m fuzz --timeout 0 -n $(COUNT) --dist worksteal tests/edges tests/rules

schema: $(VENV)/.dev  ## schemathesis at every route of the API, on both databases (TRIES=200 a phase)
	SCHEMA_EXAMPLES=$(TRIES) $(PYTEST) -q -n $(COUNT) tests/edges/test_api_schema.py

soak: fuzz  ## `make fuzz`, then an hour of soak a database, then 100 seeds of chaos (most of a day)
	$(BIN)/python -m tests.chaos --soak

pictures: $(VENV)/.dev  ## take the pictures of the README anew
	$(PYTEST) -q tests/browser/tour.py

lock: $(VENV)/.dev  ## resolve the dependencies anew: hashes, and no index address
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --extra dev pyproject.toml -o requirements-dev.lock

sbom: $(VENV)/.dev  ## list what the lock file installs, as CycloneDX, in dist/sbom.json
	@mkdir -p dist
	PYTHONWARNINGS=ignore $(BIN)/uv tool run -q --from cyclonedx-bom==7.5.0 cyclonedx-py requirements requirements.lock --pyproject pyproject.toml -o dist/sbom.json

audit: sbom  ## ask PyPI for known faults of what the lock file installs (needs the internet)
	$(BIN)/uv tool run -q pip-audit==2.10.1 --strict --require-hashes --disable-pip -r requirements.lock

wheel: $(VENV)/.dev  ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean:  ## remove the virtual environment and what tools left; ./var stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# Stamps: a second `make run` starts at once, and a changed lock installs again.
# The development lock contains the core one: whoever has run the tests keeps that set for `make run`.

$(VENV)/.core: requirements.lock requirements-dev.lock pyproject.toml | $(VENV)/.base
	@sh packaging/install $(VENV) $$(test -e $(VENV)/.dev && echo requirements-dev.lock || echo requirements.lock)
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/.base
	@sh packaging/install $(VENV) requirements-dev.lock
	@touch $@ $(VENV)/.core

$(VENV)/.base:
	@PYTHON=$(PYTHON) sh packaging/venv $(VENV)
	@touch $@
