# make help says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
PEERS := baresip-core sip-tester iproute2
POLICIES := policies

.PHONY: help run test test-unprivileged check interop bench fuzz clean peers root

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 26

run: $(VENV)/.run certs/edge.pem certs/alice.secret ## serve policies/ here, with a test peer to call; Ctrl-C drains and ends
	@$(ignore-interrupt now)exec env --default-signal=INT $(BIN)/sbc run $(POLICIES) --testpeer

test: root peers $(VENV)/.dev ## everything, with real peers in network namespaces (root)
	@$(MAKE) check
	@$(BIN)/python -m pytest

test-unprivileged: $(VENV)/.dev ## all that needs neither root nor network namespaces
	@$(MAKE) check
	@$(BIN)/python -m pytest -m "not namespaces"

check: $(VENV)/.dev ## ruff, mypy strict, import contracts, size limits
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tests.checks.sizes

interop: root peers $(VENV)/.dev ## only the tests with real peers (root)
	@$(BIN)/python -m pytest tests/interop

bench: $(VENV)/.dev ## CPU per call and per relayed packet
	@$(BIN)/python -m tests.bench.signalling --find-max
	@$(BIN)/python -m tests.bench.signalling --tls --rates 20,100,200
	@$(BIN)/python -m tests.bench.media
	@$(BIN)/python -m tests.bench.recording

fuzz: $(VENV)/.dev ## the fuzz targets for longer than make test has time for
	@$(BIN)/python -m pytest tests/fuzz --hypothesis-profile=fuzz --timeout=1800

clean: ## remove what was built; certificates and secrets stay
	@rm -rf $(VENV) build *.egg-info .*_cache .hypothesis
	@find sbc media tests -name __pycache__ -prune -exec rm -rf {} +

peers:
	@.ci/packages $(PEERS)

root:
	$(if $(filter 0,$(shell id -u)),@:,$(error the namespaces of make $(or $(filter test interop,$(MAKECMDGOALS)),test) need root; without it run: make test-unprivileged))

# What the product needs, and on top what its tests need. Both in one environment.
$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "installing Python packages into $(VENV), which takes a minute …"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing Python packages and test tools into $(VENV), which takes a minute …"
	@$(PIP) install --editable '.[dev]'
	@touch $(VENV)/.run $@

$(BIN)/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null || .ci/packages python3-venv
	@python3 -m venv $(VENV)

certs/edge.pem certs/alice.secret &: | $(VENV)/.run
	@certs/make-dev-certs

ifeq ($(MAKECMDGOALS),run)
-load build/patient.so
build/patient.so: .ci/patient.c
	@mkdir -p $(@D)
	@$(CC) -shared -fPIC -o $@ $< 2>/dev/null || true
endif
