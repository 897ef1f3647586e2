# Two commands do everything on a machine with Python 3.11 (or newer) and make:
#   make study    make test

STUDY ?= studies/sine.toml
# Passed on to `freerun run` by `study`, to pytest by `test`.
ARGS ?=
# Passed on to pip, for example --extra-index-url with the index of torch's CPU builds.
PIP_ARGS ?=
# What `mutants` changes, the tests that may detect it (else those of its folder), and how long it, or
# `fuzz`, may take.
FILE ?= models/diagnostics/scores.py
TESTS ?=
MINUTES ?= 10

VENV := .venv
BIN := $(VENV)/bin
# What is installed, and in which versions; `oldest` and `newest` have others.
CONSTRAINTS := constraints.txt
EXTRA := dev
# Whether branch coverage is measured and printed, which takes half as long again: `make coverage`.
COVERAGE ?=
# Without byte code: compiling all that is installed takes minutes, and a study uses a tenth of it. Each
# module is compiled at its first import instead, and kept, also where the environment says not to.
# See docs/decisions/0001-install-without-byte-code.md.
export PYTHONDONTWRITEBYTECODE :=
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-compile -c $(CONSTRAINTS) $(PIP_ARGS)

.DEFAULT_GOAL := help
.PHONY: help study test coverage lint site format mutants fuzz oldest newest clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16
	@echo
	@echo 'Variables: STUDY=$(STUDY)  PYTHON=python3.11  ARGS=...  PIP_ARGS=...'

study: $(VENV)/runtime.stamp ## install, then search, train and report STUDY
	@echo 'Running $(STUDY): search, final, test, report and export. Ctrl-C keeps what is finished.'
	$(BIN)/freerun run $(STUDY) $(ARGS)
	@echo
	@echo 'Next:'
	@printf '  %-42s %s\n' \
	    '$(BIN)/freerun list' 'the studies in this folder' \
	    '$(BIN)/freerun dashboard' 'every trial, in the browser' \
	    'make study STUDY=studies/sunspots.toml' 'a measured series' \
	    '$(BIN)/freerun check FILE.toml' 'what a study file of your own would run'

# Two processes of one thread each; a file's tests stay together, as they share what is slow to make.
# In the order of the files: by number of tests, the few that take longest would come last.
# ARGS='-n 0' runs all in one process.
test: $(VENV)/dev.stamp ## install, then run the tests
	$(if $(COVERAGE),@rm -rf build/coverage && mkdir -p build/coverage)
	OMP_NUM_THREADS=1 $(BIN)/python -m $(if $(COVERAGE),coverage run -m )pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)
	$(if $(COVERAGE),@$(BIN)/coverage combine --quiet && $(BIN)/coverage report)

coverage: ## the same tests, with branch coverage
	$(MAKE) test COVERAGE=yes

lint: $(VENV)/dev.stamp ## style, format, types and the floors of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

site: $(VENV)/docs.stamp ## install, then build the documentation site into build/site/html
	$(BIN)/python -m website.build
	$(BIN)/python -m pytest -n 0 tests/docs/test_site.py tests/docs/test_notebooks.py

format: $(VENV)/dev.stamp ## put the code into the format that lint asks for
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

mutants: $(VENV)/dev.stamp ## change FILE in one place at a time; the tests should detect each change
	$(BIN)/python .ci/mutants.py $(FILE) $(if $(TESTS),--tests $(TESTS)) --minutes $(MINUTES)

fuzz: $(VENV)/dev.stamp ## try damaged files, odd arguments, URLs and requests for MINUTES
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(ARGS)

