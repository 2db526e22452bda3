# Every verb does its own set-up: `make demo` and `make test` work on a fresh clone with Python >= 3.11, pip, venv and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=
T ?= 60
WHAT ?= true

.DEFAULT_GOAL := help
.PHONY: help install demo picture test test-all check format format-check lint types public layers docs-check \
        docs lab soak fuzz bench profile mutants lock clean distclean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## create .venv with the project (editable) and all its extras; PYTHON=python3.12 chooses another Python
	@echo 'ready: $(BIN)/holdfast'

$(STAMP): pyproject.toml tools/check_python.py
	@$(PYTHON) tools/check_python.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
	@touch $@

demo: $(STAMP)  ## under a minute: cut the link, kill client, agent and shim, and see that nothing is lost
	@$(BIN)/python -m tools.demo

picture: $(STAMP)  ## record a real run and draw docs/images/demo.svg from it
	$(BIN)/python -m tools.picture docs/images/demo.svg

test: $(STAMP)  ## the whole test suite, two files at a time (PYTEST_ARGS="-k name" narrows it; -n 0: one after the other)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

test-all:  ## the test suite on Python 3.11, 3.12 and 3.13, as far as they are installed
	@MAKE='$(MAKE)' $(PYTHON) -m tools.test_all

check: format-check lint types public layers docs-check  ## format, lint, types, import layers, docs

format: $(STAMP)  ## rewrite the sources in the house format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

format-check: $(STAMP)
	$(BIN)/ruff format --check

lint: $(STAMP)
	$(BIN)/ruff check

types: $(STAMP)
	$(BIN)/mypy

public: $(STAMP)
	$(BIN)/python -m tools.public_types

layers: $(STAMP)
	$(BIN)/lint-imports

docs-check: $(STAMP)
	$(BIN)/python -m tools.docs --check

docs: $(STAMP)  ## check links and write the generated parts of docs/ again
	$(BIN)/python -m tools.docs

lab: $(STAMP)  ## try every claim of the study notes, in under five minutes (CASE="deadlock gil": some; FULL=1: at length)
	$(BIN)/holdfast lab run $(or $(CASE),all) $(if $(FULL),,--quick)

soak: $(STAMP)  ## the long runs: more kills, more cuts, more jobs
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)

fuzz: $(STAMP)  ## random bytes against the protocol core for T seconds (T=60)
	$(BIN)/python -m tools.fuzz --seconds $(T)

bench: $(STAMP)  ## measure speed and cost on this machine, about 12 minutes (QUICK=1: a minute; ONLY=stream: one case)
	$(BIN)/python -m bench.run $(if $(QUICK),--size quick) $(foreach case,$(ONLY),--only $(case))

profile: $(STAMP)  ## where the time goes (WHAT=true, stream, call, items; SIDE=client, worker)
	$(BIN)/python -m bench.profile $(WHAT) $(if $(SIDE),--side $(SIDE))

mutants: $(STAMP)  ## plant known bugs in a copy of the sources and see the tests turn red
	$(BIN)/python tests/mutants.py

lock:  ## write requirements.lock again: the newest versions that fit, with their hashes
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check uv; \
	sed -n '1,2{/^#/p}' requirements.lock > "$$folder/lock"; \
	"$$folder/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-annotate --no-header --extra metrics pyproject.toml >> "$$folder/lock"; \
	cat "$$folder/lock" > requirements.lock; grep -c == requirements.lock | sed 's/$$/ packages are locked/'

clean:  ## remove caches and build products
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache src/*.egg-info
	find src tests tools examples bench -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove the virtual environments as well
	rm -rf .venv .venv-3.*
