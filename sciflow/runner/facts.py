"""Facts of the machine, gathered once a worker: what it is, and what this process may use of it.

Nothing of the environment is taken but the scheduler's own variables, by name: secrets live in environments.
"""

import os
import platform
import re
import socket
import sys

MIB = 1 << 20
SCHEDULER = re.compile(
    "^SLURM_(JOB_ID|ARRAY_JOB_ID|ARRAY_TASK_ID|JOB_PARTITION|JOB_NODELIST|CPUS_PER_TASK|CPUS_ON_NODE|MEM_PER_NODE|RESTART_COUNT|CLUSTER_NAME)$"
)
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
BOOT = "/proc/sys/kernel/random/boot_id"
UNLIMITED = 1 << 60  # cgroup v1 writes "no limit" as a number near 2^63


def _first(path, pattern):
    """Return the first match of a pattern in a small file of the kernel's, or an empty text."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            match = re.search(pattern, stream.read(1 << 16), re.MULTILINE)
    except OSError:
        return ""
    return match.group(1).strip() if match else ""


def memory_mib():
    """Return the memory this process may use: the machine's, its cgroup's limit, Slurm's word; the least of them."""
    found = [int(_first("/proc/meminfo", r"^MemTotal:\s+(\d+) kB") or 0) * 1024]
    for path in CGROUP_LIMITS:
        limit = _first(path, r"^(\d+)")
        found.append(int(limit) if limit else 0)
    found.append(int(os.environ.get("SLURM_MEM_PER_NODE", "0").rstrip("M") or 0) * MIB)
    return min([limit for limit in found if 0 < limit < UNLIMITED] or [MIB * 1024]) // MIB


def cpus():
    """Return how many cores this process may use: its affinity, and Slurm's word where that is less."""
    count = len(os.sched_getaffinity(0))
    told = os.environ.get("SLURM_CPUS_PER_TASK") if "SLURM_JOB_ID" in os.environ else None
    return min(count, int(told)) if told and told.isdigit() else count


def gpus():
    """Return how many GPUs are visible: the scheduler's or the user's choice, else the devices there are."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([name for name in chosen.split(",") if name.strip() not in ("", "-1", "NoDevFiles")])
    try:
        return len([name for name in os.listdir("/dev") if re.match(r"^nvidia\d+$", name)])
    except OSError:
        return 0


def lacking(tasks, capacity):
    """Return {task: {what: [wanted, there]}}: the tasks, each with what it asks for beyond a capacity."""
    found = {}
    for task in tasks:
        short = {
            what: [task["resources"][what], capacity[what]]
            for what in sorted(capacity)
            if task["resources"][what] > capacity[what]
        }
        if short:
            found[task["name"]] = short
    return found


def process(pid):
    """Return when a process of this machine started (clock ticks since boot), or an empty text where there is none.

    One that has ended and only waits for its parent to take note (states Z and X, proc(5)) is none.
    """
    return _first("/proc/%d/stat" % pid, r"^\d+ \(.*\) [^ZX](?: \S+){18} (\d+)")


def owner():
    """Return what tells this process from every other, of this machine and others, now and later."""
    return [socket.gethostname(), _first(BOOT, "^(.*)$"), os.getpid(), process(os.getpid())]


def gone(other):
    """Say whether the process that `owner` described is known to have ended; of other machines nothing is known."""
    host, boot, pid, started = other
    if host != socket.gethostname():
        return False
    return boot != _first(BOOT, "^(.*)$") or process(pid) != started


def host():
    """Return what a reader needs in order to judge where a result came from."""
    return {
        "host": socket.gethostname(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _first("/proc/cpuinfo", r"^model name\s*:\s*(.*)$"),
        "flags": sorted(_first("/proc/cpuinfo", r"^flags\s*:\s*(.*)$").split()),
        "boot": _first(BOOT, "^(.*)$"),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "cpus": cpus(),
        "memory_mib": memory_mib(),
        "gpus": gpus(),
        "uid": os.getuid(),
        "scheduler": {name: value for name, value in sorted(os.environ.items()) if SCHEDULER.match(name)},
    }
