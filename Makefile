# Everything runs in $(VENV), which the first target makes. PYTHON= names an interpreter,
# VENV= another folder, MXNET=cu112 takes MXNet's build for NVIDIA GPUs.

VENV ?= .venv
MXNET ?= cpu
PYTHON ?=
CANDIDATES = python3.11 python3.12 python3.10 python3.9 python3.8 python3.13 python3 python
SUPPORTED = import ensurepip, sys, venv; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 13))
WHEEL_cpu = mxnet==1.9.1
WHEEL_cu112 = mxnet-cu112==1.9.1

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check install -q
RUNS = $(VENV)/.installed-$(MXNET)
TESTS = $(VENV)/.installed-$(MXNET)-test
TOOLS = $(VENV)/.installed-$(MXNET)-dev
OTHERS = $(filter-out $(RUNS) $(TESTS) $(TOOLS),$(wildcard $(VENV)/.installed-*))

.PHONY: help install demo test test-all check lint format types tables tables-fresh smoke clean
.DELETE_ON_ERROR:

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' Makefile

install: $(TOOLS) ## make .venv with the package, MXNet and the tools of development

demo: $(RUNS) ## train, tabulate, draw, export and predict on handwritten digits (4 minutes)
	$(BIN)/gluontricks demo

test: $(TESTS) ## the fast tests
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal

test-all: $(TESTS) ## also the slow tests, and those of a GPU where there is one
	@if command -v nvidia-smi >/dev/null 2>&1; then marks=''; else marks='not gpu'; fi; \
	set -x; $(BIN)/python -m pytest -q -m "$$marks"

check: lint types test tables-fresh ## what continuous integration runs

lint: $(TOOLS) ## ruff, without changing anything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(TOOLS) ## let ruff reformat and repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(TOOLS) ## the type checker
	$(BIN)/basedpyright --pythonpath $(BIN)/python

tables: $(RUNS) ## write results/tables, results/figures and results/index.html from the records
	$(BIN)/python scripts/make_tables.py
	$(BIN)/python scripts/make_figures.py
	$(BIN)/python scripts/make_report.py

tables-fresh: $(RUNS) ## fail if writing tables, figures and report anew would change them
	$(BIN)/python scripts/make_tables.py --check
	$(BIN)/python scripts/make_figures.py --check
	$(BIN)/python scripts/make_report.py --check

smoke: $(RUNS) ## train and export one tiny network in half a minute
	rm -rf build/smoke
	$(BIN)/python scripts/train_cifar.py --dataset digits --model resnet20_v1 --num-epochs 1 \
		--warmup-epochs 0 --batch-size 64 --out build/smoke/run
	$(BIN)/gluontricks export build/smoke/run --out build/smoke/export

clean: ## remove .venv and caches; runs and results stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNS): setup.py | $(BIN)/python
	@if [ -n "$(OTHERS)" ]; then echo "Removing the other build of MXNet from $(VENV)"; \
		$(BIN)/python -m pip uninstall -q -y mxnet mxnet-cu112; rm -f $(OTHERS); fi
	@echo "Installing gluontricks with MXNet ($(MXNET)) into $(VENV): a minute or two"
	@$(PIP) 'pip>=21.3'
	@$(PIP) -e '.[$(MXNET)]'
	@if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then \
		echo "Python 3.13: installing $(WHEEL_$(MXNET)) without its pin of an older NumPy"; \
		$(PIP) --no-deps $(WHEEL_$(MXNET)); fi
	@touch $@

$(TESTS): $(RUNS)
	@echo "Installing what the tests need into $(VENV)"
	@$(PIP) -e '.[$(MXNET),test]'
	@touch $@

$(TOOLS): $(TESTS)
	@echo "Installing ruff and the type checker into $(VENV)"
	@$(PIP) -e '.[$(MXNET),dev]'
	@touch $@

$(BIN)/python:
	@found=; for python in $(or $(PYTHON),$(CANDIDATES)); do \
		if "$$python" -c '$(SUPPORTED)' >/dev/null 2>&1; then found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then \
		if [ -n "$(PYTHON)" ]; then \
			echo "PYTHON=$(PYTHON) does not run, or is no Python 3.8 to 3.13 with venv and pip."; \
		else echo "No Python 3.8 to 3.13 with venv and pip is on the PATH."; fi >&2; \
		echo "Get one: 'apt-get install python3 python3-venv' (Debian, Ubuntu), 'dnf install" \
			"python3.11', 'uv python install 3.11' or python.org; then make PYTHON=/path/to/python." >&2; \
		exit 1; fi; \
	echo "Making $(VENV) with $$("$$found" -V) ($$(command -v "$$found"))"; \
	"$$found" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
