#!/bin/sh
# sciflow: round 7 of this bundle for LSF, once; to submit it: sh FILE [options of bsub, such as -q QUEUE -P PROJECT]
# When its jobs have ended `sciflow status` says what remains; `sciflow render` plans the next round.
set -eu
jobs=
undo() { for job in $jobs; do bkill "$job"; done; }
trap undo EXIT
submitted() { sed -n 's/^Job <\([0-9][0-9]*\)>.*/\1/p'; }
a0=$(bsub "$@" -J "sciflow-digits-prepare[1-1]%40" -o /dev/null -r -n 1 -R "span[hosts=1] rusage[mem=512MB]" -W 35 -b "$(date -d @1795298400 +%Y:%m:%d:%H:%M)" <<'END'
#!/bin/sh
exec >>'/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runs/main/logs/round-0007.log' 2>&1
exec timeout --foreground -s USR1 2010 "${SCIFLOW_PYTHON:-python3}" -I -B '/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runner/__main__.py' element --run main --round 7 --array 0 -j 1 --index "$((LSB_JOBINDEX - 1))"
END
)
a0=$(echo "$a0" | submitted)
test -n "$a0"
jobs="$jobs $a0"
a1=$(bsub "$@" -J "sciflow-digits-train[1-1000]%40" -o /dev/null -r -n 4 -R "span[hosts=1] rusage[mem=8192MB]" -W 1510 -gpu "num=2" -b "$(date -d @1795298400 +%Y:%m:%d:%H:%M)" -w "ended($a0)" <<'END'
#!/bin/sh
exec >>'/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runs/main/logs/round-0007.log' 2>&1
exec timeout --foreground -s USR1 90390 "${SCIFLOW_PYTHON:-python3}" -I -B '/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runner/__main__.py' element --run main --round 7 --array 1 -j 4 --index "$((LSB_JOBINDEX - 1))"
END
)
a1=$(echo "$a1" | submitted)
test -n "$a1"
jobs="$jobs $a1"
a2=$(bsub "$@" -J "sciflow-digits-train[1-37]%40" -o /dev/null -r -n 4 -R "span[hosts=1] rusage[mem=8192MB]" -W 1510 -gpu "num=2" -b "$(date -d @1795298400 +%Y:%m:%d:%H:%M)" -w "ended($a0)" <<'END'
#!/bin/sh
exec >>'/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runs/main/logs/round-0007.log' 2>&1
exec timeout --foreground -s USR1 90390 "${SCIFLOW_PYTHON:-python3}" -I -B '/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runner/__main__.py' element --run main --round 7 --array 2 -j 4 --index "$((LSB_JOBINDEX - 1))"
END
)
a2=$(echo "$a2" | submitted)
test -n "$a2"
jobs="$jobs $a2"
a3=$(bsub "$@" -J "sciflow-digits-summary[1-1]%40" -o /dev/null -r -n 1 -R "span[hosts=1] rusage[mem=512MB]" -W 35 -b "$(date -d @1795298400 +%Y:%m:%d:%H:%M)" -w "ended($a1) && ended($a2)" <<'END'
#!/bin/sh
exec >>'/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runs/main/logs/round-0007.log' 2>&1
exec timeout --foreground -s USR1 2010 "${SCIFLOW_PYTHON:-python3}" -I -B '/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runner/__main__.py' element --run main --round 7 --array 3 -j 1 --index "$((LSB_JOBINDEX - 1))"
END
)
a3=$(echo "$a3" | submitted)
test -n "$a3"
jobs="$jobs $a3"
trap - EXIT
echo "$a0"
echo "$a1"
echo "$a2"
echo "$a3"
