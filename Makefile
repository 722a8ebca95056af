# Each target sets up what it needs. Without a target: help.
.DEFAULT_GOAL := help
SHELL := /bin/bash

BIN := .venv/bin
PLAYBOOK := $(BIN)/ansible-playbook
# MITOGEN=no runs Ansible with its own strategy: slower, the same result.
export MITOGEN ?= yes
# A third of each start of Ansible is compiling it, where its bytecode may not be kept.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/bytecode

.PHONY: help lab lab-down lab-purge images test check faults long bench docs locks tools tools-dev

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

lab: ## a laboratory on this machine, from nothing to a first scan; again: mends what is missing; INVENTORY=inventories/<site> rehearses that site
	@.ci/lab up

lab-down: ## remove the laboratory, or with INVENTORY= that rehearsal; the download and image cache stays
	@.ci/lab down

lab-purge: ## remove the laboratory, the cache and the images
	@.ci/lab purge

images: tools ## build the images of the site and print their sizes
	@.ci/with-engine $(PLAYBOOK) playbooks/build_images.yml -e build_images_wait=true

test: tools-dev ## everything but what is left to long: check, molecule scenarios, the whole laboratory and its faults
	@.ci/with-engine .ci/test

check: tools-dev ## static checks and unit tests
	@.ci/with-engine .ci/check

faults: tools-dev ## what fails, and what then happens: on the running laboratory
	@$(BIN)/pytest -c python/pyproject.toml python/tests/lab -m faults

long: tools-dev ## what `test` leaves out because it takes minutes: on the running laboratory
	@$(BIN)/pytest -c python/pyproject.toml python/tests/lab -m minutes

bench: tools-dev ## measure the laboratory, the fleet, documents and the queue; prints figures for docs/reference/performance.md
	@$(BIN)/python python/benchmarks/lab.py
	@.ci/with-engine $(BIN)/python python/benchmarks/fleet.py --reconnect
	@.ci/with-engine $(BIN)/python python/benchmarks/documents.py
	@.ci/with-engine $(BIN)/python python/benchmarks/queue_idle.py

docs: tools-dev ## generate what is generated of the documentation
	@$(BIN)/python .ci/role-readmes
	@$(BIN)/python .ci/reference-pages

locks: tools ## resolve python/pyproject.toml anew into python/locks
	@.ci/locks

tools: ## container engine, .venv and what else `lab` needs on this machine
	@.ci/bootstrap "$${BLUEFLEET_TOOLS:-control}"

tools-dev: ## that and what the tests need
	@.ci/bootstrap dev