# In environments of their own. ARGS='tests/models' runs a part of the tests. An old release may use
# what a new one of another package deprecates; that fails no test of `oldest`.
NOT_PINNED := --deselect tests/test_project.py::test_constraints_cover_what_the_requirements_need
oldest: ## run the tests with the lowest versions that pyproject.toml allows
	@mkdir -p build
	@$(MAKE) --no-print-directory VENV=.venv-oldest .venv-oldest/created.stamp
	.venv-oldest/bin/python .ci/lowest.py >build/oldest.txt
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=build/oldest.txt EXTRA=test \
	    ARGS='$(NOT_PINNED) -W ignore::DeprecationWarning $(ARGS)'

newest: ## run the tests with the highest versions that pyproject.toml allows
	@mkdir -p build && rm -f .venv-newest/dev.stamp && : >build/newest.txt
	$(MAKE) test VENV=.venv-newest CONSTRAINTS=build/newest.txt EXTRA=test \
	    PIP_ARGS='--upgrade --upgrade-strategy eager $(PIP_ARGS)' ARGS='$(NOT_PINNED) $(ARGS)'

clean: ## remove the environment and all caches; studies and results stay
	rm -rf $(VENV) .venv-oldest .venv-newest build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find freerun models search benchmarks website tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written only after the whole step, so that one that was interrupted is done again.
$(VENV)/runtime.stamp: pyproject.toml $(CONSTRAINTS) | $(VENV)/created.stamp
	@echo 'Installing freerun and what it needs into $(VENV): one to three minutes, once.'
	$(INSTALL) -e .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(CONSTRAINTS) | $(VENV)/created.stamp
	@echo 'Installing freerun with the tools for tests and lint into $(VENV): one to three minutes, once.'
	$(INSTALL) -e '.[$(EXTRA)]'
	@touch $(VENV)/runtime.stamp $@

# On top of the tools for tests: where the builder is, the tests build the site and run the notebooks.
$(VENV)/docs.stamp: $(VENV)/dev.stamp
	@echo 'Installing the builder of the site into $(VENV): about a minute, once.'
	$(INSTALL) -e '.[docs]'
	@touch $@

# An environment that is there is kept with all that is in it, since whoever made it may have put more into
# it; one whose creation was interrupted, or whose Python is gone, is completed (venv would leave links that
# lead nowhere as they are). Only `clean` removes one.
RUNS := $(BIN)/python -c '' 2>/dev/null
TOO_OLD := sys.version_info < (3, 11)
WORKS := $(BIN)/python -c 'import sys; sys.exit($(TOO_OLD) or sys.prefix == sys.base_prefix)' 2>/dev/null
$(VENV)/created.stamp:
	@if $(RUNS) && $(WORKS) && { $(BIN)/python -m pip --version || $(BIN)/python -m ensurepip; } >/dev/null 2>&1; then \
	    echo "Using the environment $(VENV), which is there ($$($(BIN)/python --version))"; touch $@; exit; \
	fi; \
	if $(RUNS) || { [ -e $(VENV) ] && [ ! -e $(VENV)/pyvenv.cfg ] && ! rmdir $(VENV) 2>/dev/null; }; then \
	    echo '$(VENV) must be an environment of Python 3.11 or newer that works, but is none. Move it away, remove it' >&2; \
	    echo 'with make clean, or name another place for one: make VENV=.venv-freerun ...' >&2; \
	    exit 2; \
	fi; \
	for python in $(or $(PYTHON),python3.11 python3); do \
	    if $$python -c 'import ensurepip, sys, venv; sys.exit($(TOO_OLD))' 2>/dev/null; then \
	        echo "Creating $(VENV) with $$python ($$($$python --version))"; \
	        rm -f $(BIN)/python $(BIN)/python3*; $$python -m venv $(VENV) && touch $@; exit; \
	    fi; \
	done; \
	echo 'freerun needs Python 3.11 or newer with its venv module, but found none as: $(or $(PYTHON),python3.11 python3).' >&2; \
	echo 'Install it (Debian and Ubuntu: apt-get install python3.11 python3.11-venv), or name one: make PYTHON=/path/to/python3.11 ...' >&2; \
	exit 2
