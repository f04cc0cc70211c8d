# Everything that a person or a CI runs on this repository. Each target bootstraps first; a repeated one costs nothing.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test lint faults soak bench docs pins clean

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

lint: venv ## style, types, the one-way street between rooms, the house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check.py

faults: venv ## crash at every failpoint, against real servers
	$(BIN)/python -m tests.faults

soak: venv ## all faults in all combinations, and the tests that take minutes
	$(BIN)/python -m tests.faults --full
	$(BIN)/python -m pytest --quiet -m soak

bench: venv ## measure against raw SQL and its alternatives
	$(BIN)/python -m tests.bench

docs: venv ## write what is generated: JSON Schemas, dashboards, the chart's copies
	$(BIN)/lifecycle schema --all policies/schema
	cp deploy/prometheus/lifecycle.rules.yml deploy/helm/lifecycle/files/
	$(BIN)/python -m tests.helm.settings_schema

pins: venv ## recompute requirements/ (UPGRADE=--upgrade for newer versions)
	scripts/pins $(UPGRADE)

clean: ## remove what tools left behind; .venv and demo stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* build dist
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
