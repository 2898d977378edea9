#!/bin/sh
#SBATCH --job-name=sciflow-digits
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=512M
#SBATCH --time=10
#SBATCH --open-mode=append
#SBATCH --account=physics
#SBATCH --partition=main
# sciflow: start what remains of this bundle. Here: ./launch.sh [--engine E] [-j N] [--run NAME] [--now]
# On Slurm: sbatch launch.sh   (harmless at any time: only what is missing is submitted)
set -eu
here=$(dirname -- "$0")
if [ ! -f "$here/manifest.json" ]; then
    # sbatch runs a spooled copy of this file, so $0 does not say where the bundle is; Slurm knows what was typed.
    typed=${SCIFLOW_BUNDLE:+$SCIFLOW_BUNDLE/launch.sh}
    if [ -z "$typed" ]; then
        typed=$(scontrol show job -o "$SLURM_JOB_ID" | head -n 1 | sed -n 's/.* Command=\(.*\) WorkDir=.*/\1/p')
    fi
    # Words after the file's name stand in the same field.
    while [ -n "$typed" ] && [ ! -f "$typed" ] && [ "$typed" != "${typed% *}" ]; do typed=${typed% *}; done
    here=$(dirname -- "$typed")
    if [ ! -f "$here/manifest.json" ]; then
        echo "sciflow: Slurm does not say where this bundle is; tell it:" >&2
        echo "  sbatch --export=ALL,SCIFLOW_BUNDLE=/path/of/bundle launch.sh" >&2
        exit 3
    fi
    set -- round "$@"
else
    set -- run "$@"
fi
here=$(cd -- "$here" && pwd -P)
if [ -z "${SCIFLOW_PYTHON:-}" ]; then
    # Some systems keep theirs for themselves, off PATH.
    for SCIFLOW_PYTHON in python3 /usr/bin/python3 /usr/libexec/platform-python; do
        if command -v "$SCIFLOW_PYTHON" >/dev/null 2>&1; then break; fi
    done
fi
fit() {
    "$1" -I -S -B -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1
}
if ! fit "$SCIFLOW_PYTHON"; then
    echo "sciflow: there is no python3 (3.6 or newer) here: load a module that brings one, or name one:" >&2
    echo "  SCIFLOW_PYTHON=/path/of/python3 ./launch.sh" >&2
    exit 3
fi
export SCIFLOW_PYTHON
# exec: a shell with a child in the foreground would not pass signals on. -I -B: the user's Python does not join in.
exec "$SCIFLOW_PYTHON" -I -B "$here/runner/__main__.py" "$@"
