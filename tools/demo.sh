#!/bin/sh
# Run the main job on real input: examples/digits, compiled, run, collected, reported, verified. Leaves it in build/demo.
# Engine: Apptainer if it is there, else Docker, else the host, where nothing is isolated. SCIFLOW_ENGINE chooses.
set -eu
cd -- "$(dirname -- "$0")/.."
sciflow=$PWD/.venv/bin/sciflow
study=$PWD/build/demo/digits
say() { printf '\n== %s\n' "$*" >&2; }

mkdir -p build/demo
rm -rf "$study"
cp -R examples/digits "$study"

engine=${SCIFLOW_ENGINE:-}
if [ -z "$engine" ]; then
    engine=host
    # The image is a Debian root file system that mmdebstrap builds and mksquashfs packs, without root.
    if command -v mmdebstrap >/dev/null 2>&1 && command -v mksquashfs >/dev/null 2>&1; then
        if command -v apptainer >/dev/null 2>&1; then
            engine=apptainer
        elif docker version >/dev/null 2>&1; then
            engine=docker
        fi
    fi
fi

say "compile ($study/workflow.toml)"
bundle=$("$sciflow" compile "$study/workflow.toml")

if [ "$engine" = host ]; then
    say "no Apptainer or Docker (or no mmdebstrap to build the image): on this machine nothing is isolated"
    echo "   the study runs with hash-pinned wheels, in an environment of its own, instead of its image" >&2
    [ -x build/demo/wheels/bin/python ] || .venv/bin/python -m venv build/demo/wheels
    build/demo/wheels/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$study/requirements.txt"
    PATH=$PWD/build/demo/wheels/bin:$PATH
    export PATH
else
    say "image, for $engine"
    if ! "$sciflow" fetch "$bundle" --engine "$engine"; then
        echo "   Debian's archive has moved on since this example was locked: pinning it anew" >&2
        bundle=$("$sciflow" compile --update "$study/workflow.toml")
        "$sciflow" fetch "$bundle" --engine "$engine"
    fi
fi

say "run in $engine"
"$sciflow" run "$bundle" --engine "$engine"
say "collect, report, verify"
table=$("$sciflow" collect "$bundle")
page=$("$sciflow" report "$bundle")
"$sciflow" verify "$bundle"

printf '\nbundle   %s\ntable    %s\nreport   %s\nfigures  %s\n' "$bundle" "$table" "$page" "$(dirname -- "$page")/report"
