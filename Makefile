# Every target sets up what it needs in .venv; a stamp there makes the next run instant.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check lint type coverage bench fuzz soak generate picture docs release env clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile
demo: .venv/.ready ## see it work on flows of its own; the system's table is not touched
	@bash scripts/demo.sh
test: .venv/.dev ## all tests (those that need a real kernel want root), a share for each core
	$(BIN)/python -m pytest -n auto --dist worksteal
check: lint type test ## lint, types and tests
lint: .venv/.dev ## ruff, its format, and codespell
	$(BIN)/python -m ruff check . && $(BIN)/python -m ruff format --check . && $(BIN)/codespell
type: .venv/.dev ## mypy, strict
	$(BIN)/python -m mypy
coverage: .venv/.dev ## all tests, and how much of the source they run (less than the threshold fails)
	$(BIN)/python -m pytest -n auto --dist worksteal --cov
bench: .venv/.dev ## the measurements (root)
	$(BIN)/python -m bench
fuzz: .venv/.dev ## the property tests, 20,000 examples each
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=fuzz
soak: .venv/.dev ## the tests that fill whole tables or take minutes (root)
	$(BIN)/python -m pytest -m soak
generate: .venv/.dev ## what is derived from the schema and the list of differences
	$(BIN)/python -m scripts.generate
picture: .venv/.ready ## draw docs/demo.svg, what the demo shows (root)
	$(BIN)/python -m scripts.picture
docs: .venv/.docs ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
release: .venv/.dev ## build and check what would be published, into dist/; nothing is published
	$(BIN)/python scripts/release.py
env: .venv/.dev ## only the set-up: .venv with everything the tests need
clean: ## remove .venv and what the tools left
	rm -rf .venv site dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Missing: Python 3.11 or newer. Name one like this: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Missing: Python's venv module. On Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Setting up .venv ..."
	@$(PYTHON) -m venv .venv
.venv/.ready: pyproject.toml | $(BIN)/python
	@echo "Installing conntrack into .venv ..."
	@$(BIN)/python -m pip install -q -e . && touch $@
.venv/.dev: pyproject.toml | .venv/.ready
	@echo "Installing the development tools into .venv ..."
	@$(BIN)/python -m pip install -q 'pip>=25.1' && $(BIN)/python -m pip install -q --group dev && touch $@
.venv/.docs: pyproject.toml | .venv/.ready
	@$(BIN)/python -m pip install -q 'pip>=25.1' && $(BIN)/python -m pip install -q --group docs && touch $@
