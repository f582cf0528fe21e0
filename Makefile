# Everything a newcomer or a developer runs. Each target installs what it needs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2

.PHONY: demo test check bench images mcpb clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.test: pyproject.toml sitecustomize/gnosis_mystic.pth | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

$(VENV)/.check: pyproject.toml | $(VENV)/.test
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[check]'
	@touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

demo: $(VENV)/.demo
	@$(BIN)/python deploy/demo/demo.py $(if $(KEEP),--keep)

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(JOBS)

check: $(VENV)/.check
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > .venv/imports.txt || (cat .venv/imports.txt; exit 1)

# make bench ONLY="calls requests" runs some sections; the full run also writes the table in docs/bench.md.
bench: .venv-bench/.bench
	@PYTHONPATH=tests .venv-bench/bin/python -m bench $(ONLY)

.venv-bench/.bench: pyproject.toml tests/bench/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check -r tests/bench/requirements.txt --editable '.[collector,otel]'
	@touch $@

# The two images, e.g. make images BASE_IMAGE=python:3.13-slim
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' agent/mystic_agent/__init__.py)
images:
	docker build --file deploy/Dockerfile --tag gnosis-mystic:$(VERSION) $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) .
	docker build --file deploy/Dockerfile.agent --tag gnosis-mystic-agent:$(VERSION) $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
	    $(if $(CARRIER_IMAGE),--build-arg CARRIER_IMAGE=$(CARRIER_IMAGE)) .

# dist/gnosis-mystic-VERSION.mcpb; the official tool is npx's, or e.g. make mcpb MCPB=mcpb
mcpb: $(VENV)/.test
	@$(BIN)/python deploy/bundle/bundle.py $(if $(MCPB),--mcpb "$(MCPB)")

clean:
	rm -rf $(VENV) .venv-*
