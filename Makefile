# Thin: each target is one command. `make` shows them. Set-up is a part of each, and costs nothing when it is done.
SHELL := /bin/bash
.DEFAULT_GOAL := help
USER_PATH := $(PATH)
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
# the workspace's environment, whatever is activated in the shell
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME
export UV_PYTHON := $(CURDIR)/.venv/bin/python
export UV_PYTHON_DOWNLOADS := never

PYTHON ?= python3
ONLY ?=
ONCE ?=
KEEP ?=
PORT ?=
OUTPUT ?=
TESTS ?= tests
CONFIG ?= $(SIGNALBOX_DEPLOY_CONFIG)
EXAMPLES ?= 1000
MATRIX ?= .signalbox/matrix
ACCEPT ?=
REASON ?=
WRITE ?=
VERSION ?=
KEY ?=
KMS_KEY ?=
PARTS ?=
QUICK ?=
BROWSER ?= auto
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
ifneq ($(CHROMIUM),)
export CHROMIUM
endif
# a configuration of its own has a state of its own; CONFIG= is config/local.yaml
ifneq ($(CONFIG),)
export SIGNALBOX_DEPLOY_CONFIG := $(CONFIG)
endif
STATE := $(if $(CONFIG),-$(basename $(notdir $(CONFIG))))
EMULATOR := .signalbox/emulator$(STATE)
GIVEN := $(if $(CONFIG),$(wildcard config/given/$(notdir $(CONFIG))))
PLATFORM ?= linux/arm64
IMAGE ?= auto
IMAGE_TOOLS := podman skopeo runc debootstrap docker-registry
IMAGE_MISSING = $(foreach tool,$(IMAGE_TOOLS),$(if $(shell command -v $(tool)),,$(tool))) $(if $(filter 0,$(shell id -u)),,root)
LEFT_OUT := $(if $(CHROMIUM)$(filter required,$(BROWSER)),,tests/browser)
LEFT_OUT_WHY := LEFT OUT: $(LEFT_OUT), as there is no Chromium: install one, or say in CHROMIUM where it is

.PHONY: help setup up reset test test-fault test-sim test-image image publish check proto synth deploy-local destroy-local deploy-localstack evidence locks cost release bench clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## install everything into the checkout (part of each target)
	@PATH="$(USER_PATH)" $(PYTHON) tools/set_up.py

up: setup ## run the whole product until Ctrl-C; ONLY=service, ONCE=1 (prove it and end), PORT=9090
	@exec signalbox up $(if $(ONLY),--only $(ONLY)) $(if $(ONCE),--once) $(if $(PORT),--port $(PORT)) $(if $(OUTPUT),-o $(OUTPUT))

reset: setup ## forget the state of `make up`: database, objects, identities, logs
	@exec signalbox reset

test: setup ## run the tests; TESTS=tests/api for some, BROWSER=required to fail without Chromium
	pytest $(TESTS) $(addprefix --ignore=,$(LEFT_OUT)) $(if $(filter tests,$(TESTS)),--ignore=tests/image)
ifeq ($(TESTS),tests)
	SIGNALBOX_TEST_POSTGRES=16 pytest tests/db tests/api tests/sdk/test_semantics.py --ignore=tests/api/dataplane
endif
	@$(if $(LEFT_OUT),echo "$(LEFT_OUT_WHY)")
	@$(if $(filter tests,$(TESTS)),echo "tests/image is apart: make test-image")

test-fault: setup ## run the tests that kill and cut
	pytest tests/fault

test-sim: setup ## play EXAMPLES (1000) new orders of what task processes, clusters and people may do
	SIGNALBOX_TEST_EXAMPLES=$(EXAMPLES) pytest tests/db/test_engine_model.py

test-image: setup ## build, publish and run the image with podman, as root; IMAGE=required to fail where that is missing
ifeq ($(IMAGE),required)
	@test -z "$(strip $(IMAGE_MISSING))" || { echo "tests/image: missing: $(strip $(IMAGE_MISSING))" >&2; exit 6; }
