# make demo: the main job on real input.  make test: everything set up, all tests.  make lint: style and types.
# make quick: the tests that need no real part and are not slow.
.PHONY: demo test quick lint environment coverage

environment:
	@sh tools/environment.sh

demo: environment
	@sh tools/demo.sh

# Two processes: many tests wait, for Slurm's or cron's clock. What shares a part of the test bed stays in one of them.
test: environment lint
	.venv/bin/python -m pytest -n 2

quick: environment
	.venv/bin/python -m pytest -n 3 -q -m "not live and not slow"

lint: environment
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# Every line and branch of the rooms that make points out of what a file says.
LANGUAGE = arithmetic axes block combine crossing draw exact expression grid operands points sequences space sweep tabular tokens
# And of the rooms that take down what happened, and where.
RECORDS = facts records
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)
coverage: environment
	.venv/bin/python -m pytest -q tests/workflow tests/refused --ignore=tests/workflow/test_bombs.py \
		--cov=sciflow.workflow --cov-branch --cov-report=
	.venv/bin/coverage report --show-missing --fail-under=100 \
		--include=$(subst $(SPACE),$(EMPTY),$(LANGUAGE:%=sciflow/workflow/%.py,))
	.venv/bin/python -m pytest -q $(RECORDS:%=tests/runner/test_%.py) --cov=sciflow.runner --cov-branch --cov-report=
	.venv/bin/coverage report --show-missing --fail-under=100 \
		--include=$(subst $(SPACE),$(EMPTY),$(RECORDS:%=sciflow/runner/%.py,))
