# `make` alone lists the targets. Everything lives in .venv and .venvs; nothing else is touched.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The first supported Python that runs; PYTHON=/path/to/python overrides it.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& command -v $$name && break; done)
VENV ?= .venv
LOWEST_VENV ?= .venvs/lowest
DEEP_VENV ?= .venvs/deepagents
PROVIDERS_VENV ?= .venvs/providers
DEMO_VENV ?= .venvs/demo
WORKERS ?= 3
VERSIONS := 3.12 3.13
PYTEST_ARGS ?=
DEMO_ARGS ?=
BENCH ?= all

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOWEST_STAMP := $(LOWEST_VENV)/.installed
DEEP_STAMP := $(DEEP_VENV)/.installed
PROVIDERS_STAMP := $(PROVIDERS_VENV)/.installed
# Where the developers' environment is already, the demo takes that; else a third of its packages do.
DEMO_STAMP := $(if $(wildcard $(STAMP)),$(STAMP),$(DEMO_VENV)/.installed)
PIP_FLAGS := --quiet --quiet --disable-pip-version-check --no-input
LOCK_FLAGS := --universal --python-version 3.11 --no-header --no-annotate --quiet
LOWEST_EXTRAS := $(addprefix --extra ,langchain langgraph openai cli testing cassettes report dash redis prometheus otel)

.PHONY: help setup test docs environments test-versions demo lint types test-lowest test-deep test-providers pytest coverage bench bench-micro bench-congestion pictures format lock clean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

# uv unpacks two hundred packages in seconds, where pip takes a minute on each environment.
UV := .venvs/uv/bin/uv
$(UV): requirements/uv.txt
	@test -z '$(PYTHON)' || { '$(PYTHON)' -m venv .venvs/uv \
		&& .venvs/uv/bin/python -m pip install $(PIP_FLAGS) -r $<; } || rm -rf .venvs/uv

# $(call environment,folder,lock): an environment that holds exactly what the lock says. Where uv
# cannot be had or finds no index, pip does it. What is never imported need not be compiled.
define environment
	@test -n '$(PYTHON)' || { \
		echo 'No Python 3.11, 3.12 or 3.13 found: install one, or name it: make PYTHON=/path/to/python'; \
		exit 1; }
	@echo 'Setting up $(1) from $(2) (some seconds, or a minute where pip does it)'
	@rm -rf $(1)
	@'$(PYTHON)' -m venv $(1) || { \
		echo 'No virtual environment could be made: on Debian and Ubuntu, install python3-venv.'; exit 1; }
	@$(UV) pip install --quiet --no-deps --python $(1)/bin/python -r $(2) 2>/dev/null \
		|| $(1)/bin/python -m pip install $(PIP_FLAGS) --no-compile --no-deps -r $(2)
	@touch $@
endef

# $(call editable,folder): this project in that environment, without its requirements.
define editable
	@$(1)/bin/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation --editable .
	@touch $@
endef

$(VENV)/.locked: requirements/dev.txt | $(UV)
	$(call environment,$(VENV),requirements/dev.txt)

$(LOWEST_VENV)/.locked: requirements/lowest.txt | $(UV)
	$(call environment,$(LOWEST_VENV),requirements/lowest.txt)

$(DEEP_VENV)/.locked: requirements/deepagents.txt | $(UV)
	$(call environment,$(DEEP_VENV),requirements/deepagents.txt)

$(PROVIDERS_VENV)/.locked: requirements/providers.txt | $(UV)
	$(call environment,$(PROVIDERS_VENV),requirements/providers.txt)

$(DEMO_VENV)/.locked: requirements/quickstart.txt | $(UV)
	$(call environment,$(DEMO_VENV),requirements/quickstart.txt)

$(STAMP): $(VENV)/.locked pyproject.toml
	$(call editable,$(VENV))

$(LOWEST_STAMP): $(LOWEST_VENV)/.locked pyproject.toml
	$(call editable,$(LOWEST_VENV))

$(DEEP_STAMP): $(DEEP_VENV)/.locked pyproject.toml
	$(call editable,$(DEEP_VENV))

$(PROVIDERS_STAMP): $(PROVIDERS_VENV)/.locked pyproject.toml
	$(call editable,$(PROVIDERS_VENV))

$(DEMO_VENV)/.installed: $(DEMO_VENV)/.locked pyproject.toml
	$(call editable,$(DEMO_VENV))

setup: $(STAMP) ## Make .venv: the locked tools and this project, editable.

test: $(STAMP) ## Set up, then run all checks.
	@echo 'All checks, in five steps: some twenty minutes on two cores. The last are the tests.'
	@begun=$$(date +%s); step=0; \
	for target in lint 'types docs environments' test-lowest test-versions pytest; do \
		step=$$((step + 1)); \
		echo "== step $$step of 5: $$target ($$(( ($$(date +%s) - begun) / 60 )) min so far)"; \
		$(MAKE) --no-print-directory -j2 $$target || exit 1; \
	done

