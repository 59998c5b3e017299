# Every target installs what it needs first: each works as the first command in a fresh clone.
# Settable: make test WORKERS=8 VENV=/tmp/venv PYTHON=python3.12 PIP_FLAGS=--no-cache-dir ARGS="-k genotype"
PYTHON ?= python3
VENV ?= .venv
PIP_FLAGS ?=
ARGS ?=
# A commit that `make benchmark` compares with as well: make benchmark BASE=v1.0
BASE ?=
# Processes that share the tests. They take the files in their order, in which no long one is the last.
WORKERS ?= 2

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
INSTALLED_DOCS := $(VENV)/.installed-docs

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow check format reference docs benchmark clean
.DELETE_ON_ERROR:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quickstart: $(INSTALLED) ## search a cell on the bundled digits, retrain it, show the result
	$(BIN)/python run.py experiment=quickstart $(ARGS)

test: $(INSTALLED_DEV) ## run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=12 $(ARGS)

test-slow: $(INSTALLED_DEV) ## run the longer tests, which `make test` leaves out
	$(BIN)/python -m pytest -m slow -n $(WORKERS) --durations=12 $(ARGS)

check: $(INSTALLED_DEV) ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED_DEV) ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(INSTALLED) ## write docs/configuration.md and the table of parts in docs/methods.md
	$(BIN)/python -m darts_pl.tasks.declarations.reference > docs/configuration.md
	$(BIN)/python -m darts_pl.tasks.declarations.compatibility docs/methods.md

docs: $(INSTALLED_DOCS) ## build the documentation as a site, build/docs/index.html; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/docs -d build/doctrees $(ARGS)

benchmark: $(INSTALLED) ## compare with the form of the published code: time, operations, memory
	BASE=$(BASE) $(BIN)/python -m benchmarks $(ARGS)

clean: ## remove caches and built packages (keeps the virtual environment and the outputs)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
	find darts_pl tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp per installation, newer than pyproject.toml: nothing is installed twice.
$(INSTALLED): pyproject.toml
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) -e .
	@touch $@

$(INSTALLED_DEV): pyproject.toml
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) -e ".[dev]"
	@touch $(INSTALLED) $@

$(INSTALLED_DOCS): pyproject.toml
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) -e ".[docs]"
	@touch $(INSTALLED) $@
