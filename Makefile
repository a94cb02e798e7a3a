# Everything runs in $(VENV), which is made when needed: no activation, nothing but Python >= 3.11 and make.
# Variables: ARGS="..." for the program that a target runs, PYTHON=... and VENV=... to choose the interpreter and the place.

VENV ?= .venv
ARGS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CANDIDATES = $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python)
SUITABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed
CLIENTS := tests/clients/node_modules/.package-lock.json
PYPI_CLIENTS := .make/clients/llm/.installed .make/clients/aider/.installed
CLOUD := $(VENV)/.cloud
AXE := tests/browser/node_modules/.package-lock.json
DEPLOYER := node_modules/.package-lock.json
LOCK := .make/lock
SITE := .make/docs/.installed
COMPILE := $(LOCK)/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-config \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

CHROMIUM := { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing chromium ..." && apt-get -qq update && \
	apt-get -qq install --no-install-recommends chromium >/dev/null; } || \
	{ echo "Chromium is needed, as \`chromium\` on the path: apt-get install chromium, or see chromium.org" >&2; exit 1; }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install start demo package deploy develop test check format-check lint mypy pyright imports format \
	test-clients test-browser test-aws test-packaging test-api docs reference fuzz soak mutants bench bench-lambda guard lock lock-clients clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

# Use

install: $(INSTALLED) ## make .venv with the copilot-gateway command
	@echo "Ready: $(BIN)/copilot-gateway"

start: $(INSTALLED) ## log in if needed and serve http://127.0.0.1:4141
	@exec $(BIN)/copilot-gateway start $(ARGS)

demo: $(INSTALLED) ## serve a fake Copilot, to try everything without a subscription
	@exec $(BIN)/python -m tests.emulators.demo $(ARGS)

package: $(INSTALLED) ## build the zip that runs on AWS Lambda
	@$(BIN)/python -m infra.aws.build_zip $(ARGS)

deploy: $(CLOUD) $(DEPLOYER) ## put the gateway into your AWS account (needs Node.js)
	@exec $(BIN)/copilot-gateway deploy $(ARGS)

# Development

develop: $(DEVELOPED) ## install the tools for development too

test: $(DEVELOPED) ## run the tests
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal -m "not clients and not aws and not fuzz and not packaging and not api and not browser" $(ARGS)

check: format-check lint mypy pyright imports ## check format, lint, types and imports
	@echo "All checks passed."

format-check: $(DEVELOPED)
	@$(BIN)/ruff format --check --quiet . || { echo "Run: make format" >&2; exit 1; }

lint: $(DEVELOPED)
	@$(BIN)/ruff check --quiet .

mypy: $(DEVELOPED)
	@$(BIN)/mypy --no-error-summary

pyright: $(DEVELOPED)
	@$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(DEVELOPED)
	@$(BIN)/lint-imports

format: $(DEVELOPED) ## format the code and repair what ruff can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

test-clients: $(DEVELOPED) ## set up real command-line clients, run them and print a table (needs Node.js)
	@$(MAKE) --no-print-directory -j3 $(CLIENTS) $(PYPI_CLIENTS)
	@$(BIN)/python -m pytest -q -m clients $(ARGS)

test-browser: $(DEVELOPED) $(AXE) ## try the pages in chromium, with and without scripts (needs Node.js)
	@command -v chromium >/dev/null || $(CHROMIUM)
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal -m browser $(ARGS)

test-packaging: $(DEVELOPED) ## install the gateway as the Dockerfile and pipx do, and run it as a user without rights
	@$(BIN)/python -m pytest -q -m packaging $(ARGS)

test-aws: $(DEVELOPED) $(DEPLOYER) ## package, deploy and run the Lambda functions against emulators (needs Node.js)
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m aws $(ARGS)

# API_EXAMPLES (20): how many of good and of bad requests for each operation. API_SEED: what they follow from.
test-api: $(DEVELOPED) ## hold the running gateway to its own OpenAPI document (Schemathesis)
	@$(BIN)/python -m pytest -q -m api $(ARGS)

# FUZZ_SECONDS: how long each of the nine groups of targets is fed (50). FUZZ_SEED: what the cases follow from.
fuzz: $(DEVELOPED) ## feed minutes of damaged input to everything that reads bytes (FUZZ_SECONDS=3600 for hours)
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 -m fuzz $(ARGS)

mutants: $(DEVELOPED) ## break each guard on purpose and see its test fail (ARGS=Origin for some)
	@$(BIN)/python -m tests.security.mutants $(ARGS)

# SOAK_SECONDS (600), SOAK_STREAMS (200), SOAK_SEED: how long, how many at once, and what is drawn.
soak: $(DEVELOPED) ## keep 200 streams going for ten minutes in front of a Copilot that misbehaves (Linux)
	@$(BIN)/python -m tests.soak

bench: $(DEVELOPED) ## measure what the gateway adds (ARGS=--quick: a minute; ARGS=--page: write the documents' tables)
	@$(BIN)/python -m benchmarks.bench $(ARGS)

bench-lambda: $(DEVELOPED) ## measure the cold start on Lambda
	@$(BIN)/python -m benchmarks.cold_start $(ARGS)

guard: $(DEVELOPED) ## count the instructions of the hot path against their budget (needs valgrind)
	@$(BIN)/python -m benchmarks.guard $(ARGS)

docs: $(SITE) ## build the documentation into site/; every link inside must lead somewhere
	@NO_MKDOCS_2_WARNING=1 .make/docs/bin/mkdocs build --quiet --strict --clean
	@echo "Ready: site/index.html"

reference: $(INSTALLED) ## write the tables of docs/settings.md and docs/api.md anew
	@PYTHONPATH=. $(BIN)/python docs/reference/write.py

lock: $(LOCK)/.installed ## pin what pyproject.toml asks for; UPGRADE=1 takes the newest versions
	@echo "Choosing versions ..."
	@mkdir -p requirements
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file requirements/runtime.txt pyproject.toml
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file requirements/build.txt --only-build-deps --build-deps-for editable pyproject.toml
	@for group in dev docs lambda; do \
		$(LOCK)/bin/python -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"][sys.argv[1]], sep="\n")' \
			$$group > .make/$$group.in || exit 1; \
	done
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file requirements/lambda.txt --constraint requirements/runtime.txt --no-annotate \
		pyproject.toml .make/lambda.in
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file requirements/dev.txt --constraint requirements/runtime.txt \
		--constraint requirements/build.txt --no-annotate pyproject.toml .make/dev.in
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file requirements/docs.txt --constraint requirements/dev.txt --no-annotate .make/docs.in
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file requirements/aws.txt --extra aws --no-annotate --constraint requirements/runtime.txt \
		--constraint requirements/dev.txt pyproject.toml

# Apart from `lock`: each client is one program with libraries of its own, and some have a hundred.
lock-clients: $(LOCK)/.installed ## pin the clients from PyPI that `make test-clients` runs
	@echo "llm==0.36" > .make/llm.in
	@echo "aider-chat==0.86.2" > .make/aider.in
	@for client in llm aider; do \
		$(COMPILE) --no-annotate --output-file tests/clients/$$client.txt .make/$$client.in || exit 1; \
	done

clean: ## remove everything that make made
	@rm -rf $(VENV) .make .serverless build dist site node_modules tests/clients/node_modules tests/browser/node_modules
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What the targets above need. A stamp is newer than what it was made from.

$(BIN)/python:
	@for python in $(CANDIDATES); do \
		if "$$python" -c '$(SUITABLE)' >/dev/null 2>&1; then \
			echo "Creating $(VENV) with $$("$$python" -V) ..."; \
			exec "$$python" -m venv --clear $(VENV); \
		fi; \
	done; \
	echo "Python 3.11 or newer with its venv module is needed: see python.org, or name one with PYTHON=..." >&2; \
	exit 1

$(INSTALLED): pyproject.toml requirements/runtime.txt requirements/build.txt | $(BIN)/python
	@echo "Installing the gateway ..."
	@$(PIP) install --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVELOPED): requirements/dev.txt $(INSTALLED)
	@echo "Installing the tools for development ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(CLOUD): requirements/aws.txt $(INSTALLED)
	@echo "Installing AWS's library ..."
	@$(PIP) install --require-hashes -r requirements/aws.txt
	@touch $@

$(SITE): requirements/docs.txt | $(BIN)/python
	@echo "Installing what builds the documentation ..."
	@$(BIN)/python -m venv --clear .make/docs
	@.make/docs/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

$(DEPLOYER): package.json package-lock.json
	@command -v npm >/dev/null || { echo "Node.js with npm is needed: see nodejs.org" >&2; exit 1; }
	@echo "Installing osls, which deploys ..."
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(AXE): tests/browser/package.json tests/browser/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js with npm is needed: see nodejs.org" >&2; exit 1; }
	@echo "Installing axe-core, which judges the pages ..."
	@npm ci --prefix tests/browser --no-audit --no-fund --loglevel=error
	@touch $@

# Not `npm ci`: it wants every platform's parts in the lock, and a registry need not have them all.
$(CLIENTS): tests/clients/package.json tests/clients/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js with npm is needed: see nodejs.org" >&2; exit 1; }
	@echo "Installing the command-line clients from npm ..."
	@npm install --prefix tests/clients --no-save --no-audit --no-fund --loglevel=error
	@touch $@

# aider runs on nothing newer than 3.12.
.make/clients/%/.installed: tests/clients/%.txt | $(BIN)/python
	@echo "Installing $* ..."
	@for python in python3.11 python3.12 $(BIN)/python; do \
		if "$$python" -c '$(SUITABLE)' >/dev/null 2>&1; then exec "$$python" -m venv --clear .make/clients/$*; fi; \
	done
	@.make/clients/$*/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

# The oldest Python that is served, so that nothing is chosen which it could not run.
$(LOCK)/.installed:
	@python3.11 -m venv --clear $(LOCK) || { echo "Python 3.11 is needed to choose the versions." >&2; exit 1; }
	@$(LOCK)/bin/python -m pip --disable-pip-version-check --quiet install pip-tools
	@touch $@
