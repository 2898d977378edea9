#!/bin/sh
# Make the project's own Python environment, .venv, or bring it up to date. Needs python3 3.11 or later; nothing else is touched.
set -eu
cd -- "$(dirname -- "$0")/.."
stamp=.venv/.ready
if [ -f "$stamp" ] && [ ! pyproject.toml -nt "$stamp" ]; then exit 0; fi
for python in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if command -v "$python" >/dev/null 2>&1 && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        found=$python
        break
    fi
done
if [ -z "${found:-}" ]; then
    echo "sciflow needs python3 3.11 or later; PYTHON=/path/to/python3 names one that is not on PATH" >&2
    exit 3
fi
echo "setting up .venv with $("$found" --version) (a minute or two the first time)" >&2
if "$found" -c 'import ensurepip' 2>/dev/null; then
    [ -x .venv/bin/python ] || "$found" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
elif command -v uv >/dev/null 2>&1; then # a Debian python3 without python3-venv
    [ -x .venv/bin/python ] || uv venv --quiet --python "$found" .venv
    uv pip install --quiet --python .venv/bin/python --editable . --group dev
else
    echo "$found has neither ensurepip nor uv beside it: install your system's python3-venv, or uv" >&2
    exit 3
fi
touch "$stamp"
