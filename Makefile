# Network Geometry: `make book` reads, `make test` checks, `make help` lists the rest.

DATASET ?= digits
PYTHON ?= python3
TORCH_INDEX ?=
NAME ?=
REPO2DOCKER := 2026.4.0

PY := .venv/bin/python
CHOSEN := $(filter command environment,$(firstword $(origin PYTHON)))

# Settings of other projects must not reach this one's interpreter, installer or kernels.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS PYTEST_ADDOPTS PIP_USER PIP_TARGET
unexport PIP_PREFIX JUPYTER_PATH SPHINXOPTS MAKEFLAGS
# Nor what was said to this make reach another one, which the tests start.
unexport PYTHON DATASET NAME TORCH_INDEX
export JUPYTER_PREFER_ENV_PATH := 1

# Chapters run in their own folders, so a relative folder would mean another one there.
absolute = $(if $(filter /%,$(firstword $(1))),$(1),$(CURDIR)/$(1))
ifneq ($(strip $(COMPANION_DATA)),)
override COMPANION_DATA := $(call absolute,$(COMPANION_DATA))
export COMPANION_DATA
else
unexport COMPANION_DATA
endif
ifneq ($(strip $(COMPANION_CACHE)),)
override COMPANION_CACHE := $(call absolute,$(COMPANION_CACHE))
export COMPANION_CACHE
else
unexport COMPANION_CACHE
endif

# What the book and the tests run under: one thread each, no bars, claims that differ are errors.
built := book test chapter references pages colab
$(built): export OMP_NUM_THREADS := 1
$(built): export MKL_NUM_THREADS := 1
$(built): export COMPANION_PROGRESS := 0
$(built): export COMPANION_STRICT := 1
$(built): export IPYTHONDIR := $(CURDIR)/_build/ipython
book chapter references: export COMPANION_DATASET := $(DATASET)
test colab: export COMPANION_DATASET := digits
test colab: export NETWORK_GEOMETRY_FULL :=
bench: export OMP_NUM_THREADS := 1
bench: export MKL_NUM_THREADS := 1
bench: export COMPANION_PROGRESS := 0

.NOTPARALLEL:
.PHONY: help book test pages colab chapter references lab student teacher normalize bench address conda versions binder clean clean-env environment checked

help:
	@echo "make book         execute every chapter and build the pages  (DATASET=mnist: on MNIST)"
	@echo "make test         run the tests, then every chapter as a test"
	@echo "make pages        open every page of the built book in a browser, and run a chapter"
	@echo "                  in JupyterLab  (needs Chromium; NAME=prologue: that one, NAME=all)"
	@echo "make colab        run every chapter with the versions that Colab ships"
	@echo "                  (PYTHON=python3.13)"
	@echo "make chapter      execute one chapter, then build the pages"
	@echo "                  (NAME=distances/metric_structure)"
	@echo "make lab          open the chapters in JupyterLab"
	@echo "make student      write the chapters without solutions into _build/student"
	@echo "make teacher      write them with the solutions open into _build/teacher"
	@echo "make references   train the reference networks that are missing  (DATASET=mnist)"
	@echo "make normalize    bring the notebooks into the form in which they are committed"
	@echo "make bench        compare the speed of the instruments with their alternatives"
	@echo "make address      carry the repository's address from pyproject.toml to the other files"
	@echo "make conda        write the versions of constraints.txt into environment.yml"
	@echo "make versions     compare constraints-colab.txt with what Colab publishes"
	@echo "make binder       build the image as Binder does, and run a chapter in it  (needs Docker)"
	@echo "make clean        remove what was built"
	@echo "make clean-env    remove the environment .venv"
	@echo
	@echo "The first command makes the environment .venv with the versions of constraints.txt, with uv"
	@echo "if it is on the path. PYTHON=python3.12 chooses its interpreter. Without an NVIDIA device"
	@echo "PyTorch comes in its CPU builds; TORCH_INDEX=default takes those of the ordinary index,"
	@echo "TORCH_INDEX=ADDRESS those of any other, TORCH_INDEX=cpu the CPU builds in any case."

