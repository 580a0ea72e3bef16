# `make run` and `make test` need Python 3.11 or newer and nothing else: each sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2

.PHONY: setup run test test-all test-versions test-oldest test-newest test-week bench docs lint format clean

setup: $(STAMP)

# The stamp is as new as the last install; pyproject.toml is the only file that changes what is installed.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

run: setup
	$(BIN)/eyeriss-sim run alexnet --layer 'CONV*'

test: setup lint
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --cov --cov-report=
	$(BIN)/python tests/coverage_table.py

test-all: setup lint
	$(BIN)/python -m pytest -n $(WORKERS)

test-versions: setup
	WORKERS=$(WORKERS) $(BIN)/python tests/versions.py

test-oldest: setup
	WORKERS=$(WORKERS) $(BIN)/python tests/versions.py --oldest

test-newest: setup
	WORKERS=$(WORKERS) $(BIN)/python tests/versions.py --newest

test-week: test-all
	$(BIN)/eyeriss-sim check --random 2000 --seed $$(date +%s) -q
	$(MAKE) test-versions test-oldest test-newest

bench: setup
	$(BIN)/python tests/perf/bench_speed.py
	$(BIN)/python tests/perf/bench_growth.py

docs: setup
	$(BIN)/python -m sim.result.document docs/result.md

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venvs .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
