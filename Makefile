# What each target does stands in README.md. All it takes is Python 3.11 or newer: the first of these, or make PYTHON=/path/to/python3.
# Asked from /, where pyenv sees no .python-version: that one is for platforms, and here every version will do.
PYTHONS = python3 python3.14 python3.13 python3.12 python3.11
NEW_ENOUGH = import sys; print(sys.executable if sys.version_info >= (3, 11) else "")
PYTHON = $(firstword $(foreach name,$(PYTHONS),$(shell cd / && $(name) -c '$(NEW_ENOUGH)' 2>/dev/null)) python3)
PYTEST_ARGS =
UV_ARGS =
COMPILE = venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make requirements' $(UV_ARGS)

.PHONY: run kafka test check bench faults rolling image-check clean-data requirements

run: venv/made
	@venv/bin/python -m labapp.lab up

kafka: venv/made
	@venv/bin/python -m labapp.lab kafka

# Two at a time, each process with brokers of its own. What a browser shows is timed, so those tests have the machine to themselves.
test: venv/made
ifeq ($(PYTEST_ARGS),)
	@venv/bin/python -m pytest tests --ignore tests/browser -n 2 --dist worksteal
	@venv/bin/python -m pytest tests/browser
else
	@venv/bin/python -m pytest $(PYTEST_ARGS)
endif

check: venv/made
	@venv/bin/ruff check && venv/bin/ruff format --check
	@venv/bin/lint-imports
	@venv/bin/mypy

bench: venv/made
	@venv/bin/python -m bench

faults: venv/made
	@venv/bin/python -m tests.faults

rolling: venv/made
	@venv/bin/python -m tests.rolling

image-check: venv/made
	@venv/bin/python -m tests.image

clean-data: venv/made
	@venv/bin/python -m labapp.lab clean-data

# Newer versions of everything: make requirements UV_ARGS=--upgrade
requirements: venv/made
	$(COMPILE) pyproject.toml --output-file requirements.txt
	$(COMPILE) pyproject.toml --extra lab --extra otel --extra test --constraints requirements.txt --output-file requirements-dev.txt
	$(COMPILE) pyproject.toml --extra otel --constraints requirements-dev.txt --output-file requirements-otel.txt

venv/made: requirements-dev.txt
	@$(PYTHON) make_venv.py
