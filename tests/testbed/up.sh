#!/bin/bash
# Starts the real parts that the live tests run against, waits until each answers, and prints the environment to use:
#   eval "$(tests/testbed/up.sh)"
# Run as root, after install.sh. Running it again starts only what has ended. down.sh stops what this started.
set -euo pipefail

STATE=${SCIFLOW_TESTBED:-/run/sciflow-testbed}             # sockets, logs, settings, and who was started
DATA=${SCIFLOW_TESTBED_DATA:-/var/lib/sciflow-testbed}     # images, layers: too big for a /run in memory
PORT=${SCIFLOW_TESTBED_PORT:-5000}
WAIT_S=60

[ "$(id -u)" = 0 ] || { echo "up.sh: run me as root (I start daemons)" >&2; exit 3; }
PATH=$PATH:/usr/sbin:/sbin
umask 022
mkdir -p "$STATE/pids" "$STATE/logs" "$DATA"

started_at() {  # when a process began, in clock ticks since boot (proc(5), field 22; the name before it may hold spaces)
    sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

alive() {  # whether NAME was started by us and still runs: the same pid, begun at the same moment
    local pid moment
    [ -e "$STATE/pids/$1" ] || return 1
    read -r pid moment <"$STATE/pids/$1"
    [ "$(started_at "$pid")" = "$moment" ]
}

start() {  # NAME WORDS...: in a session of its own, so that it outlives this shell and its signals
    local name=$1
    shift
    alive "$name" && return
    setsid "$@" >>"$STATE/logs/$name.log" 2>&1 </dev/null &
    echo "$! $(started_at $!)" >"$STATE/pids/$name"
}

await() {  # NAME WORDS...: until WORDS succeed
    local name=$1 end=$((SECONDS + WAIT_S))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ] || { [ -e "$STATE/pids/$name" ] && ! alive "$name"; }; then
            echo "up.sh: $name does not answer; the end of $STATE/logs/$name.log:" >&2
            tail -n 15 "$STATE/logs/$name.log" >&2 || true
            exit 3
        fi
        sleep 0.2
    done
    echo "test bed: $name answers" >&2
}

# Apptainer mounts SIFs through FUSE as a plain user; without it each exec unpacks the image.
[ -e /dev/fuse ] && chmod 666 /dev/fuse

# --- munge: who Slurm's messages come from
munge_works() { munge -n | unmunge; }
if ! munge_works >/dev/null 2>&1; then
    if [ ! -s /etc/munge/munge.key ]; then
        install -d -o munge -g munge -m 700 /etc/munge
        (umask 077 && head -c 1024 /dev/urandom >/etc/munge/munge.key)
        chown munge:munge /etc/munge/munge.key
    fi
    for folder in /run/munge /var/lib/munge /var/log/munge; do
        install -d -o munge -g munge -m 755 "$folder"
    done
    start munge setpriv --reuid munge --regid munge --clear-groups munged -F
fi
await munge munge_works

# --- Slurm: a controller and two nodes on this machine
export SLURM_CONF=$STATE/slurm.conf
mkdir -p "$STATE/slurmctld" /etc/slurm
node_memory_mib=$(awk '/^MemTotal/ {m = int($2 / 1024 / 3); print (m < 8000) ? m : 8000}' /proc/meminfo)
cat >"$SLURM_CONF.new" <<CONF
ClusterName=sciflow
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MpiDefault=none
SlurmdParameters=config_overrides
StateSaveLocation=$STATE/slurmctld
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmctldLogFile=$STATE/logs/slurmctld.log
SlurmdSpoolDir=$STATE/slurmd-%n
SlurmdPidFile=$STATE/slurmd-%n.pid
SlurmdLogFile=$STATE/logs/slurmd-%n.log
SchedulerParameters=bf_interval=5,sched_interval=5
KillWait=5
DefMemPerCPU=1000
NodeName=n[1-2] NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=2 RealMemory=$node_memory_mib
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
mv "$SLURM_CONF.new" "$SLURM_CONF"
# Where sites keep it: jobs of cron and of a clean environment find it there. A site's own file is left alone.
[ -e /etc/slurm/slurm.conf ] || ln -sfn "$SLURM_CONF" /etc/slurm/slurm.conf
start slurmctld slurmctld -D -f "$SLURM_CONF"
await slurmctld sh -c 'scontrol ping | grep -q UP'
for node in n1 n2; do
    start "slurmd-$node" slurmd -D -N "$node" -f "$SLURM_CONF"
done
both_nodes_ready() { [ "$(sinfo -h -N -o %T | grep -cE '^(idle|mixed|allocated|completing)$')" = 2 ]; }
for node in n1 n2; do  # a node that died stays DOWN until told otherwise
    scontrol update NodeName=$node State=RESUME >/dev/null 2>&1 || true
done
await slurmd-n2 both_nodes_ready

# --- a registry of OCI images, without a login
cat >"$STATE/registry.yml" <<YML
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: $DATA/registry}
  delete: {enabled: true}
http: {addr: "127.0.0.1:$PORT"}
YML
# Python asks, since curl need not be there.
answers() { python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=2)' "$1"; }
answers "http://127.0.0.1:$PORT/v2/" 2>/dev/null || start registry docker-registry serve "$STATE/registry.yml"
await registry answers "http://127.0.0.1:$PORT/v2/"

# --- Docker, on a socket of its own, without a bridge (run containers with --network none)
export DOCKER_HOST=unix://$STATE/docker.sock
start docker dockerd --iptables=false --bridge=none --data-root "$DATA/docker" --exec-root "$STATE/docker" \
    --pidfile "$STATE/dockerd.pid" -H "$DOCKER_HOST"
await docker docker version

# --- cron, unless the machine runs it
cron_runs() { [ -s /run/crond.pid ] && kill -0 "$(cat /run/crond.pid)"; }
cron_runs 2>/dev/null || start cron cron -f
await cron cron_runs

cat <<ENV
export DOCKER_HOST=$DOCKER_HOST
export SCIFLOW_TEST_REGISTRY=127.0.0.1:$PORT
export SLURM_CONF=$SLURM_CONF
export SCIFLOW_TESTBED=$STATE
ENV