# ---- the environment -------------------------------------------------------------------------

# An editable installation holds this folder's address: a folder that was moved needs a new one.
ifneq ($(shell cat .venv/.folder 2>/dev/null),$(CURDIR))
.PHONY: .venv/.stamp
endif

unfinished = echo "The installation did not finish: run the same command again to go on with it; if it stops"; \
  echo "at the same place with the network there, run 'make clean-env' first."; exit 1
damaged = echo "The environment is damaged: run 'make clean-env', then the same command again."; exit 1

# What reading needs: the book's extra.
.venv/.stamp: constraints.txt pyproject.toml
	@$(PYTHON) -c '' 2>/dev/null || { \
	  echo "No $(PYTHON) runs here: install Python 3.11.5 to 3.13, or name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11, 5) <= sys.version_info[:3] < (3, 14))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1): 3.11.5 to 3.13 is needed, name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) lacks venv or ensurepip: install them (Debian, Ubuntu: apt install python3-venv)."; exit 1; }
	@echo "== installing the locked versions into .venv"
	@$(PY) -m pip --version >/dev/null 2>&1 || { rm -rf .venv; $(PYTHON) -m venv .venv; } || { \
	  echo "No environment could be made: run 'make clean-env', then the same command again."; exit 1; }
	@$(PY) tools/install.py --torch-index "$(TORCH_INDEX)" book || { $(unfinished); }
	@$(PY) -c 'import torch, torchvision, sklearn, matplotlib, sphinx, jupyterlab, companion' || { $(damaged); }
	@printf '%s' "$(CURDIR)" > .venv/.folder
	@touch $@

# What the tests need beside it; the builds of PyTorch are those that are there.
.venv/.tests: .venv/.stamp
	@echo "== adding what the tests need"
	@$(PY) tools/install.py --torch-index default test || { $(unfinished); }
	@$(PY) -c 'import pytest, hypothesis, nbval, playwright, foolbox, companion' || { $(damaged); }
	@touch $@

checked: environment .venv/.tests

environment: .venv/.stamp
	@mkdir -p _build/ipython
	@$(PY) -c '' 2>/dev/null || { \
	  echo "The interpreter of .venv is gone: run 'make clean-env', then the same command again."; exit 1; }
ifneq ($(CHOSEN),)
	@test "$$($(PYTHON) -c 'import sys; print(sys.version_info[:2])' 2>&1)" \
	  = "$$($(PY) -c 'import sys; print(sys.version_info[:2])')" || { \
	  echo "PYTHON=$(PYTHON) is not the $$($(PY) -V) of .venv: run 'make clean-env' to change it."; exit 1; }
endif

# ---- the book --------------------------------------------------------------------------------

# Sphinx takes a page that it read with warnings for up to date, so that a failed build would pass
# the second time. What it remembers is used only if the last thing that wrote it was a build that
# passed; the executed chapters stay in their own cache.
jupyter_book = $(PY) -c 'from jupyter_book.cli.main import main; main()'
define build_pages
@echo "== building the pages"
@test _build/.passed -nt _build/.doctrees/environment.pickle || rm -rf _build/.doctrees
@rm -f _build/.passed
@$(jupyter_book) build . -q -W --keep-going -n > /dev/null || { rm -rf _build/.doctrees; \
  echo "The book was not built: the warnings above are errors, each names its page."; exit 1; }
@touch _build/.passed
@echo
@echo "The book ($(DATASET)) is in $(CURDIR)/_build/html. To read it, open this file in a browser:"
@echo "  file://$(CURDIR)/_build/html/index.html"
@echo "or, from another machine, run $(PY) -m http.server -d _build/html and open port 8000."
endef

book: environment
	@echo "== reference networks ($(DATASET)): training those that are missing, two at a time"
	@$(PY) tools/references.py $(DATASET)
	@echo "== executing the chapters ($(DATASET)), two at a time"
	@$(PY) tools/execute.py
	$(build_pages)

