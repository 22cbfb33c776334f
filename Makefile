# Each target makes the environment that it needs, in a fresh clone and in any order.
# ARGS goes to what the target runs:  make test ARGS="-k lock"   make bench ARGS="--quick"
# PY picks interpreters for the tests: make test PY=3.13

# The first python here that is new enough; scripts/environments.py finds the others.
PYTHON ?= $(firstword $(shell for python in python3 python3.15 python3.14 python3.13 python3.12 python3.11 \
	python $(HOME)/.pyenv/versions/*/bin/python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done))
ENVIRONMENTS = $(or $(PYTHON),$(error Python 3.11 or later was not found)) scripts/environments.py
BIN = .venv/bin
TYPED = src tests benchmarks examples scripts

.DEFAULT_GOAL := help
.PHONY: help demo test test-clients test-browser test-site check bench docs soak dist clean

help: ## what you are reading
	@echo 'In a fresh clone each of these makes the environment that it needs. ARGS="..." goes to what it runs.'
	@grep -E '^[a-z-]+:( docs)? ## ' $(MAKEFILE_LIST) | sed -E 's/:( docs)? ## /\t/' | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: ## example programs, run on every backend before your eyes; start here
	@$(ENVIRONMENTS) main --group demo
	@$(BIN)/python -m creche demo $(ARGS)

test: ## the whole suite on every CPython from 3.11 on that is installed; PY=3.13 for one
	@$(ENVIRONMENTS) test $(PY:%=--only=%) $(ARGS)

test-clients: ## FastAPI, httpx, MCP and others, and their own tests, on Creche in AnyIO's place
	@$(ENVIRONMENTS) clients $(ARGS)

test-browser: ## the page of `creche web`, tried in a real Chromium
	@$(ENVIRONMENTS) main --group test
	@$(BIN)/python -m pytest -m browser tests/insight_view $(ARGS)

test-site: docs ## the documentation, walked in a real Chromium: links, search, examples that run
	@$(ENVIRONMENTS) main --group test
	@$(BIN)/python -m pytest -m browser tests/site $(ARGS)

check: ## what a change must pass beside tests: lint, formatting, types, import contracts
	@$(ENVIRONMENTS) main --group lint
	@status=0; run() { echo "$$*"; "$$@" || status=1; }; \
	run $(BIN)/ruff check --quiet; \
	run $(BIN)/ruff format --quiet --check; \
	run $(BIN)/mypy $(TYPED); \
	run $(BIN)/mypy --python-version 3.14 src; \
	run $(BIN)/mypy --python-version 3.15 src; \
	run $(BIN)/basedpyright; \
	run $(BIN)/lint-imports --no-logo; \
	exit $$status

bench: ## times beside asyncio, AnyIO and Trio on your machine, and the chart of the README
	@$(ENVIRONMENTS) main --group bench
	@$(BIN)/python -m benchmarks $(ARGS)

docs: ## the documentation as a site, in site/
	@$(ENVIRONMENTS) main --group docs
	@rm -rf site && mkdir -p .cache && find .cache -maxdepth 1 -type f -delete # `--clean` would empty all of .cache
	@$(BIN)/zensical build --strict $(ARGS)
	@$(BIN)/python scripts/page_examples.py
	@$(BIN)/python scripts/inventory.py

dist: ## the wheel and the sdist, in dist/, tried in empty environments
	@$(ENVIRONMENTS) main --group dist
	@$(BIN)/python scripts/dist.py $(ARGS)

soak: ## the tests that take minutes each
	@$(ENVIRONMENTS) main --group test
	@$(BIN)/python -m pytest -m soak $(ARGS)
	@$(ENVIRONMENTS) clients -m soak $(ARGS)

clean: ## as after a fresh clone: no environments, nothing that was built
	rm -rf .venv .venvs site dist .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks examples scripts docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
