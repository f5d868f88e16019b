# On a bare machine with Python >= 3.10: `make lab` opens the course, `make test` proves it.

VENV   := .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
ARGS   ?=
# Jupyter refuses to run as root unless told; containers and Codespaces run as root.
ROOT   := $(if $(filter 0,$(shell id -u)),--allow-root,)

.DEFAULT_GOAL := help
.PHONY: help env lab test lint clean

help:  ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP)  ## create the environment in .venv, with the alexnet command in it

lab: $(STAMP)  ## open the course in JupyterLab; options with ARGS="--no-browser --port 9999"
	$(BIN)/jupyter lab --ip=127.0.0.1 $(ROOT) $(ARGS) notebooks/00-start-here.ipynb

test: $(STAMP)  ## run every check: style, unit tests, all notebooks
	$(BIN)/ruff check .
	$(BIN)/python -m pytest --nbval $(ARGS)

lint: $(STAMP)  ## check the style and mend what can be mended
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and what tests left behind
	rm -rf $(VENV) .pytest_cache .hypothesis .ruff_cache build *.egg-info

# Made again only when the requirements change. uv installs in half a minute what takes pip
# minutes; where uv cannot be had, pip does the same.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	  { echo "Python 3.10 or newer is needed: install it, or name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@UV=$$(command -v uv) || { $(BIN)/python -m pip install -q --disable-pip-version-check uv 2>/dev/null && UV=$(BIN)/uv; } || UV=; \
	  echo "Installing the requirements (about a minute; several GB the first time) ..."; \
	  if [ -n "$$UV" ]; then "$$UV" pip install -q --python $(BIN)/python -e '.[course,dev]'; \
	  else $(BIN)/python -m pip install -q -e '.[course,dev]'; fi
	@touch $@