chapter: environment
	@test -n "$(NAME)" || { echo "Which chapter? make chapter NAME=distances/metric_structure"; exit 1; }
	@echo "== reference networks ($(DATASET)): training those that are missing, two at a time"
	@$(PY) tools/references.py $(DATASET)
	@echo "== executing $(NAME) ($(DATASET))"
	@$(PY) tools/execute.py --only $(NAME)
	$(build_pages)

references: environment
	@$(PY) tools/references.py $(DATASET)

lab: environment
	@$(PY) -m jupyterlab book

student teacher: environment
	@$(PY) tools/lessons.py $@

# ---- the tests -------------------------------------------------------------------------------

test: checked
	@echo "== reference networks (digits): training those that are missing, two at a time"
	@$(PY) tools/references.py digits
	@echo "== tests, doctests"
	@$(PY) -m pytest -q -n 2
	@echo "== every chapter as a test (digits)"
	@chapters="$$($(PY) tools/chapters.py)" && if test -n "$$chapters"; then \
	  $(PY) -m pytest -q -n 2 --dist loadfile --nbval-lax --nbval-current-env $$chapters; \
	  else echo "no chapter yet"; fi

# The pages of the last book, one browser after another, so that what it prints stays together.
pages: checked
	@echo "== every page in a browser"
	@$(PY) -m pytest -q tests/test_pages.py
	@echo "== a chapter in JupyterLab"
	@$(PY) -m pytest -q tests/test_lab.py --lab $(or $(NAME),distances/metric_structure)

# An environment of its own, and networks of its own: other versions would train others.
colab_folder := $(CURDIR)/_build/colab
colab_python := "$(colab_folder)/venv/bin/python"
colab_wanted := $(shell sed -n 's/.*beside Python \(3[.][0-9]*\).*/\1/p' constraints-colab.txt)
colab:
	@test "$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>&1)" = "$(colab_wanted)" || { \
	  echo "Colab runs Python $(colab_wanted), and $(PYTHON) is not: name one with PYTHON=python$(colab_wanted)."; exit 1; }
	@echo "== installing the versions of constraints-colab.txt into _build/colab"
	@mkdir -p "$(colab_folder)/cache"
	@test -x $(colab_python) || $(PYTHON) -m venv "$(colab_folder)/venv"
	@$(colab_python) tools/install.py --torch-index "$(TORCH_INDEX)" --lock constraints-colab.txt \
	  --also ipykernel test
	@echo "== reference networks (digits): training those that are missing, two at a time"
	@COMPANION_CACHE="$(colab_folder)/cache" $(colab_python) tools/references.py digits
	@echo "== every chapter with Colab's versions (digits)"
	@COMPANION_CACHE="$(colab_folder)/cache" $(colab_python) -m pytest -q -n 2 --dist loadfile \
	  --nbval-lax --nbval-current-env $$($(colab_python) tools/chapters.py)

# The image of Binder, by the program that Binder uses, and a reader's first chapter in it.
binder_python := "$(CURDIR)/_build/binder/bin/python"
binder:
	@docker info > /dev/null 2>&1 || { \
	  echo "No Docker engine answers here: start one, or open the repository on Binder."; exit 1; }
	@test -x $(binder_python) || $(PYTHON) -m venv "$(CURDIR)/_build/binder"
	@$(binder_python) -m pip install -q --disable-pip-version-check jupyter-repo2docker==$(REPO2DOCKER)
	@$(binder_python) -m repo2docker --user-id 1000 --user-name jovyan . \
	  python tools/execute.py --only prologue

versions: environment
	@$(PY) tools/colab.py

bench: checked
	@$(PY) -m benchmarks

# ---- keeping house ---------------------------------------------------------------------------

normalize: environment
	@$(PY) tools/normalize.py

address: environment
	@$(PY) tools/address.py

conda: environment
	@$(PY) tools/conda.py

clean:
	rm -rf _build build dist *.egg-info .hypothesis .ruff_cache .import_linter_cache
	find book companion tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
	@echo "Downloads and trained networks are still in data/, the environment in .venv (make clean-env)."

clean-env:
	rm -rf .venv
