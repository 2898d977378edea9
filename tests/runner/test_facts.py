"""What a machine is and allows; and whether a process of it has ended."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sciflow.runner import facts


def test_a_host_says_what_a_reader_needs():
    found = facts.host()
    assert found["kernel"] == os.uname().release
    assert found["cpus"] == len(os.sched_getaffinity(0))
    assert found["memory_mib"] > 0


def test_no_secret_of_the_environment_is_a_fact(monkeypatch):
    monkeypatch.setenv("SLURM_JWT", "s3cret")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert facts.host()["scheduler"] == {"SLURM_JOB_ID": "7"}


def test_slurm_s_word_on_cores_is_kept_where_it_is_less(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert facts.cpus() == 1


def test_slurm_s_word_on_cores_counts_for_nothing_outside_of_a_job(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "0")
    assert facts.cpus() == len(os.sched_getaffinity(0))


def test_slurm_s_word_on_memory_is_kept_where_it_is_less(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    assert facts.memory_mib() == 100


@pytest.mark.parametrize(
    ("chosen", "count"), [("0,1", 2), ("", 0), ("-1", 0), ("NoDevFiles", 0), ("GPU-a, GPU-b,GPU-c", 3)]
)
def test_chosen_gpus_are_counted(monkeypatch, chosen, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert facts.gpus() == count


def test_this_process_is_not_gone():
    assert not facts.gone(facts.owner())


def test_a_process_that_was_waited_for_is_gone():
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = [*facts.owner()[:2], process.pid, facts.process(process.pid)]
        assert not facts.gone(owner)
        process.kill()
        process.wait()
        assert facts.gone(owner)


def test_a_process_that_nobody_waited_for_is_gone():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        owner = [*facts.owner()[:2], process.pid, facts.process(process.pid)]
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert facts.gone(owner)


def test_another_process_by_the_same_number_is_not_the_one():
    host, boot, pid, start = facts.owner()
    assert facts.gone([host, boot, pid, start + "0"])


def test_whatever_ran_before_this_boot_is_gone():
    host, _, pid, start = facts.owner()
    assert facts.gone([host, "before", pid, start])


def test_of_another_machine_nothing_is_known():
    _, boot, _, _ = facts.owner()
    assert not facts.gone(["elsewhere", boot, 2**22 - 1, "1"])


def test_a_process_with_a_bracket_in_its_name_is_read(tmp_path):
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as process:
        started = facts.process(process.pid)
        process.kill()
    assert int(started) >= int(facts.process(os.getpid()))


def test_what_a_task_asks_for_beyond_a_capacity_is_told_with_what_there_is():
    tasks = [
        {"name": "small", "resources": {"cpus": 2, "gpus": 0, "memory_mib": 1}},
        {"name": "large", "resources": {"cpus": 4, "gpus": 1, "memory_mib": 1}},
    ]
    found = facts.lacking(tasks, {"cpus": 2, "gpus": 0, "memory_mib": 100})
    assert found == {"large": {"cpus": [4, 2], "gpus": [1, 0]}}


def test_what_is_lacking_is_told_of_a_capacity_with_named_gpus_and_sources():
    tasks = [{"name": "large", "resources": {"cpus": 2, "gpus": 3, "memory_mib": 1}}]
    found = facts.lacking(tasks, {"cpus": 2, "gpus": ["0", "1"], "memory_mib": 100, "sources": {}})
    assert found == {"large": {"gpus": [3, 2]}}


# ---- Capacity, from trees of /proc and /sys laid out by hand

MACHINE = {"proc/meminfo": "MemTotal:       8388608 kB\nMemFree: 1 kB\n"}
V2 = {
    "proc/self/cgroup": "0::/jobs/mine\n",
    "proc/self/mountinfo": "25 1 0:2 / /proc rw - proc proc rw\n31 1 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
}
V1 = {
    "proc/self/cgroup": "4:memory:/jobs/mine\n1:cpu,cpuacct:/jobs/mine\n",
    "proc/self/mountinfo": "32 1 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 1 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
}
MIB = 1 << 20


def laid(root, *trees):
    """Write files below a folder, and return what it offers a process of 16 cores."""
    for tree in trees:
        for path, text in tree.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    return lambda **environ: facts.capacity(str(root), environ, range(16))


def test_without_limits_the_machine_is_what_there_is(tmp_path):
    found = laid(tmp_path, MACHINE, V2, {"sys/fs/cgroup/jobs/mine/cpu.max": "max 100000\n"})()
    sources = {"cpus": {"affinity": 16}, "memory_mib": {"machine": 8192}, "gpus": {}}
    assert found == {"cpus": 16, "memory_mib": 8192, "gpus": [], "sources": sources}


@pytest.mark.parametrize("folder", ["jobs/mine/", "jobs/", ""])
def test_a_limit_of_version_2_binds_wherever_above_it_stands(tmp_path, folder):
    limits = {
        f"sys/fs/cgroup/{folder}cpu.max": "350000 100000\n",
        f"sys/fs/cgroup/{folder}memory.max": f"{100 * MIB}\n",
    }
    found = laid(tmp_path, MACHINE, V2, limits)()
    assert (found["cpus"], found["memory_mib"]) == (3, 100)
    assert (found["sources"]["cpus"]["cgroup"], found["sources"]["memory_mib"]["cgroup"]) == (3, 100)


@pytest.mark.parametrize("folder", ["jobs/mine/", "jobs/", ""])
def test_a_limit_of_version_1_binds_wherever_above_it_stands(tmp_path, folder):
    cpu, memory = f"sys/fs/cgroup/cpu,cpuacct/{folder}", f"sys/fs/cgroup/memory/{folder}"
    limits = {cpu + "cpu.cfs_quota_us": "200000\n", cpu + "cpu.cfs_period_us": "100000\n"}
    found = laid(tmp_path, MACHINE, V1, limits, {memory + "memory.limit_in_bytes": f"{100 * MIB}\n"})()
    assert (found["cpus"], found["memory_mib"]) == (2, 100)


def test_the_least_of_the_limits_on_the_way_up_binds(tmp_path):
    limits = {
        "sys/fs/cgroup/memory.max": "max\n",
        "sys/fs/cgroup/jobs/memory.max": f"{100 * MIB}\n",
        "sys/fs/cgroup/jobs/mine/memory.max": f"{200 * MIB}\n",
    }
    assert laid(tmp_path, MACHINE, V2, limits)()["memory_mib"] == 100


def test_a_limit_beside_the_way_up_does_not_bind(tmp_path):
    assert laid(tmp_path, MACHINE, V2, {"sys/fs/cgroup/jobs/other/memory.max": "1048576\n"})()["memory_mib"] == 8192


def test_version_1_s_way_to_say_no_limit_is_none(tmp_path):
    cpu, memory = "sys/fs/cgroup/cpu,cpuacct/jobs/mine/", "sys/fs/cgroup/memory/"
    limits = {cpu + "cpu.cfs_quota_us": "-1\n", cpu + "cpu.cfs_period_us": "100000\n"}
    found = laid(tmp_path, MACHINE, V1, limits, {memory + "memory.limit_in_bytes": "9223372036854771712\n"})()
    assert (found["cpus"], found["memory_mib"]) == (16, 8192)


def test_less_than_a_core_is_one(tmp_path):
    assert laid(tmp_path, MACHINE, V2, {"sys/fs/cgroup/cpu.max": "50000 100000\n"})()["cpus"] == 1


def test_a_container_s_own_cgroup_stands_where_the_tree_is_mounted(tmp_path):
    """Without a namespace of cgroups, a container sees its path from the host's root, and the mount's root beside it."""
    tree = {
        "proc/self/cgroup": "4:memory:/docker/abc/inner\n",
        "proc/self/mountinfo": "35 1 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
        "sys/fs/cgroup/memory/inner/memory.limit_in_bytes": f"{300 * MIB}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{200 * MIB}\n",
    }
    assert laid(tmp_path, MACHINE, tree)()["memory_mib"] == 200


def test_of_a_cgroup_outside_of_what_is_mounted_the_mount_is_asked(tmp_path):
    tree = {
        "proc/self/cgroup": "4:memory:/elsewhere\n",
        "proc/self/mountinfo": "35 1 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{200 * MIB}\n",
    }
    assert laid(tmp_path, MACHINE, tree)()["memory_mib"] == 200


def test_a_mount_with_a_blank_in_its_path_is_found(tmp_path):
    tree = {
        "proc/self/cgroup": "0::/\n",
        "proc/self/mountinfo": "35 1 0:32 / /my\\040cgroups rw shared:9 - cgroup2 cgroup2 rw\n",
        "my cgroups/memory.max": f"{200 * MIB}\n",
    }
    assert laid(tmp_path, MACHINE, tree)()["memory_mib"] == 200


def test_where_proc_does_not_tell_the_usual_places_are_asked(tmp_path):
    tree = {"sys/fs/cgroup/memory/memory.limit_in_bytes": f"{200 * MIB}\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}
    found = laid(tmp_path, MACHINE, tree)()
    assert (found["cpus"], found["memory_mib"]) == (4, 200)


def test_of_a_machine_that_tells_nothing_a_gibibyte_is_taken(tmp_path):
    assert laid(tmp_path)()["memory_mib"] == 1024


@pytest.mark.parametrize(
    ("variables", "cpus", "memory"),
    [
        ({"SLURM_CPUS_PER_TASK": "4"}, 4, 8192),
        ({"SLURM_CPUS_ON_NODE": "8"}, 8, 8192),
        ({"SLURM_CPUS_PER_TASK": "4", "SLURM_CPUS_ON_NODE": "8"}, 4, 8192),
        ({"SLURM_MEM_PER_NODE": "1000"}, 16, 1000),
        ({"SLURM_MEM_PER_NODE": "0"}, 16, 8192),  # --mem=0: all of it
        ({"SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_ON_NODE": "8"}, 8, 800),
        ({"SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_PER_TASK": "2"}, 2, 200),
        ({"SLURM_MEM_PER_CPU": "100"}, 16, 100),
        ({"SLURM_CPUS_ON_NODE": "many"}, 16, 8192),
    ],
)
def test_slurm_s_words_bind_in_a_job(tmp_path, variables, cpus, memory):
    found = laid(tmp_path, MACHINE)(SLURM_JOB_ID="7", **variables)
    assert (found["cpus"], found["memory_mib"]) == (cpus, memory)


def test_slurm_s_words_count_for_nothing_outside_of_a_job(tmp_path):
    words = {"SLURM_CPUS_ON_NODE": "1", "SLURM_MEM_PER_NODE": "1", "SLURM_JOB_GPUS": "0", "SLURM_GPUS_ON_NODE": "1"}
    found = laid(tmp_path, MACHINE)(**words)
    assert (found["cpus"], found["memory_mib"], found["gpus"]) == (16, 8192, [])


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ["0", "2", "10"]),
        ({"CUDA_VISIBLE_DEVICES": "2"}, ["2"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "GPU-5a, MIG-7b"}, ["GPU-5a", "MIG-7b"]),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,0"}, ["1"]),
        ({"ROCR_VISIBLE_DEVICES": "1"}, ["1"]),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "1-2,10"}, ["1", "2", "10"]),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "1", "CUDA_VISIBLE_DEVICES": "0"}, ["0"]),
        ({"SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "2"}, ["0", "2"]),
    ],
)
def test_gpus_are_named_as_programs_see_them(tmp_path, variables, names):
    devices = {f"dev/{name}": "" for name in ("nvidia0", "nvidia2", "nvidia10", "nvidiactl", "nvidia-uvm", "null")}
    assert laid(tmp_path, MACHINE, devices)(**variables)["gpus"] == names


def test_each_source_is_on_record_with_what_it_said(tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    words = {"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "8", "SLURM_MEM_PER_CPU": "100", "CUDA_VISIBLE_DEVICES": ""}
    assert laid(tmp_path, MACHINE)(**words)["sources"] == {
        "cpus": {"affinity": 16, "SLURM_CPUS_ON_NODE": 8},
        "memory_mib": {"machine": 8192, "SLURM_MEM_PER_CPU": 800},
        "gpus": {"CUDA_VISIBLE_DEVICES": [], "/dev": ["0"]},
    }


CGROUPS = Path("/sys/fs/cgroup")
VERSION_1 = (CGROUPS / "memory").is_dir()


@pytest.fixture
def cgroup():
    """Make a real cgroup, with one inside it, and take both away; skips where this user or machine cannot."""
    made = []

    def capacity(controller, limits):
        """Return what a process finds that was started in the inner one, with limits on the outer."""
        outer = (CGROUPS / controller if VERSION_1 else CGROUPS) / f"sciflow-test-{os.getpid()}"
        try:
            for folder in (outer, outer / "inner"):
                folder.mkdir()
                made.insert(0, folder)
            for name, value in limits.items():
                (outer / name).write_text(value)
        except OSError as error:
            pytest.skip(f"no cgroup can be made here: {error}")
        words = 'echo $$ > "$0"/cgroup.procs && exec "$@"'
        code = "import json; from sciflow.runner import facts; print(json.dumps(facts.capacity()))"
        found = subprocess.run(
            ["sh", "-c", words, outer / "inner", sys.executable, "-c", code], check=True, capture_output=True
        )
        return json.loads(found.stdout)

    yield capacity
    for folder in made:
        folder.rmdir()


def test_a_real_cgroup_s_memory_limit_is_found_above_the_process_s_own(cgroup):
    limit = {"memory.limit_in_bytes" if VERSION_1 else "memory.max": str(256 * MIB)}
    found = cgroup("memory", limit)
    assert (found["memory_mib"], found["sources"]["memory_mib"]["cgroup"]) == (256, 256)


def test_a_real_cgroup_s_quota_is_found_above_the_process_s_own(cgroup):
    v1 = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"}
    found = cgroup("cpu", v1 if VERSION_1 else {"cpu.max": "150000 100000"})
    assert (found["cpus"], found["sources"]["cpus"]["cgroup"]) == (1, 1)


# ---- What else is told of a machine


def test_gpus_are_told_by_their_models_in_the_order_of_the_bus(tmp_path):
    for bus, model in (("0000:81:00.0", "NVIDIA B"), ("0000:01:00.0", "NVIDIA A"), ("0000:c1:00.0", "")):
        folder = tmp_path / "proc/driver/nvidia/gpus" / bus
        folder.mkdir(parents=True)
        folder.joinpath("information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 7\n" if model else "IRQ: 7\n")
    assert facts.gpu_models(str(tmp_path)) == ["NVIDIA A", "NVIDIA B", ""]


def test_a_machine_without_nvidia_s_driver_has_no_models(tmp_path):
    assert facts.gpu_models(str(tmp_path)) == []


def test_limits_are_those_that_a_process_has():
    code = "import json; from sciflow.runner import facts; print(json.dumps(facts.limits()))"
    words = ["sh", "-c", 'ulimit -S -n 100 && ulimit -S -c 0 && exec "$@"', "sh", sys.executable, "-c", code]
    found = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    assert (found["nofile"], found["core"]) == (100, 0)
    assert set(found) == {"as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "stack"}


def test_what_has_no_limit_has_a_null():
    found = facts.limits()
    soft = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[0] for name in found}
    assert {name for name, value in found.items() if value is None} == {
        name for name, value in soft.items() if value == resource.RLIM_INFINITY
    }


def test_a_python_that_was_borrowed_says_of_which_image(tmp_path):
    (tmp_path / "image").write_text(f"sha256:{'a' * 64}\n")
    assert facts.borrowed(str(tmp_path / "bin" / "python3")) == f"sha256:{'a' * 64}"


def test_a_host_s_own_python_is_not_borrowed():
    assert facts.host()["borrowed"] == ""
