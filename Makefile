# `make help` says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLER ?= $(BIN)/pip install --disable-pip-version-check
TEST_EXTRAS := site,report,$(if $(wildcard src/experiment),experiment,publish),test
SOURCES := $(shell find $(wildcard mkdocs.yml LICENSE CHANGELOG.md docs gen overrides src configs results data models checkpoints) -name __pycache__ -prune -o -print | sed 's/ /\\ /g')
LIGHTHOUSE := 12.8.2
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.PHONY: help site serve check test test-all nightly golden render format clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5) and "Python 3.11.5 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.site: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALLER) --quiet -c constraints.txt -e ".[site,report]"
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALLER) --quiet -c constraints.txt -e ".[$(TEST_EXTRAS)]"
	@touch $@ $(VENV)/.site

site: .cache/built ## Build the site into site/ and the Hub bundle into dist/hub/
	@echo
	@echo "The site is in site/, the Hub bundle in dist/hub/, a folder for each repository."
	@echo "  look:     make serve, then http://127.0.0.1:8000"
	@echo "  deploy:   $(BIN)/mkdocs gh-deploy"
	@echo "  publish:  $(BIN)/python -m src.publish, which shows a plan and asks"

.cache/built: $(VENV)/.site $(SOURCES) $(if $(and $(wildcard site/index.html),$(wildcard dist/hub/model/README.md)),,rebuild)
	@$(BIN)/mkdocs build --quiet
	@$(BIN)/python -m src.publish --dry-run > /dev/null
	@mkdir -p $(@D) && touch $@

.PHONY: rebuild
rebuild:

serve: $(VENV)/.site ## Serve the site at http://127.0.0.1:8000 and rebuild it on changes
	$(BIN)/mkdocs serve

check: $(VENV)/.test ## Format, lint, types and the quick tests, in under a minute
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 -m "not slow and not nightly"

# Tests run side by side: a second thread of one would take the time of another, most of it waiting.
check test nightly: export OMP_NUM_THREADS := 1
# Many processes import the same modules, so none may be kept from writing bytecode by the environment.
check test nightly: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.test chromium ## Everything that a change must pass: lint, types, builds, browser, publisher, models
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not nightly"

nightly: $(VENV)/.test chromium .cache/npm/lighthouse ## The tests that `make test` leaves out
	$(BIN)/python -m pytest -n 2 --dist worksteal -m nightly

test-all: ## `make test`, then `make nightly`
	$(MAKE) test
	$(MAKE) nightly

golden: $(VENV)/.site ## Write the golden copies of the documents again, after a look at what changed
	$(BIN)/python -m tests.make_golden

.PHONY: chromium
chromium:
ifeq ($(CHROMIUM),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium > /dev/null; \
	else echo "Chromium is not installed and cannot be installed here: install it, so that it is on the PATH."; exit 1; fi
endif

.cache/npm/lighthouse: | chromium # one after the other, as both may need apt-get
	@mkdir -p $(@D)
	@if ! command -v npm > /dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm > /dev/null; fi
	@if command -v npm > /dev/null; then \
		npm install --silent --no-fund --no-audit --prefix $(@D) lighthouse@$(LIGHTHOUSE) && touch $@; \
	else echo "npm is not installed and cannot be installed here: install Node with npm."; exit 1; fi

render: $(VENV)/.site ## Write README.md and the committed cards again from the record
	$(BIN)/python -m src.render

format: $(VENV)/.test ## Format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

clean: ## Remove what was built, but not the environment
	rm -rf site dist .cache

-include experiment.mk
