# Each target does its own set-up: a machine with Python 3.11, pip, make and git is enough.
PYTHON ?= python3
CORES ?= 4
KILLS ?= 60
SEED ?= 1
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test bench chaos lint format example clean

run: .venv/installed  ## the embedded experiment, from nothing to its report
	snakemake --cores $(CORES)
	@echo "The report: results/embedded/report.md"

# Two processes share the tests. A thread that waits must not keep a core from the other's.
test: export OMP_WAIT_POLICY = passive
test: .venv/installed-dev  ## all tests
	python -m pytest -n 2 --no-loadscope-reorder

bench: .venv/installed-dev  ## time an epoch side by side with the lab's loop and PEFT
	python -m benchmarks

chaos: .venv/installed-dev  ## kill a small experiment KILLS times; it must end as if nothing had been
	python tests/pipeline/chaos.py --kills $(KILLS) --seed $(SEED)

lint: .venv/installed-dev  ## format, lint
	ruff format --check workflow tests docs benchmarks
	ruff check workflow tests docs benchmarks
	snakefmt --check -l 100 Snakefile workflow/rules
	snakemake --lint

format: .venv/installed-dev  ## put code into its format
	ruff format workflow tests docs benchmarks
	ruff check --fix workflow tests docs benchmarks
	snakefmt -l 100 Snakefile workflow/rules

example: run  ## refresh docs/example from the embedded experiment
	python docs/make_example.py

clean:  ## remove everything that the pipeline made
	find results -mindepth 1 ! -name README.md -delete
	rm -rf resources logs state .snakemake

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.txt
	$(BIN)/pip install --quiet --no-deps -e .
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@
