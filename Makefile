# make demo: the main job on real input.  make test: everything set up, all tests.  make lint: style and types.
.PHONY: demo test lint environment coverage

environment:
	@sh tools/environment.sh

demo: environment
	@sh tools/demo.sh

test: environment lint
	.venv/bin/python -m pytest

lint: environment
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# Every line and branch of the rooms that make points out of what a file says.
LANGUAGE = arithmetic axes block combine crossing draw exact expression grid operands points sequences space sweep tabular tokens
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)
coverage: environment
	.venv/bin/python -m pytest -q tests/workflow tests/refused --ignore=tests/workflow/test_bombs.py \
		--cov=sciflow.workflow --cov-branch --cov-report=
	.venv/bin/coverage report --show-missing --fail-under=100 \
		--include=$(subst $(SPACE),$(EMPTY),$(LANGUAGE:%=sciflow/workflow/%.py,))
