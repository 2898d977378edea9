"""Programs with the names of a scheduler's own, that run what they are handed at once and write down how they were called.

They show that a rendered script can be run and that its elements find themselves; not what a real scheduler says.
"""

import os
import subprocess

QSUB = """\
#!/bin/sh
for word; do printf '%s\\n' "$word"; done >> '{folder}/said'
echo -- >> '{folder}/said'
count=$(($(cat '{folder}/count' 2>/dev/null || echo 0) + 1)); echo "$count" > '{folder}/count'
[ "$count" != "$REFUSED" ] || exit 1
range=
while [ $# -gt 0 ]; do [ "$1" != -J ] || range=${{2%%%*}}; shift; done
cat > '{folder}/job'
if [ -z "$range" ]; then sh '{folder}/job' || :; echo "$count.server"; exit 0; fi
index=${{range%-*}}
while [ "$index" -le "${{range#*-}}" ]; do PBS_ARRAY_INDEX=$index sh '{folder}/job' || :; index=$((index + 1)); done
echo "$count[].server"
"""
BSUB = """\
#!/bin/sh
for word; do printf '%s\\n' "$word"; done >> '{folder}/said'
echo -- >> '{folder}/said'
count=$(($(cat '{folder}/count' 2>/dev/null || echo 0) + 1)); echo "$count" > '{folder}/count'
[ "$count" != "$REFUSED" ] || exit 1
while [ $# -gt 0 ]; do [ "$1" != -J ] || range=${{2#*[}}; shift; done
range=${{range%%]*}} index=1
cat > '{folder}/job'
while [ "$index" -le "${{range#*-}}" ]; do LSB_JOBINDEX=$index sh '{folder}/job' || :; index=$((index + 1)); done
echo "Job <$count> is submitted to default queue <normal>."
"""
TOLD = "#!/bin/sh\nprintf '%s ' \"${{0##*/}}\" \"$@\" >> '{folder}/after'; echo >> '{folder}/after'\n"
PROGRAMS = {"qsub": QSUB, "bsub": BSUB, "qrls": TOLD, "qdel": TOLD, "bkill": TOLD}


def submit(folder, script, *words, refused=0):
    """Run a rendered script; the submission of that number is refused. Return (process, calls, what was told after)."""
    place = folder / "standins"
    place.mkdir()
    for name, text in PROGRAMS.items():
        (place / name).write_text(text.format(folder=place))
        (place / name).chmod(0o755)
    settings = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}", "REFUSED": str(refused)}
    found = subprocess.run(
        ["sh", script, *words], cwd=folder, env=settings, capture_output=True, text=True, timeout=120, check=False
    )
    said = (place / "said").read_text().split("--\n")[:-1]
    after = (place / "after").read_text().splitlines() if (place / "after").exists() else []
    return found, [call.splitlines() for call in said], [line.strip() for line in after]
