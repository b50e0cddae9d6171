# Four words run everything: make install, make demo, make test, make bench.
# Each one makes .venv and installs what it needs first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow pages fuzz bench docs format clean

help:
	@echo "make install    create $(VENV) and install Elman with torch and the tools"
	@echo "make demo       train a small language model from four equations (under 3 minutes)"
	@echo "make test       lint, types and tests (under 10 minutes)"
	@echo "make test-slow  the tests that take longer"
	@echo "make pages      worked examples through pdflatex and Chromium (tests/pages/install.sh)"
	@echo "make fuzz       100,000 random texts into both readers (about 10 minutes)"
	@echo "make bench      speed against torch, torch.compile and JAX"
	@echo "make docs       write the pages that are made from the code and the library"
	@echo "make format     let ruff format and mend the code"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[torch,dev]"
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(PIP) -e ".[torch,dev,bench]"
	@touch $@

install: $(VENV)/.installed

demo: install
	$(BIN)/python examples/demo.py

test: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadgroup

test-slow: install
	$(BIN)/python -m pytest -m slow -n auto --dist loadgroup

pages: install
	$(BIN)/python -m pytest tests/pages -n auto

bench: $(VENV)/.installed-bench
	@set -e; for file in benchmarks/bench_*.py; do \
		echo "== $$file"; $(BIN)/python "$$file"; done

docs: install
	@set -e; for file in docs/make_*.py; do $(BIN)/python "$$file"; done

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
