# Four words run everything: make install, make demo, make test, make bench.
# Each one makes .venv and installs what it needs first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow portability pages fuzz bench bench-quick docs format clean

help:
	@echo "make install    create $(VENV) and install Elman with torch and the tools"
	@echo "make demo       train a small language model from four equations (under 3 minutes)"
	@echo "make test       lint, types and tests (under 10 minutes)"
	@echo "make test-slow  the tests that take longer"
	@echo "make portability  processors, compilers, threads and sanitizers (clang, qemu-user where they are)"
	@echo "make pages      worked examples through pdflatex and Chromium (tests/pages/install.sh)"
	@echo "make fuzz       100,000 random texts into both readers (about 10 minutes)"
	@echo "make bench      speed beside torch, torch.compile, JAX and ONNX Runtime (hours; BENCH=--resume=...)"
	@echo "make bench-quick  what tells most of it in three minutes"
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
	$(BIN)/python -m pytest -m "not slow" -n auto

test-slow: install
	$(BIN)/python -m pytest -m slow -n auto
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -m "hypothesis and not slow" -n auto

portability: install
	$(PIP) -e ".[torch,dev,cc]"
	$(BIN)/python -m pytest -m "" -n auto tests/backends/test_portability.py \
		tests/backends/test_sanitizers.py tests/backends/test_threads.py tests/backends/test_ziglang.py

pages: install
	$(BIN)/python -m pytest tests/pages -n auto

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/run.py $(BENCH)

bench-quick: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/run.py --quick $(BENCH)

docs: install
	@set -e; for file in docs/make_*.py; do $(BIN)/python "$$file"; done

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
