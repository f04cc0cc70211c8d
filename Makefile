# Everything that a person or a CI runs on this repository. Each target bootstraps first; a repeated one costs nothing.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test lint faults soak system image sbom bench docs pins clean

BIN := .venv/bin
DIR ?= ./demo

help: ## show this list
	@awk -F ':[^#]*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

venv:
	@scripts/bootstrap

demo: venv ## the whole story on embedded stores with a simulated clock, into DIR=./demo
	$(BIN)/lifecycle demo "$(DIR)"

test: lint ## lint, all tests, the branch coverage of core and evidence, sampled faults
	$(BIN)/python -m pytest --quiet -n 2 --ignore=tests/core --ignore=tests/evidence
	$(BIN)/python -m pytest --quiet -n 2 tests/core tests/evidence \
		--cov=lifecycle.core --cov=lifecycle.evidence --cov-branch --cov-fail-under=100
	$(BIN)/python -m tests.faults --sample
	$(BIN)/python -m tests.replicas --rounds 4

lint: venv ## style, types, the one-way street between rooms, the house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check.py
	$(BIN)/python scripts/dashboards --check

faults: venv ## crash at every failpoint, against real servers
	$(BIN)/python -m tests.faults

soak: venv ## all faults in all combinations, and the tests that take minutes
	$(BIN)/python -m tests.faults --full
	$(BIN)/python -m tests.replicas --rounds 500
	$(BIN)/python -m tests.interleavings --runs 300
	$(BIN)/python -m tests.starvation
	$(BIN)/python -m tests.week --tick 60 --look 21600
	$(BIN)/python -m pytest --quiet -m soak

system: venv ## the unit on a real systemd in a container (root; LIFECYCLE_SYSTEM_SUITE=trixie for another Debian)
	$(BIN)/python -m tests.system

image: venv ## build the container image and run it read-only (BASE=REF@sha256:…; without it a base made here)
	$(BIN)/python -m tests.system.image $(if $(BASE),--base "$(BASE)")

sbom: venv ## bill of materials of what is shipped, CycloneDX, into dist/
	$(BIN)/python scripts/sbom.py dist/gdpr-lifecycle.cdx.json

bench: venv ## measure against raw SQL and its alternatives
	$(BIN)/python -m tests.bench

docs: venv ## write what is generated: JSON Schemas, dashboards, the chart's copies
	$(BIN)/lifecycle schema --all policies/schema
	$(BIN)/python scripts/dashboards
	cp deploy/prometheus/lifecycle.rules.yml deploy/helm/lifecycle/files/
	$(BIN)/python -m tests.helm.settings_schema

pins: venv ## recompute requirements/ (UPGRADE=--upgrade for newer versions)
	scripts/pins $(UPGRADE)

clean: ## remove what tools left behind; .venv and demo stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* build dist
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
