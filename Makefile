# Everything that a developer runs; `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/sh
STAGE ?= staging
LAYERS := layers/kernel/python:layers/identity/python:layers/billing/python:layers/notifications/python

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
export PYTHONPATH := $(CURDIR):$(subst layers/,$(CURDIR)/layers/,$(LAYERS))
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20,22

.PHONY: help up tour down test check synth deploy openapi bench tools python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: tools ## build, start, deploy, seed and tour the whole system on this machine
	@python -m local.up

tour: python ## tell the story again against the running system
	@MAILROOM_PLACES=$${MAILROOM_HOME:-.mailroom}/places.json python -m local.tour

down: ## end the local system and everything it started
	@if [ -x .venv/bin/python ]; then python -m local.emulator stop; else echo "Nothing was running."; fi

test: tools ## run all tests (they start an emulator of their own)
	@python -m pytest -q $(ARGS)

check: tools ## lint, format, types, layering, dependencies, security, templates, flows
	@python -m local.check

synth: tools ## write cdk.out for the local stage
	@python -m local.synth

deploy: tools ## deploy a stage to AWS: make deploy STAGE=staging (needs credentials)
	@python -m infra.deploy --stage $(STAGE)

openapi: tools ## write the OpenAPI document
	@python -m infra.openapi
	@python -m infra.generated_docs

bench: python ## measure the running system
	@python -m local.bench

python:
	@local/prepare python

tools:
	@local/prepare python node
