# make help says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
COMPILER := gcc libc6-dev libssl-dev
XDP := clang libbpf-dev libxdp-dev ethtool
PEERS := baresip-core linphone-cli sip-tester secsipidx sipvicious iproute2 nftables
FETCHED := $(or $(SBC_PEERS),$(HOME)/.cache/sbc-peers)
POLICIES := policies
COMPILED_FIRST := $(CURDIR)/build/compiled:$(CURDIR)
TRAINED_FIRST := $(CURDIR)/build/trained:$(CURDIR)
NATIVE := $(wildcard media/native/*.[ch] sbc/native/*.[ch])
EXPRESS := $(wildcard media/native/xdp/*.[chS] media/native/*.h)
CORE_TESTS := tests/unit tests/scenarios tests/vectors tests/fuzz tests/policies

.PHONY: help run test express test-unprivileged test-compiled check compiled wheel interop interop-asterisk bench bench-media bench-attack fuzz soak-media clean peers compiler root

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 26

run: $(VENV)/.run certs/edge.pem certs/alice.secret certs/stir.pem ## serve policies/ here, with a test peer to call; Ctrl-C drains and ends
	@$(ignore-interrupt now)exec env --default-signal=INT $(BIN)/sbc run $(POLICIES) --testpeer

test: root peers compiler express $(VENV)/.dev ## everything, with real peers in network namespaces (root)
	@$(MAKE) check
	@$(BIN)/python -m pytest
	@$(MAKE) test-compiled

test-unprivileged: compiler $(VENV)/.dev ## all that needs neither root nor network namespaces
	@$(MAKE) check
	@$(BIN)/python -m pytest -m "not namespaces"

test-compiled: build/compiled/.built ## what has no sockets of its own, once more with the compiled core
	@PYTHONPATH=$(COMPILED_FIRST) $(BIN)/python -P -m pytest --import-mode=append -m "not interpreted and not namespaces" --core=compiled $(CORE_TESTS)

check: $(VENV)/.dev ## ruff, mypy strict, import contracts, size limits, rows of the standards without a test
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tests.checks.sizes
	@$(BIN)/python -m tests.checks.rows

interop: root peers $(VENV)/.dev ## only the tests with real peers, browsers among them, which are fetched (root)
	@.ci/packages chromium
	@.ci/peers $(FETCHED) npm aiortc sid
	@command -v kamailio >/dev/null || echo "Kamailio is not installed, which starts a server when it is: tests/interop/carrier is left out" >&2
	@$(BIN)/python -m pytest tests/interop --peers $(FETCHED) --ignore tests/interop/asterisk \
		$$(command -v kamailio >/dev/null || echo --ignore tests/interop/carrier)

interop-asterisk: root peers $(VENV)/.dev ## the same with Asterisk, which is fetched, in six minutes (root)
	@.ci/peers $(FETCHED) sid
	@$(BIN)/python -m pytest tests/interop/asterisk --peers $(FETCHED)

compiled: build/compiled/.built ## the product with its core compiled to C, in build/compiled

wheel: build/trained/.built ## the same once more, arranged by what calls run of it, as dist/sbc-*.whl, for this Python and machine
	@mkdir -p dist
	@cp -v build/trained/*.whl dist/

bench: export PYTHONPATH = $(TRAINED_FIRST)
bench: build/trained/.built ## CPU per call and per relayed packet, goodput in overload, 40 minutes
	@$(BIN)/python -P -m tests.bench.core
	@$(BIN)/python -P -m tests.bench.decide
	@$(BIN)/python -P -m tests.bench.signalling --find-max
	@$(BIN)/python -P -m tests.bench.signalling --tls --rates 20,100,200
	@$(BIN)/python -P -m tests.bench.overload
	@$(BIN)/python -P -m tests.bench.recording
	@$(BIN)/python -P -m tests.bench.link
	@$(BIN)/python -P -m tests.bench.identity
	@$(BIN)/python -P -m tests.bench.reloads
	@$(BIN)/python -P -m tests.bench.registrations --users 10000
	@$(BIN)/python -P -m tests.bench.registrations --users 5000 --tls
	@$(MAKE) bench-media

bench-media: $(VENV)/.dev ## CPU per relayed packet, delay, growth, overload; beside rtpengine
	@.ci/packages rtpengine-daemon 2>/dev/null || true
	@$(BIN)/python -m tests.bench.media
	@$(BIN)/python -m tests.bench.host

bench-attack: root peers $(VENV)/.dev ## floods and scans of half a minute each, and what calls notice of them (root)
	@$(BIN)/python -m tests.bench.attack --seconds $(or $(SECONDS),30)

fuzz: compiler $(VENV)/.dev ## the fuzz targets for longer than make test has time for
	@$(BIN)/python -m pytest tests/fuzz tests/scenarios/test_chaos.py tests/scenarios/test_chaos_dialog.py --hypothesis-profile=fuzz --timeout=1800 --fuzz-seconds=60

soak-media: compiler $(VENV)/.dev ## the engine in C under churn, under sanitizers, for 10 minutes
	@$(BIN)/python -m tests.bench.soak_media

clean: ## remove what was built; certificates and secrets stay
	@rm -rf $(VENV) build *.egg-info .*_cache .hypothesis
	@find sbc media tests -name __pycache__ -prune -exec rm -rf {} +

peers:
	@.ci/packages $(PEERS)

compiler: # of the engine in C and what tests it; the sanitizers come with gcc
	@.ci/packages $(COMPILER)
	@python3 -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null || .ci/packages python3-dev

express: # the compiler and the libraries of XDP
	@.ci/packages $(XDP)

root:
	$(if $(filter 0,$(shell id -u)),@:,$(error the namespaces of make $(or $(firstword $(filter test interop interop-asterisk bench-attack,$(MAKECMDGOALS))),test) need root; without it run: make test-unprivileged))

# Compiled by mypyc from a copy of the sources, which takes a minute or two, and twice that when trained; see deploy/compiled.
build/compiled/.built build/trained/.built: build/%/.built: $(shell find sbc media deploy/compiled -name '*.py') $(NATIVE) | $(VENV)/.dev
	@$(BIN)/python -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null || .ci/packages python3-dev
	@echo "compiling the core, which takes some minutes …"
	@$(BIN)/python -m deploy.compiled.build $(if $(filter trained,$*),--trained) build/$*
	@touch $@

# What the product needs, and on top what its tests need. Both in one environment, with the media engine compiled where that can be.
$(VENV)/.run: pyproject.toml $(NATIVE) $(EXPRESS) | $(BIN)/python
	@$(compiler)
	@echo "installing Python packages into $(VENV), which takes a minute …"
	@$(PIP) install --editable .
	@$(xdp)
	@touch $@

$(VENV)/.dev: pyproject.toml $(NATIVE) $(EXPRESS) | $(BIN)/python
	@$(compiler)
	@echo "installing Python packages and test tools into $(VENV), which takes a minute …"
	@$(PIP) install --editable '.[dev]'
	@$(xdp)
	@touch $(VENV)/.run $@

$(BIN)/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null || .ci/packages python3-venv
	@python3 -m venv $(VENV)

# A compiler, and the headers of Python and OpenSSL; without them, and without root to install them, the portable engine serves.
define compiler
printf '#include <Python.h>\n#include <openssl/evp.h>\n' | \
	$(CC) -E -I"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')" - >/dev/null 2>&1 || \
	.ci/packages gcc libc6-dev libssl-dev python3-dev || \
	echo "the media engine will not be compiled: the portable one serves, at several times the CPU" >&2
endef

# XDP, where clang and the libraries are: without them packets go through sockets, as they do unless a policy asks for more.
define xdp
if command -v clang >/dev/null && printf '#include <bpf/libbpf.h>\n#include <xdp/xsk.h>\n' | $(CC) -E - >/dev/null 2>&1; then \
	$(MAKE) -C media/native/xdp PYTHON=$(CURDIR)/$(BIN)/python || echo "XDP was not compiled: packets go through sockets" >&2; fi
endef

certs/edge.pem certs/alice.secret certs/stir.pem &: | $(VENV)/.run
	@certs/make-dev-certs --stir

ifeq ($(MAKECMDGOALS),run)
-load build/patient.so
build/patient.so: .ci/patient.c
	@mkdir -p $(@D)
	@$(CC) -shared -fPIC -o $@ $< 2>/dev/null || true
endif
