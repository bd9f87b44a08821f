# Every target prepares what it needs. What was prepared is remembered by files under build/stamps.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The real interpreter, not a shim: ansible-test and interpreter discovery need it.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  "$$p" -c 'import os, sys; sys.version_info >= (3, 11) or sys.exit(1); print(os.path.realpath(sys.executable))' \
  2>/dev/null && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMPS := build/stamps
COLLECTION := build/collections/ansible_collections/muster/fleet
COMMAND_PATH := $(CURDIR)/$(BIN):$(PATH):/usr/sbin:/sbin
export PATH := $(COMMAND_PATH)
PYTEST := $(BIN)/python -m pytest

PLUGINS ?= $(HOME)/.terraform.d/plugins

.PHONY: help install install-provider image libvirt demo demo-clean test unit contract e2e molecule lint fuzz bench

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMPS)/venv $(COLLECTION) ## Debian packages, .venv, the collection under build/collections

install-provider: install ## The provider of Terraform and OpenTofu, in the user's plugins (PLUGINS=FOLDER for another mirror)
	@$(BIN)/python -m muster_provider.install "$(PLUGINS)"

image: $(STAMPS)/packages ## Build the guest image, or verify the cached one, and print its path
	@$(PYTHON) -m tools.image.build

libvirt: $(STAMPS)/packages
	@$(PYTHON) -m tools.libvirt_daemon start

demo: install image libvirt ## The main job on real virtual machines on this machine
	@$(BIN)/python tools/demo.py

demo-clean: install ## Remove all that the demo made and show that nothing is left
	@$(BIN)/python tools/demo.py --clean
	@$(PYTHON) -m tools.libvirt_daemon stop

test: unit contract e2e ## Unit, contract and end-to-end tests, in this order

unit: install
	$(PYTEST) tests/unit tests/fuzz

contract: install image $(STAMPS)/packages-of-tests $(STAMPS)/cdk-cli
	$(PYTEST) tests/contract

e2e: install image
	$(PYTEST) tests/e2e

molecule: install image libvirt ## The role harden, by Molecule, on a guest that our own modules make
	@MOLECULE_GLOB='molecule/*/molecule.yml' ANSIBLE_CONFIG="$(CURDIR)/ansible.cfg" $(BIN)/molecule test --scenario-name harden

lint: install ## ruff, mypy, import-linter, ansible-lint, ansible-test sanity, changelog
	@$(BIN)/python -m tools.lint

fuzz: install ## Coverage-guided fuzzing of rules, plans and reports: 20 s for each of 15 targets
	@$(BIN)/python -m pip install --quiet --no-input --editable '.[fuzz]'
	@$(BIN)/python -m tests.fuzz.run 20

bench: install image ## Benchmarks
	$(PYTEST) -q -s tests/benchmarks

$(STAMPS)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it (Debian: apt-get install python3)." >&2; exit 2; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/packages: tools/prepare.py | $(STAMPS)/python
	@$(PYTHON) tools/prepare.py
	@touch $@

$(STAMPS)/packages-of-tests: tools/prepare.py | $(STAMPS)/python
	@$(PYTHON) tools/prepare.py --tests
	@touch $@

# The CDK's own command line, for one test, which is skipped where there is no npm.
$(STAMPS)/cdk-cli: | $(STAMPS)/python
	@if command -v npm >/dev/null; then npm install --prefix build/npm --no-audit --no-fund --loglevel=error cdktf-cli@0.21; fi
	@touch $@

$(STAMPS)/venv: pyproject.toml $(STAMPS)/packages
	@$(PYTHON) -m tools.venv
	@touch $@

$(COLLECTION):
	@mkdir -p $(dir $@)
	@ln -sfn "$(CURDIR)" $@