# Made while the types are checked: packages are unpacked on one core.
environments: $(STAMP) ## Make the environments of the other versions that are tested.
	@$(MAKE) --no-print-directory $(LOWEST_STAMP)
	@for version in $(VERSIONS); do \
		python=$$(.ci/find-python $$version) || continue; \
		$(MAKE) --no-print-directory .venvs/$$version/.installed PYTHON="$$python" || exit 1; \
	done

demo: $(DEMO_STAMP) ## Set up what it needs, then run some twenty agents unmanaged and managed.
	@$(dir $<)bin/agentrm demo $(DEMO_ARGS)
	@echo "The command is here: $(dir $<)bin/agentrm"

lint: $(STAMP) ## Check style and formatting.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

docs: $(STAMP) ## Build the documents as a site in build/site; a dead link is an error.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "The site: $(CURDIR)/build/site/index.html"

# What takes no minute: types, policies, counts. `make test-versions FAST=tests` runs the rest too.
FAST := tests/types tests/policy tests/counting tests/test_import_circles.py
test-versions: ## Run the fast part of the tests on Python 3.12 and 3.13, where they are found.
	@for version in $(VERSIONS); do \
		python=$$(.ci/find-python $$version) || { \
			echo "Python $$version was not found here: its tests are skipped."; continue; }; \
		$(MAKE) .venvs/$$version/.installed PYTHON="$$python" || exit 1; \
		echo "Python $$version: the fast part of the tests"; \
		.venvs/$$version/bin/python -m pytest -m 'not slow' -n $(WORKERS) -q -p no:cacheprovider $(FAST) \
			|| exit 1; \
	done

.PRECIOUS: .venvs/%/.locked
.venvs/%/.installed: .venvs/%/.locked pyproject.toml
	$(call editable,.venvs/$*)

.venvs/%/.locked: requirements/dev.txt | $(UV)
	$(call environment,.venvs/$*,requirements/dev.txt)

types: $(STAMP) ## Check the types, strictly.
	@$(BIN)/mypy

test-lowest: $(LOWEST_STAMP) ## Run the tests marked `lowest` on the oldest versions supported.
	@$(LOWEST_VENV)/bin/python -m pytest -m lowest -n $(WORKERS) -q -p no:cacheprovider

test-deep: $(DEEP_STAMP) ## Run the tests with deepagents, whose versions fit no other lock.
	@$(DEEP_VENV)/bin/python -m pytest -q -p no:cacheprovider tests/deepagents

test-providers: $(PROVIDERS_STAMP) ## Run the providers' own packages against loopback: the table of docs/providers.md.
	@$(PROVIDERS_VENV)/bin/python -m pytest -q -p no:cacheprovider tests/providers

pytest: $(STAMP) ## Run the tests.
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations=15 $(PYTEST_ARGS)

coverage: $(STAMP) ## Require every line and branch of policy/ and kernel/ to be tested.
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov=agentrm_plugins.policy \
		--cov=agentrm_plugins.kernel --cov-branch --cov-fail-under=100 $(PYTEST_ARGS)

bench: $(STAMP) ## Do the published experiments again: BENCH=paper, hivemind, ablation, scale, demo or story (an hour).
	@$(BIN)/python -m benchmarks.published $(BENCH)

bench-micro: $(STAMP) ## Measure what the core costs, beside its peers (some minutes).
	@$(BIN)/python -m benchmarks.micro

bench-congestion: $(STAMP) ## Forty agents against limits, beside peers and an oracle (twenty minutes).
	@$(BIN)/python -m benchmarks.congestion

pictures: $(STAMP) ## Draw docs/pictures: top and the report of a crowd in virtual time (needs chromium).
	@$(BIN)/python -m benchmarks.pictures

format: $(STAMP) ## Format, and fix what can be fixed.
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: $(STAMP) $(UV) ## Choose new exact versions (needs the package index).
	@$(UV) pip compile pyproject.toml --all-extras --group dev --upgrade $(LOCK_FLAGS) \
		-o requirements/dev.txt
	@$(UV) pip compile pyproject.toml requirements/lowest.in $(LOWEST_EXTRAS) \
		--resolution lowest-direct --upgrade $(LOCK_FLAGS) -o requirements/lowest.txt
	@$(UV) pip compile pyproject.toml requirements/quickstart.in --extra quickstart \
		-c requirements/dev.txt --upgrade $(LOCK_FLAGS) -o requirements/quickstart.txt
	@$(UV) pip compile requirements/bench.in -c requirements/dev.txt --upgrade $(LOCK_FLAGS) \
		-o requirements/bench.txt
	@$(UV) pip compile pyproject.toml requirements/deepagents.in \
		--extra quickstart --upgrade $(LOCK_FLAGS) -o requirements/deepagents.txt
	@$(UV) pip compile pyproject.toml requirements/providers.in \
		--extra quickstart --upgrade $(LOCK_FLAGS) -o requirements/providers.txt
	@$(UV) pip compile requirements/litellm.in --upgrade $(LOCK_FLAGS) -o requirements/litellm.txt
	@$(UV) pip compile requirements/fleet.in --upgrade $(LOCK_FLAGS) -o requirements/fleet.txt

clean: ## Remove what these targets made.
	@rm -rf $(VENV) .venvs build dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
