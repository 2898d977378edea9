#!/bin/bash
# Stops exactly what up.sh started: the processes noted under its state folder, if they are still the same ones.
#   tests/testbed/down.sh
set -uo pipefail

STATE=${SCIFLOW_TESTBED:-/run/sciflow-testbed}
GRACE_S=20

[ "$(id -u)" = 0 ] || { echo "down.sh: run me as root" >&2; exit 3; }
started_at() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
same() { [ -n "$2" ] && [ "$(started_at "$1")" = "$2" ]; }

# Jobs first: a slurmd that ends leaves its steps running.
if [ -e "$STATE/pids/slurmctld" ] && SLURM_CONF=$STATE/slurm.conf timeout 5 scontrol ping 2>/dev/null | grep -q UP; then
    SLURM_CONF=$STATE/slurm.conf squeue -h -o %A 2>/dev/null | sort -u | SLURM_CONF=$STATE/slurm.conf xargs -r scancel 2>/dev/null
    end=$((SECONDS + GRACE_S))
    while [ -n "$(SLURM_CONF=$STATE/slurm.conf squeue -h 2>/dev/null)" ] && [ "$SECONDS" -lt "$end" ]; do sleep 0.5; done
fi

for name in cron docker registry slurmd-n1 slurmd-n2 slurmctld munge; do
    [ -e "$STATE/pids/$name" ] || continue
    read -r pid moment <"$STATE/pids/$name"
    if same "$pid" "$moment"; then
        kill -TERM "$pid"
        end=$((SECONDS + GRACE_S))
        while same "$pid" "$moment" && [ "$SECONDS" -lt "$end" ]; do sleep 0.2; done
        same "$pid" "$moment" && kill -KILL "$pid"
        echo "test bed: $name stopped" >&2
    fi
    rm -f "$STATE/pids/$name"
done
[ "$(readlink /etc/slurm/slurm.conf)" = "$STATE/slurm.conf" ] && rm -f /etc/slurm/slurm.conf
exit 0
