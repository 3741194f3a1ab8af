# Every target makes what it needs; `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SIZE := PyTorch and the scientific Python packages: about 3 GB to download and 6 GB on disk on Linux, \
where PyTorch brings its GPU libraries along, and about 1 GB elsewhere

.PHONY: help install demo test check bench docs clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

$(BIN)/biostyle: pyproject.toml constraints.txt
	@echo "Installing biostyle into $(VENV)/ — $(SIZE)."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "biostyle needs Python 3.11 or newer, got " + sys.version.split()[0] + ". Run: make PYTHON=/path/to/newer/python3")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(BIN)/pytest: pyproject.toml constraints.txt | $(BIN)/biostyle
	@echo "Installing the test and checking tools into $(VENV)/ — about 50 MB to download and 250 MB on disk."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: $(BIN)/biostyle ## make the environment and install the project

demo: $(BIN)/biostyle ## run the whole thing on simulated images (two minutes)
	@$(BIN)/biostyle demo

test: $(BIN)/pytest ## run every test that needs neither GPU nor network
	@$(BIN)/python -m pytest -m "not gpu and not network"

check: $(BIN)/pytest ## lint, types, docstrings, spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@find biostyle pipelines -name '*.py' | xargs $(BIN)/python -m numpydoc.hooks.validate_docstrings
	@$(BIN)/typos
	@echo "All checks passed."

bench: $(BIN)/pytest ## time everything against its peers (an hour on two quiet cores) and fill in docs/benchmarks.md
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@for work in generator stack overlap cluster; do $(BIN)/python benchmarks/$$work.py || exit 1; done
	@$(BIN)/python benchmarks/table.py --write
	@$(BIN)/python benchmarks/large_frame.py --edge 16384

$(BIN)/mkdocs: pyproject.toml constraints.txt | $(BIN)/biostyle
	@echo "Installing MkDocs into $(VENV)/ — about 10 MB."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(BIN)/mkdocs ## build the pages into build/docs
	@$(BIN)/mkdocs build -q

clean: ## delete the environment and everything that was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
