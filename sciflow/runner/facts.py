"""Facts of the machine, gathered once a worker: what it is, and what this process may use of it.

Nothing of the environment is taken but the scheduler's own variables, by name: secrets live in environments.
"""

import os
import re
import resource
import sys

MIB = 1 << 20
LIMITS = ("as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "stack")
SCHEDULER = re.compile(
    "^SLURM_(JOB_ID|ARRAY_JOB_ID|ARRAY_TASK_ID|JOB_PARTITION|JOB_NODELIST|JOB_NUM_NODES|NTASKS|JOB_GPUS|GPUS_ON_NODE|CPUS_PER_TASK|CPUS_ON_NODE|MEM_PER_NODE|MEM_PER_CPU|RESTART_COUNT|CLUSTER_NAME)$"
)
BOOT = "/proc/sys/kernel/random/boot_id"
UNLIMITED = 1 << 60  # cgroup v1 writes "no limit" as a number near 2^63
SMALL = 1 << 16  # bytes of a file of the kernel's that are read
MOUNTS = 1 << 24  # and of the table of mounts, which a host of many containers makes long
CGROUPS = {  # where they are looked for if /proc/self does not tell: {controller: folders}; v2 has one tree for all
    "": ["sys/fs/cgroup"],
    "cpu": ["sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"],
    "memory": ["sys/fs/cgroup/memory"],
}
RESOURCES = ("cpus", "gpus", "memory_mib")


def _text(path, size=SMALL):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(size)
    except OSError:
        return ""


def _first(path, pattern):
    """Return the first match of a pattern in a small file of the kernel's, or an empty text."""
    match = re.search(pattern, _text(path), re.MULTILINE)
    return match.group(1).strip() if match else ""


def _cgroups(root):
    """Return {controller: folders}: of the cgroup this process is in, then of each above it that can be seen.

    A limit of any of them binds. The controller of version 2, which has one tree, is named "".
    """
    paths = {}
    for text in _text(os.path.join(root, "proc/self/cgroup")).splitlines():  # cgroups(7): id:controllers:path
        _, controllers, path = text.split(":", 2)
        paths.update((controller, path) for controller in controllers.split(","))
    found = {}
    for text in _text(os.path.join(root, "proc/self/mountinfo"), MOUNTS).splitlines():  # proc(5)
        before, _, after = text.partition(" - ")
        fields, (kind, _, options) = before.split(" "), (after + "  ").split(" ", 2)
        if not kind.startswith("cgroup") or len(fields) <= 4:
            continue
        top, place = (re.sub(r"\\([0-7]{3})", lambda one: chr(int(one.group(1), 8)), part) for part in fields[3:5])
        for controller in [""] if kind == "cgroup2" else options.strip().split(","):
            if controller not in paths or controller in found:
                continue
            # What is mounted may be the tree from some cgroup on (a container's); then that one is all there is above.
            inner = os.path.relpath(paths[controller], top).split("/")
            inner = [] if inner[0] in ("..", ".") else inner
            folder = os.path.join(root, place.lstrip("/"))
            found[controller] = [os.path.join(folder, *inner[:count]) for count in range(len(inner), -1, -1)]
    for controller, folders in CGROUPS.items():
        found.setdefault(controller, [os.path.join(root, folder) for folder in folders])
    return found


def _least(found):
    return min(found) if found else None


def _cgroup_cpus(cgroups):
    """Return how many whole cores the quotas allow, at least one, or None where there is none."""
    found = [_text(os.path.join(folder, "cpu.max")).split() for folder in cgroups[""]]  # v2: `max 100000` is no quota
    for folder in cgroups["cpu"]:
        files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        found.append([_first(os.path.join(folder, name), r"^(\d+)$") for name in files])  # v1: -1 is no quota
    quotas = [pair for pair in found if len(pair) == 2 and pair[0].isdigit() and pair[1].isdigit() and int(pair[1])]
    return _least([max(1, int(quota) // int(period)) for quota, period in quotas])


def _cgroup_memory_mib(cgroups):
    paths = [os.path.join(folder, "memory.max") for folder in cgroups[""]]
    paths += [os.path.join(folder, "memory.limit_in_bytes") for folder in cgroups["memory"]]
    limits = [int(_first(path, r"^(\d+)$") or UNLIMITED) for path in paths]
    return _least([limit // MIB for limit in limits if 0 < limit < UNLIMITED])


def _number(environ, name):
    """Return what Slurm says in a variable, as a number; None where it says nothing. 0 is its word for all there is."""
    text = environ.get(name, "") if "SLURM_JOB_ID" in environ else ""
    match = re.match(r"^(\d+)M?$", text)
    return (int(match.group(1)) or None) if match else None


def _devices(text):
    """Return the devices that a list of them names, in order; CUDA takes none after one that is not there."""
    found = []
    for name in text.split(","):
        if name.strip() in ("", "-1", "NoDevFiles"):
            break
        first, _, last = name.strip().partition("-")
        spread = first.isdigit() and last.isdigit()  # Slurm may write 0-3
        found += [str(one) for one in range(int(first), int(last) + 1)] if spread else [name.strip()]
    return found


def _gpus(root, environ):
    """Return ([names], what each source said): the user's or the scheduler's choice, else the devices there are."""
    said = {}
    for name in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "SLURM_JOB_GPUS"):
        if name in environ and (not name.startswith("SLURM") or "SLURM_JOB_ID" in environ):
            said[name] = _devices(environ[name])
    try:
        there = [re.match(r"^nvidia(\d+)$", name) for name in os.listdir(os.path.join(root, "dev"))]
    except OSError:
        there = []
    devices = sorted(int(match.group(1)) for match in there if match)
    if devices:
        said["/dev"] = [str(device) for device in devices]
    names = next(iter(said.values()), [])
    count = _number(environ, "SLURM_GPUS_ON_NODE")
    if count is not None:
        said["SLURM_GPUS_ON_NODE"] = count
        names = names[:count]
    return names, said


def capacity(root="/", environ=None, cores=None):
    """Return what this process may use: {"cpus", "memory_mib", "gpus": [names], "sources"}.

    `sources` is what each source said of each; the least counts (of GPUs, the first that names them). What is asked is
    the affinity (`cores`), the quotas and limits of the cgroups, the variables of Slurm's job (`environ`), the machine.
    """
    environ = os.environ if environ is None else environ
    cgroups = _cgroups(root)
    told = {name: _number(environ, name) for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")}
    cpus = {"affinity": len(os.sched_getaffinity(0) if cores is None else cores), "cgroup": _cgroup_cpus(cgroups)}
    cpus.update(told)
    each, of = _number(environ, "SLURM_MEM_PER_CPU"), told["SLURM_CPUS_ON_NODE"] or told["SLURM_CPUS_PER_TASK"] or 1
    memory = {
        "machine": int(_first(os.path.join(root, "proc/meminfo"), r"^MemTotal:\s+(\d+) kB") or 0) // 1024 or None,
        "cgroup": _cgroup_memory_mib(cgroups),
        "SLURM_MEM_PER_NODE": _number(environ, "SLURM_MEM_PER_NODE"),
        "SLURM_MEM_PER_CPU": each * of if each else None,
    }
    gpus, devices = _gpus(root, environ)
    sources = {"cpus": cpus, "memory_mib": memory}
    sources = {
        what: {name: value for name, value in said.items() if value is not None} for what, said in sources.items()
    }
    return {
        "cpus": min(sources["cpus"].values()),
        "memory_mib": min(list(sources["memory_mib"].values()) or [1024]),
        "gpus": gpus,
        "sources": dict(sources, gpus=devices),
    }


def memory_mib():
    """Return the memory this process may use: the machine's, its cgroups' limits, Slurm's word; the least of them."""
    return capacity()["memory_mib"]


def cpus():
    """Return how many cores this process may use: its affinity, its cgroups' quotas, Slurm's word; the least."""
    return capacity()["cpus"]


def gpus():
    """Return how many GPUs are visible: the scheduler's or the user's choice, else the devices there are."""
    return len(capacity()["gpus"])


def lacking(tasks, capacity):
    """Return {task: {what: [wanted, there]}}: the tasks, each with what it asks for beyond a capacity."""
    there = {what: capacity[what] for what in RESOURCES if what in capacity}
    there = {what: len(found) if isinstance(found, (list, tuple)) else found for what, found in there.items()}
    found = {}
    for task in tasks:
        short = {
            what: [task["resources"][what], there[what]] for what in there if task["resources"][what] > there[what]
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
    return [os.uname().nodename, _first(BOOT, "^(.*)$"), os.getpid(), process(os.getpid())]


def gone(other):
    """Say whether the process that `owner` described is known to have ended; of other machines nothing is known."""
    host, boot, pid, started = other
    if host != os.uname().nodename:
        return False
    return boot != _first(BOOT, "^(.*)$") or process(pid) != started


def gpu_models(root="/"):
    """Return the models of NVIDIA's GPUs, in the order of their bus addresses."""
    folder = os.path.join(root, "proc/driver/nvidia/gpus")
    try:
        found = sorted(os.listdir(folder))
    except OSError:
        return []
    return [_first(os.path.join(folder, name, "information"), r"^Model:\s*(.*)$") for name in found]


def limits():
    """Return the soft limits that steps inherit, by name; null: none (getrlimit(2))."""
    found = {}
    for name in LIMITS:
        soft = resource.getrlimit(getattr(resource, "RLIMIT_" + name.upper()))[0]
        found[name] = None if soft == resource.RLIM_INFINITY else soft
    return found


def borrowed(program):
    """Return the image whose Python this is, where `launch.sh` found none on the host; else an empty text."""
    return _first(os.path.join(os.path.dirname(os.path.dirname(program)), "image"), r"^(sha256:[0-9a-f]{64})$")


def libc():
    """Return the C library and its version, like `glibc 2.36`; nothing where it does not tell, as musl does not."""
    return os.confstr("CS_GNU_LIBC_VERSION") or "" if "CS_GNU_LIBC_VERSION" in os.confstr_names else ""


def host():
    """Return what a reader needs in order to judge where a result came from."""
    may, system = capacity(), os.uname()
    return {
        "host": system.nodename,
        "kernel": system.release,
        "machine": system.machine,
        "cpu": _first("/proc/cpuinfo", r"^model name\s*:\s*(.*)$"),
        "flags": sorted(_first("/proc/cpuinfo", r"^flags\s*:\s*(.*)$").split()),
        "boot": _first(BOOT, "^(.*)$"),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "borrowed": borrowed(sys.executable),
        "system": _first("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'),
        "libc": libc(),
        "cpus": may["cpus"],
        "memory_mib": may["memory_mib"],
        "gpus": len(may["gpus"]),
        "gpu_models": gpu_models(),
        "limits": limits(),
        "uid": os.getuid(),
        "scheduler": {name: value for name, value in sorted(os.environ.items()) if SCHEDULER.match(name)},
    }
