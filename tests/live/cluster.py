"""A Slurm cluster of a test's own: two nodes on this machine, with the limits and the mishaps that the test wants."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.conftest import PLAIN_USER

CONF = """\
ClusterName=try{port}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MpiDefault=none
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/%n
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0,requeue_setup_env_fail
KillWait=3
DefMemPerCPU=100
{more}
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=2 RealMemory=4000
PartitionName=main Nodes=ALL Default=YES MaxTime={max_time} State=UP {partition}
"""
DBD = """\
AuthType=auth/munge
DbdHost=localhost
DbdPort={port}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=x
StorageLoc=slurm_acct_db
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={port}
AccountingStorageEnforce=associations,limits,qos
JobAcctGatherType=jobacct_gather/none
"""
MISHAPS = (  # what lets mishaps come about in seconds
    "SlurmdTimeout=10",  # until a node that does not answer is taken for lost
    "MessageTimeout=2",
    "MinJobAge=2",  # until a job that has ended is forgotten
    "MaxArraySize=11",
    "AuthInfo=cred_expire=5",  # how long a job that is queued again waits
    "PreemptType=preempt/partition_prio",
    "PreemptMode=REQUEUE",
)
PREEMPTING = "PriorityTier=1\nPartitionName=hi Nodes=ALL PriorityTier=10 PreemptMode=OFF State=UP"
ANSWER_S = 60


def free_ports(count):
    """Return ports that nothing listens on."""
    with_them = [socket.socket() for _ in range(count)]
    for one in with_them:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in with_them]
    for one in with_them:
        one.close()
    return found


def processes(folder):
    """Return the processes whose environment or command names a folder: a cluster's daemons and what they started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in told:
                found.append(int(entry.name))
    return found


