#!/bin/sh
# sciflow: round 7 of this bundle for PBS Pro, once; to submit it: sh FILE [options of qsub, such as -q QUEUE -A ACCOUNT]
# When its jobs have ended `sciflow status` says what remains; `sciflow render` plans the next round.
set -eu
jobs=
undo() { for job in $jobs; do qdel "$job"; done; }
trap undo EXIT
a0=$(qsub "$@" -N sciflow-digits-prepare -j oe -o /dev/null -r y -l select=1:ncpus=1:mem=512mb -l walltime=00:35:00 -a "$(date -d @1795298400 +%Y%m%d%H%M.%S)" -h <<'END'
#!/bin/sh
exec >>'/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runs/main/logs/round-0007.log' 2>&1
exec timeout --foreground -s USR1 2010 "${SCIFLOW_PYTHON:-python3}" -I -B '/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runner/__main__.py' element --run main --round 7 --array 0 -j 1 --index "${PBS_ARRAY_INDEX:-0}"
END
)
jobs="$jobs $a0"
a1=$(qsub "$@" -N sciflow-digits-train -j oe -o /dev/null -r y -l select=1:ncpus=4:mem=8192mb:ngpus=2 -l walltime=25:10:00 -J 0-999%40 -a "$(date -d @1795298400 +%Y%m%d%H%M.%S)" -W "depend=afterany:$a0" <<'END'
#!/bin/sh
exec >>'/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runs/main/logs/round-0007.log' 2>&1
exec timeout --foreground -s USR1 90390 "${SCIFLOW_PYTHON:-python3}" -I -B '/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runner/__main__.py' element --run main --round 7 --array 1 -j 4 --index "${PBS_ARRAY_INDEX:-0}"
END
)
jobs="$jobs $a1"
a2=$(qsub "$@" -N sciflow-digits-train -j oe -o /dev/null -r y -l select=1:ncpus=4:mem=8192mb:ngpus=2 -l walltime=25:10:00 -J 0-36%40 -a "$(date -d @1795298400 +%Y%m%d%H%M.%S)" -W "depend=afterany:$a0" <<'END'
#!/bin/sh
exec >>'/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runs/main/logs/round-0007.log' 2>&1
exec timeout --foreground -s USR1 90390 "${SCIFLOW_PYTHON:-python3}" -I -B '/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runner/__main__.py' element --run main --round 7 --array 2 -j 4 --index "${PBS_ARRAY_INDEX:-0}"
END
)
jobs="$jobs $a2"
a3=$(qsub "$@" -N sciflow-digits-summary -j oe -o /dev/null -r y -l select=1:ncpus=1:mem=512mb -l walltime=00:35:00 -a "$(date -d @1795298400 +%Y%m%d%H%M.%S)" -W "depend=afterany:$a1:$a2" <<'END'
#!/bin/sh
exec >>'/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runs/main/logs/round-0007.log' 2>&1
exec timeout --foreground -s USR1 2010 "${SCIFLOW_PYTHON:-python3}" -I -B '/scratch/ada'"'"'s work/50% $(id)/digits-0123456789ab/runner/__main__.py' element --run main --round 7 --array 3 -j 1 --index "${PBS_ARRAY_INDEX:-0}"
END
)
jobs="$jobs $a3"
trap - EXIT
qrls "$a0"
echo "$a0"
echo "$a1"
echo "$a2"
echo "$a3"
