# The manual: what a developer, a user and CI run.
#
#   make setup   an environment in .venv with exactly the pinned versions
#                (EXTRAS=dev,savings: with the models of `demandwatch savings`, 1 GB more)
#   make demo    a simulated city on http://127.0.0.1:8080   (ARGS="--for 120 --headless --fresh")
#   make test    all tests; what needs a server says why it is skipped   (JOBS=1: one at a time)
#   make check   linters, formats, import contracts, types
#   make bench   the measured budgets, as ratios from one run (ARGS="--only step")
#   make clean   forget the environment and what the demonstration wrote

PYTHON ?= python3
JOBS ?= 2
EXTRAS ?= dev
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup check test demo bench clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "demandwatch needs Python 3.11 or newer: set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo "this Python has no venv: on Debian, apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $(READY)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/mypy benchmarks/*.py

# Two at a time: much of the time tests wait for real clocks and sockets. A file stays on one worker.
test: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

demo: $(READY)
	@$(BIN)/demandwatch demo $(ARGS)

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/bench.py $(ARGS)

clean:
	rm -rf $(VENV) var build *.egg-info .mypy_cache .ruff_cache .pytest_cache