class Cluster:
    """A private cluster, started by entering it. `more`: lines of slurm.conf; `submits`: the most jobs a user may have."""

    def __init__(self, *, more=(), partition="", max_time="INFINITE", submits=None):
        self.folder = Path(tempfile.mkdtemp(prefix="sciflow-slurm-"))
        self.folder.chmod(0o755)
        self.port, self.first, self.second, self.dbd = free_ports(4)
        self.submits, self.started = submits, {}
        lines = [*more, *([ACCOUNTING.format(port=self.dbd)] if submits else [])]
        self.conf = self.folder / "slurm.conf"
        (self.folder / "state").mkdir()
        self.conf.write_text(
            CONF.format(
                port=self.port,
                first=self.first,
                second=self.second,
                host=socket.gethostname().split(".")[0],
                folder=self.folder,
                more="\n".join(lines),
                partition=partition,
                max_time=max_time,
            )
        )
        self.settings = {
            "SLURM_CONF": str(self.conf),
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }
        self.environment = {**os.environ, **self.settings}

    def __enter__(self):
        try:
            if self.submits:
                self._account()
            self.controller()
            for node in ("n1", "n2"):
                self.node(node)
            self.until(lambda: self.states().count("idle") == 2, "both nodes to be idle")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End all that was started, and what that has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self.started.values():
                if process.poll() is None:
                    process.send_signal(number)
            end = time.monotonic() + 10
            while time.monotonic() < end and any(process.poll() is None for process in self.started.values()):
                time.sleep(0.1)
        for pid in processes(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, *words):
        """Start a daemon in a session of its own."""
        with (self.folder / f"{name}.out").open("ab") as out:
            self.started[name] = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment, start_new_session=True
            )

    def kill(self, name):
        """End a daemon as a crash would."""
        process = self.started.pop(name) if name == "slurmctld" else self.started[name]  # nobody is to revive it yet
        process.kill()
        process.wait()

    def lose(self, node):
        """Let a node vanish, with all that runs on it."""
        victims = [pid for pid in processes(self.folder) if _on(pid, node)]
        self.kill(node)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def controller(self, *words):
        """Start the controller, and wait until it answers."""
        self.start("slurmctld", "slurmctld", "-D", "-f", str(self.conf), *words)
        self.until(self.answers, "the controller to answer")

    def node(self, name):
        """Start a node."""
        self.start(name, "slurmd", "-D", "-N", name, "-f", str(self.conf))

    def ask(self, *words, check=True):
        """Run a command of Slurm's as root; return what it prints."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def nodes(self):
        """Return {node: its state}, however many partitions it is in."""
        told = self.ask("sinfo", "-h", "-N", "-o", "%N %T", check=False).splitlines()
        return dict(line.split() for line in sorted(told))

    def states(self):
        """Return the nodes' states."""
        return list(self.nodes().values())

    def resume(self):
        """Let drained nodes be used again: a controller that forgot a job drains the node that has it."""
        drained = [node for node, state in self.nodes().items() if "drain" in state]
        if drained:
            self.ask("scontrol", "update", "NodeName=" + ",".join(drained), "State=RESUME", check=False)

    def answers(self):
        """Say whether the controller answers."""
        return "UP" in self.ask("scontrol", "ping", check=False)

    def until(self, holds, what, limit_s=ANSWER_S):
        """Wait for something to hold."""
        end = time.monotonic() + limit_s
        while not holds():
            self._revive()
            assert time.monotonic() < end, f"waited {limit_s} s for {what}; {self.logs()}"
            time.sleep(0.2)

    def _revive(self):
        """Start a controller again that died by itself, as a site's service manager does.

        After a crash it may find the script of a queued job gone, and takes that for the end ("Unable to load job batch
        script"); -i has it give up that job only.
        """
        controller = self.started.get("slurmctld")
        if controller is not None and controller.poll() is not None:
            self.start("slurmctld", "slurmctld", "-D", "-i", "-f", str(self.conf))

    def logs(self):
        """Return the end of each daemon's log."""
        return {path.name: path.read_text(errors="replace")[-600:] for path in sorted(self.folder.glob("*.log"))}

    def _account(self):
        """Start a database and Slurm's own in front of it, and let the plain user submit so many jobs."""
        data, sock = self.folder / "data", self.folder / "my.sock"
        entry = pwd.getpwnam("mysql")
        data.mkdir()
        os.chown(data, entry.pw_uid, entry.pw_gid)
        words = ["--no-defaults", "--user=root", f"--datadir={data}"]
        subprocess.run(
            ["mariadb-install-db", *words, "--auth-root-authentication-method=normal"], check=True, capture_output=True
        )
        self.start(
            "mariadbd", "mariadbd", *words, f"--socket={sock}", "--skip-networking", f"--pid-file={self.folder}/my.pid"
        )
        client = ["mariadb", "--no-defaults", f"--socket={sock}", "-uroot"]
        self.until(
            lambda: subprocess.run([*client, "-e", "select 1"], capture_output=True, check=False).returncode == 0,
            "MariaDB",
        )
        made = (
            "create database slurm_acct_db; create user 'slurm'@'localhost' identified by 'x'; "
            "grant all on slurm_acct_db.* to 'slurm'@'localhost'"
        )
        subprocess.run([*client, "-e", made], check=True, capture_output=True)
        conf = self.folder / "slurmdbd.conf"
        conf.write_text(DBD.format(port=self.dbd, folder=self.folder))
        conf.chmod(0o600)
        self.environment["MYSQL_UNIX_PORT"] = str(sock)
        self.start("slurmdbd", "slurmdbd", "-D")
        self.until(lambda: bool(self.ask("sacctmgr", "-nP", "show", "qos", check=False)), "slurmdbd to answer")
        name = self.conf.read_text().split("ClusterName=")[1].split()[0]
        for words in (
            ("cluster", name),
            ("account", "lab"),
            ("user", PLAIN_USER, "account=lab", f"maxsubmitjobs={self.submits}"),
        ):
            self.ask("sacctmgr", "-i", "add", *words)


def _on(pid, node):
    """Say whether a process is a node's daemon, or belongs to a job that the node runs."""
    try:
        told = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"SLURMD_NODENAME={node}".encode() in told or f"-N\0{node}\0".encode() in told or f"[{node}".encode() in told
