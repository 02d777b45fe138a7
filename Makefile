# frostline: `make run` · `make test` · `make check` · `make soak`. Each sets itself up on a machine that has make and
# Python 3.11 or later: a virtual environment in .venv with the pinned dependencies. Nothing else is touched.
#
#   make run PROFILE=ewt       another profile of project.yml
#   make test ARGS="-k runner" further words for pytest
#   make PYTHON=/path/python3  another Python

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PROFILE ?=
ARGS ?=
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$python && break; done)

.PHONY: help run test check soak set-up clean

help:
	@echo "make run     the whole experiment on the sample corpus, in some minutes: project run all"
	@echo "make test    the tests"
	@echo "make check   ruff and mypy"
	@echo "make soak    the long fault and memory runs"
	@echo "make clean   forget the virtual environment"

run: $(STAMP)
	$(BIN)/project run all $(if $(PROFILE),--profile $(PROFILE)) $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -m "not soak" -n auto --maxprocesses 4 --dist loadfile $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/mypy

soak: $(STAMP)
	$(BIN)/python -m pytest -m soak -o faulthandler_timeout=0 $(ARGS)

set-up: $(STAMP)

# Done once: pip runs again only when the list of dependencies or their pins have changed.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || test -x $(BIN)/python || { \
		echo "No Python 3.11 or later was found. Install one, or say: make PYTHON=/path/to/python3"; exit 2; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is needed: on Debian and Ubuntu it is the package python3-venv."; exit 2; }
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt torch -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV)
