# make demo: the main job on real input.  make test: everything set up, all tests.  make lint: style and types.
.PHONY: demo test lint environment

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
