# What each target does stands in docs/development.md. All it takes is Python 3.11 or newer: the first of these, or make PYTHON=/path/to/python3.
# Asked from /, where pyenv sees no .python-version: that one is for platforms, and here every version will do.
PYTHONS = python3 python3.14 python3.13 python3.12 python3.11
NEW_ENOUGH = import sys; print(sys.executable if sys.version_info >= (3, 11) else "")
VERSION = import sys; print("%d.%d" % sys.version_info[:2])
PYTHON = $(firstword $(foreach name,$(PYTHONS),$(shell cd / && $(name) -c '$(NEW_ENOUGH)' 2>/dev/null)) python3)
# `make test PYTHON=...` uses a folder of its own, such as venv-3.13, if the folder venv has another version of Python.
ASKED := $(if $(findstring command,$(origin PYTHON)),$(shell $(PYTHON) -c '$(VERSION)'))
MADE := $(shell venv/bin/python -c '$(VERSION)' 2>/dev/null)
VENV := venv$(if $(and $(ASKED),$(MADE),$(filter-out $(MADE),$(ASKED))),-$(ASKED))
PYTEST_ARGS =
UV_ARGS =
COMPILE = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make requirements' $(UV_ARGS)

.PHONY: run kafka test check bench faults rolling image-check clean-data requirements

run: $(VENV)/made
	@$(VENV)/bin/python -m labapp.lab up

kafka: $(VENV)/made
	@$(VENV)/bin/python -m labapp.lab kafka

# Two files at a time, each process with brokers of its own; the short unit tests come last and fill both. A few tests have the machine to themselves.
test: $(VENV)/made
ifeq ($(PYTEST_ARGS),)
	@$(VENV)/bin/python -m tests.needs
	@$(VENV)/bin/python -m pytest -m "not alone" -n 2 --dist loadfile --no-loadscope-reorder
	@$(VENV)/bin/python -m pytest -m alone
else
	@$(VENV)/bin/python -m pytest $(PYTEST_ARGS)
endif

check: $(VENV)/made
	@$(VENV)/bin/ruff check && $(VENV)/bin/ruff format --check
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/mypy

bench: $(VENV)/made
	@$(VENV)/bin/python -m bench

faults: $(VENV)/made
	@$(VENV)/bin/python -m tests.faults

rolling: $(VENV)/made
	@$(VENV)/bin/python -m tests.rolling

image-check: $(VENV)/made
	@$(VENV)/bin/python -m tests.image

clean-data: $(VENV)/made
	@$(VENV)/bin/python -m labapp.lab clean-data

# Newer versions of everything: make requirements UV_ARGS=--upgrade
requirements: $(VENV)/made
	$(COMPILE) pyproject.toml --output-file requirements.txt
	$(COMPILE) pyproject.toml --extra lab --extra otel --extra test --constraints requirements.txt --output-file requirements-dev.txt
	$(COMPILE) pyproject.toml --extra otel --constraints requirements-dev.txt --output-file requirements-otel.txt

$(VENV)/made: requirements-dev.txt
	@$(PYTHON) make_venv.py $(VENV)