endif
	@$(if $(strip $(IMAGE_MISSING)),echo "LEFT OUT: tests/image: missing: $(strip $(IMAGE_MISSING))",pytest tests/image)

image: setup ## build the image: PYTHON_IMAGE=, UV_IMAGE=, RDS_BUNDLE= (a file), RDS_BUNDLE_SHA256=, PLATFORM=linux/arm64
	@exec python tools/image.py build --platform "$(PLATFORM)" --python-image "$(PYTHON_IMAGE)" --uv-image "$(UV_IMAGE)" \
	  --rds-bundle "$(RDS_BUNDLE)" --rds-bundle-sha256 "$(RDS_BUNDLE_SHA256)" $(if $(OUTPUT),-o $(OUTPUT))

publish: setup ## push the image that was built to REPOSITORY=, and check that the registry has just that
	@exec python tools/image.py publish "$(REPOSITORY)" $(if $(OUTPUT),-o $(OUTPUT))

check: setup ## lint, format, types, layers, locks
	ruff check
	ruff format --check
	pyright
	lint-imports
	uv lock --check
	uv lock --check --project dataplane/runtime
	npm ci --dry-run --ignore-scripts --no-audit --no-fund

proto: setup ## generate the cluster link's messages from its .proto
	python wire/generate.py

synth: setup ## synthesise the stacks into cdk.out; CONFIG=config/matrix/ha-dr.yaml, here and in the next four
	cdk synth --quiet

deploy-local: setup ## deploy the stacks into the local emulator; the account stays in .signalbox/emulator, or -NAME of CONFIG
	signalbox-emulator deploy --project . --state-dir $(EMULATOR) $(addprefix --given ,$(GIVEN))

destroy-local: setup ## destroy the stacks in the local emulator
	signalbox-emulator destroy --project . --state-dir $(EMULATOR)

deploy-localstack: setup ## deploy the stacks into LocalStack, then stop it: LOCALSTACK_AUTH_TOKEN=, LOCALSTACK_IMAGE=, KEEP=1
	@exec python tools/localstack.py --project . --state-dir .signalbox/localstack$(STATE) $(if $(KEEP),--keep)

evidence: setup ## deploy into the local emulator and collect the evidence of it
	@mkdir -p .signalbox
	signalbox-emulator capabilities -o json > .signalbox/capabilities.json
	signalbox-emulator deploy --project . --state-dir $(EMULATOR) $(addprefix --given ,$(GIVEN)) -- \
	  signalbox-evidence collect --assembly $(EMULATOR)/cdk.out --output .signalbox/evidence$(STATE) --capabilities .signalbox/capabilities.json

locks: setup ## write the logical-id locks; ACCEPT="STACK/LOGICALID ..." REASON="..." for a loss that is meant
	signalbox-guards lock write $(MATRIX) --locks locks $(addprefix --accept ,$(ACCEPT)) $(if $(REASON),--reason "$(REASON)")

cost: setup ## estimate what a month costs, and fail on over 10 % more; WRITE=1 accepts it and writes docs/cost.md
	signalbox-guards cost $(MATRIX) $(if $(WRITE),--write costs/baseline.json -o markdown > .signalbox/cost.md && mv .signalbox/cost.md docs/cost.md,--baseline costs/baseline.json)

release: setup ## archive and sign the plain templates into releases/; VERSION=1.2.3, KEY=PEM or KMS_KEY=ARN
	signalbox-guards release build $(MATRIX) --version "$(VERSION)" --output "releases/signalbox-$(VERSION).tar.gz"
	signalbox-guards release sign "releases/signalbox-$(VERSION).tar.gz" $(if $(KEY),--key $(KEY)) $(if $(KMS_KEY),--kms-key $(KMS_KEY))

bench: setup ## measure, beside limits and floors of the same run; QUICK=1 to see that it works, PARTS="store sdk" for some
	python -m bench $(PARTS) $(if $(QUICK),--quick)

clean: ## remove environments, tools and caches; the state of `make up` stays
	rm -rf .venv .tools .signalbox/flyte node_modules cdk.out .pytest_cache .ruff_cache .import_linter_cache .hypothesis
