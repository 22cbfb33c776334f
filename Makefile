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
.PHONY: help demo test test-clients test-browser check bench docs soak dist clean

help: ## show this
	@grep -E '^[a-z-]+: ## ' $(MAKEFILE_LIST) | sed 's/: ## /\t/' | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: ## watch the task chapter come true on every backend
	@$(ENVIRONMENTS) main --group demo
	@$(BIN)/python -m creche demo $(ARGS)

test: ## run the tests on every CPython from 3.11 on
	@$(ENVIRONMENTS) test $(PY:%=--only=%) $(ARGS)

test-clients: ## run FastAPI, httpx, MCP and others, and their own tests, on Creche in AnyIO's place
	@$(ENVIRONMENTS) clients $(ARGS)

test-browser: ## run the tests of the page, in a real Chromium
	@$(ENVIRONMENTS) main --group test
	@$(BIN)/python -m pytest -m browser tests/insight_view $(ARGS)

check: ## lint, formatting, types, import contracts
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

bench: ## measure against asyncio, AnyIO and Trio
	@$(ENVIRONMENTS) main --group bench
	@$(BIN)/python -m benchmarks $(ARGS)

docs: ## build the documentation into site/
	@$(ENVIRONMENTS) main --group docs
	@$(BIN)/zensical build --clean --strict $(ARGS)
	@$(BIN)/python scripts/inventory.py

dist: ## build the wheel and the sdist, and try them in empty environments
	@$(ENVIRONMENTS) main --group dist
	@$(BIN)/python scripts/dist.py $(ARGS)

soak: ## run the tests that take minutes
	@$(ENVIRONMENTS) main --group test
	@$(BIN)/python -m pytest -m soak $(ARGS)
	@$(ENVIRONMENTS) clients -m soak $(ARGS)

clean: ## remove the environments and everything that was built
	rm -rf .venv .venvs site dist .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks examples scripts docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
