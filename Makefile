# Everything that can be done with Runback. Nothing needs to be installed first but Python 3.11 or newer.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON_IN_VENV := .venv/bin/python
ENV ?= production
# two at once: more only compete, because every rehearsal runs processes of its own
TEST_WORKERS ?= 2

# the AWS CLI that is measured is in no environment but its own
REQUIREMENTS := $(filter-out requirements/awscli.txt,$(wildcard requirements/*.txt))
SYNTH_INPUTS := app.py cdk.json requirements/layer.txt requirements/drivers.txt \
	$(shell find cdk lambdas statemachines environments -not -path '*/__pycache__*' 2>/dev/null)

.PHONY: help
help: ## Say what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

.PHONY: rehearse
rehearse: .venv/ready cdk.out/manifest.json ## Rehearse a release on this machine (SCENARIO=…, see `make scenarios`; ENV=production; SEED=… for virtual time; OPEN=1 for the report)
	@$(PYTHON_IN_VENV) -m rehearsal run $(if $(SCENARIO),--scenario $(SCENARIO)) --environment $(ENV) $(if $(SEED),--seed $(SEED)) $(if $(OPEN),--open)

.PHONY: scenarios
scenarios: .venv/ready ## List what can be rehearsed
	@$(PYTHON_IN_VENV) -m rehearsal list

.PHONY: sweep
sweep: .venv/ready cdk.out/manifest.json ## Break everything everywhere, count what holds, and write docs/evidence.md (half an hour; SEED=…)
	@$(PYTHON_IN_VENV) -m rehearsal.sweep $(if $(SEED),--seed $(SEED))

.PHONY: sweep-fast
sweep-fast: .venv/ready cdk.out/manifest.json ## Break a sample of everything (a minute and a half; SEED=… draws another one)
	@$(PYTHON_IN_VENV) -m rehearsal.sweep --fast $(if $(SEED),--seed $(SEED))

.PHONY: synth
synth: cdk.out/manifest.json ## Build the CloudFormation templates of all environments in cdk.out, without AWS

# What is older than its inputs goes first, so that no template or asset of a former state is left behind.
cdk.out/manifest.json: .venv/ready $(SYNTH_INPUTS)
	@echo "Building the stacks' templates (about 10 s) …"
	@rm -rf cdk.out
	@$(PYTHON_IN_VENV) app.py

# By group: tests/conftest.py says which tests belong together.
# Nothing comes after pytest, so that its closing line is the last one on the screen.
.PHONY: test
test: .venv/ready node_modules/.package-lock.json ## Run all tests: every scenario in virtual time, some also under real load
	@$(PYTHON_IN_VENV) -m pytest -n $(TEST_WORKERS) --dist loadgroup --ignore tests/oracles

.PHONY: test-packaged
test-packaged: .venv/ready ## Play every scenario with real processes under real load (half an hour)
	@$(PYTHON_IN_VENV) -m pytest -n $(TEST_WORKERS) --dist loadgroup --packaged all tests/rehearsal/test_scenarios.py

.PHONY: test-fast
test-fast: .venv/ready ## Run the tests that rehearse nothing (under a minute)
	@$(PYTHON_IN_VENV) -m pytest -n $(TEST_WORKERS) -m "not rehearsed" --ignore tests/oracles --ignore tests/browser

# Not a part of `make check`: it takes long, and says more about tests than about what ships.
.PHONY: mutation
mutation: .venv/ready ## Make small mistakes in every rules.py, and count those that unit tests notice (10 min; ONLY=traffic tries one room, AGAIN=1 what survived the last time)
	@$(PYTHON_IN_VENV) scripts/mutation.py --processes $(TEST_WORKERS) $(if $(ONLY),--only "$(ONLY)") $(if $(AGAIN),--again)

.PHONY: lint
lint: .venv/ready ## Check style and types (seconds)
	@$(PYTHON_IN_VENV) -m ruff check --quiet .
	@$(PYTHON_IN_VENV) -m ruff format --quiet --check .
	@$(PYTHON_IN_VENV) -m mypy --no-error-summary
	@$(PYTHON_IN_VENV) -m ty check --quiet app.py bench cdk install statemachines rehearsal

# What AWS and others publish to check templates, machines and policies with, and our own rules for them.
.PHONY: check
check: lint node_modules/.package-lock.json cdk.out/manifest.json ## Everything that can be checked without running a release (2 min)
	@$(PYTHON_IN_VENV) -m pytest -n $(TEST_WORKERS) tests/oracles tests/unit/test_imports.py \
		tests/statemachines/test_shape.py tests/statemachines/test_golden.py tests/statemachines/test_documents.py \
		tests/infrastructure/test_committed_files.py tests/infrastructure/test_packaging.py
	@$(PYTHON_IN_VENV) -m cdk.budget

.PHONY: budget
budget: cdk.out/manifest.json ## Add up how long it takes from a fault to safe traffic, at worst and usually
	@$(PYTHON_IN_VENV) -m cdk.budget

node_modules/.package-lock.json: .venv/ready package.json package-lock.json
	@scripts/npm.sh ci --no-audit --no-fund --silent
	@touch $@

.PHONY: format
format: .venv/ready ## Correct what can be corrected mechanically
	@$(PYTHON_IN_VENV) -m ruff check --fix .
	@$(PYTHON_IN_VENV) -m ruff format .

.PHONY: bench
bench: .venv/ready cdk.out/manifest.json ## Measure on this machine, and write docs/benchmarks.md (15 min; ONLY=imports measures one)
	@$(PYTHON_IN_VENV) -m bench $(if $(ONLY),--only "$(ONLY)")

.PHONY: docs
docs: .venv/ready ## Make the documents anew that follow from the machines, errors and messages
	@$(PYTHON_IN_VENV) -m statemachines.documents

# The layers are for Lambda's own Python; everything else has to fit every Python that a developer may have.
COMPILE := $(PYTHON_IN_VENV) -m uv pip compile --quiet --universal --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements"

.PHONY: requirements
requirements: .venv/ready ## Pin anew what requirements/*.in ask for
	@for name in bootstrap node development awscli; do \
		$(COMPILE) --python-version 3.11 requirements/$$name.in --output-file requirements/$$name.txt || exit 1; done
	@for name in layer drivers; do \
		$(COMPILE) --python-version 3.13 requirements/$$name.in --output-file requirements/$$name.txt || exit 1; done

# What goes to a real account is named on the command line: the default must never be production by accident.
NAMED_ENV = $(if $(filter command line,$(origin ENV)),$(ENV),$(error Say which environment, as in: make $@ ENV=staging))

.PHONY: doctor
doctor: .venv/ready ## Compare settings with the real account, by reading alone (ENV=…)
	@$(PYTHON_IN_VENV) -m install doctor --environment $(NAMED_ENV)

.PHONY: diff
diff: .venv/ready node_modules/.package-lock.json ## Show what a deployment would change (ENV=…)
	@$(PYTHON_IN_VENV) -m install diff --environment $(NAMED_ENV)

.PHONY: deploy
deploy: .venv/ready node_modules/.package-lock.json ## Deploy to the real account, after showing what changes (ENV=…, YES=1)
	@$(PYTHON_IN_VENV) -m install deploy --environment $(NAMED_ENV) \
		$(if $(YES),--yes) $(if $(REASON),--force-with-reason "$$REASON")

.PHONY: clean
clean: ## Remove all that was set up or built
	rm -rf .venv build cdk.out .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

.venv/ready: scripts/bootstrap.sh $(REQUIREMENTS)
	@scripts/bootstrap.sh
