# On a bare machine with Python >= 3.10: `make lab` opens the course, `make test` proves it.

VENV   := .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
ARGS   ?=
# Your copy of the notebooks; with DIR=FOLDER, Jupyter opens that folder as it is.
MINE   := my-course
START  = --LabApp.default_url=/lab/tree/$(if $(DIR),notebooks,$(MINE))/00-start-here.ipynb
# Jupyter refuses to run as root unless told; containers and Codespaces run as root.
ROOT   := $(if $(filter 0,$(shell id -u)),--allow-root,)
# Two workers; threads that wait must not spin while the other worker computes (alexnet_lib sets
# this, too, but some tests import torch first).
PYTEST := OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2

.DEFAULT_GOAL := help
.PHONY: help lab test prose test-browser test-site test-oldest env outputs results bench gpu site lint colab clean

help:  ## show this list
	@echo 'make TARGET [ARGS="options passed on"] [PYTHON=python3.12]'
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# With one arena, the memory of a run in a thread (the dashboard) is kept, as in the main thread.
lab: $(STAMP)  ## open your copy of the course, in my-course; ARGS="--no-browser --port 9999"
	@$(if $(DIR),,$(BIN)/python .ci/copy notebooks $(MINE))
	@MALLOC_ARENA_MAX=1 $(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 --ServerApp.root_dir="$(or $(DIR),$(CURDIR))" $(START) $(ROOT) $(ARGS)

test: $(STAMP)  ## run every check: style, types, unit tests, all notebooks
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(BIN)/python tests/test_house.py
	$(PYTEST) --nbval --dist loadfile $(ARGS)

prose: $(STAMP)  ## look at how the course is written: spelling, glossary, captions (NB="00 02"); blocks nothing
	-$(BIN)/python -m pytest -q tests/test_prose.py tests/test_notebooks.py -m prose --tb=short $(ARGS)
	@$(BIN)/python tests/read_outputs.py $(NB)

test-browser: $(STAMP)  ## run all notebooks in JupyterLab and Chromium, and move what can be moved
	@PYTHON="$(PYTHON)" EXTRA=,browser sh .ci/env $(VENV) $(VENV)/.browser
	$(PYTEST) -o addopts=--durations=0 tests/browser/test_lab.py tests/browser/test_explorables.py $(ARGS)

test-site: site  ## make the site, and look at it in Chromium as on a phone and on a desk
	@PYTHON="$(PYTHON)" EXTRA=,browser sh .ci/env $(VENV) $(VENV)/.browser
	$(BIN)/python -m pytest -o addopts= tests/browser/test_site.py $(ARGS)

test-oldest:  ## test the library with the oldest versions that it takes, in .venv-oldest
	@PYTHON="$(PYTHON)" UV_RESOLUTION=lowest-direct sh .ci/env .venv-oldest .venv-oldest/.ready
	.venv-oldest/bin/python -m pytest tests $(ARGS)

env: $(STAMP)  ## create the environment in .venv, with the alexnet command in it
	@echo "ready: $(BIN)/alexnet, or 'source $(BIN)/activate'"

outputs: $(STAMP)  ## run notebooks and store their outputs; NB="00 02", or all; ARGS=--time, --alt
	@$(BIN)/python tests/store_outputs.py $(NB) $(ARGS)

results: $(STAMP)  ## run what is missing of every claim (hours; ARGS="--jobs 8"), make tables
	$(BIN)/alexnet experiment all $(ARGS)
	$(BIN)/python tests/readme.py

bench: $(STAMP)  ## measure speed and memory beside rivals; options with ARGS="--rounds 1"
	@$(BIN)/alexnet bench $(ARGS)

gpu:  ## measure and prove what only a GPU can, in 8 minutes; needs no environment of its own
	$(PYTHON) -m alexnet_lib.research.gpu build/gpu $(ARGS)

site: $(STAMP)  ## make the course a static site, in build/site
	@PYTHON="$(PYTHON)" EXTRA=,site sh .ci/env $(VENV) $(VENV)/.site
	$(BIN)/sphinx-build -q -W --keep-going -c docs -b html . build/site
	$(BIN)/python .ci/links build/site

lint: $(STAMP)  ## check the style and mend what can be mended
	$(BIN)/ruff check --fix .

colab:  ## make badges and set-up cells point to your fork: that of git remote, or REPO=owner/name
	@$(PYTHON) .ci/colab $(REPO)

clean:  ## remove the environment and what tests left behind
	rm -rf $(VENV) .venv-oldest .pytest_cache .hypothesis .ruff_cache .mypy_cache build *.egg-info

# Every target makes the environment if it is missing, and again when the requirements change.
$(STAMP): pyproject.toml
	@PYTHON="$(PYTHON)" sh .ci/env $(VENV) $(STAMP)
