"""See how far a run is, and what its steps have printed: from records, and from what live workers say of themselves."""

from __future__ import annotations

import shutil
import time
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING, Any

from sciflow.errors import UsageError
from sciflow.runner import journal, names, progress, records, slurm, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sciflow.bundle.folder import Bundle, Settled
    from sciflow.bundle.workers import Attempt, Worker

SETTLED = (*records.FINAL, names.SKIPPED)
STREAMS = ("stdout", "stderr")
LOOK_S = 1.0
LOOKS = 20
KEPT_BYTES = 1 << 16


def status(path: Path, run_name: str = names.DEFAULT_RUN) -> dict[str, Any]:
    """Say how far a run is.

    {"run", "steps", "tasks": {task: {"steps", state: n, "running": n, "waiting": n}}, "states": that over all tasks,
    "rate": steps a second or None, "left_s": seconds or None, "use": share of the cores or None, "cpus",
    "workers": […], "hosts": {host: {"workers", "running", "cpus"}}, "rounds", "jobs", "cancelled", "over"}.

    `jobs` are those of the run that Slurm still has, and `queue` what each is at, and waits for. A worker that has
    said nothing for half a minute is `silent`, and its steps are not counted as running. `over`: every step has its
    end, and nobody is at work.
    """
    from sciflow.bundle import folder, workers

    bundle = folder.read(path)
    settled, _ = bundle.settled(run_name)
    now, crew = time.time(), workers.read(bundle.run(run_name))
    live = [worker for worker in crew if worker.state(now) == "at work"]
    found: dict[str, Any] = {"run": run_name, **_counted(bundle.plan, settled)}
    _count_running(found["tasks"], settled, live)
    found["states"] = _totals(found["tasks"])
    found |= _slurm(bundle.run(run_name))
    found |= _pace(found, settled, live, now)
    found["workers"] = [_told(worker, now) for worker in crew]
    found["hosts"] = _by_host(live)
    found["cancelled"] = (bundle.run(run_name) / names.CANCEL).exists()
    ended = all(record["state"] in SETTLED for record in settled.values()) and len(settled) == found["steps"]
    found["over"] = ended and not live and not found["jobs"]
    return found


def _counted(plan: Mapping[str, Any], settled: Settled) -> dict[str, Any]:
    """Return {"steps": how many there are, "tasks": {task: {"steps": n, state: how many}}} as the records stand."""
    tasks = {task["name"]: {"steps": task["steps"]} for task in plan["tasks"]}
    for (name, _), record in settled.items():
        tasks[name][record["state"]] = tasks[name].get(record["state"], 0) + 1
    return {"steps": sum(task["steps"] for task in plan["tasks"]), "tasks": tasks}


def _count_running(tasks: dict[str, dict[str, int]], settled: Settled, live: Sequence[Worker]) -> None:
    """Count the steps at work, and those that wait, into the counts of the tasks."""
    running = {(attempt.task, attempt.step) for worker in live for attempt in worker.running}
    for key in running:
        state = settled[key]["state"] if key in settled else None
        told = tasks.get(key[0])
        if told is None or state == names.DONE or not 0 <= key[1] < told["steps"]:
            continue  # another worker was first, or it is no step of this bundle
        if state:
            told[state] -= 1
            if not told[state]:
                del told[state]
        told[progress.RUNNING] = told.get(progress.RUNNING, 0) + 1
    for told in tasks.values():
        waiting = told["steps"] - sum(count for what, count in told.items() if what != "steps")
        if waiting:
            told["waiting"] = waiting


def _totals(tasks: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for told in tasks.values():
        for what, count in told.items():
            if what != "steps":
                found[what] = found.get(what, 0) + count
    return found


def _slurm(run: Path) -> dict[str, Any]:
    past = journal.rounds(str(run))
    found: dict[str, Any] = {"rounds": len(past), "jobs": [], "queue": []}
    if past and shutil.which("squeue"):
        try:
            there = journal.standing(journal.recorded(str(run)))
            found |= {"jobs": [job["id"] for job in there], "queue": [_queued(job) for job in there]}
        except slurm.SlurmError as error:
            found["jobs_unknown"] = str(error)  # records are the truth; that the queue is out of reach is worth a word
    return found


def _queued(job: Mapping[str, Any]) -> dict[str, Any]:
    """Say of a job what its elements are at, and why those that wait do."""
    from sciflow.launchers.slurm import said

    states: dict[str, int] = {}
    for state, _ in job["elements"]:
        states[state.lower()] = states.get(state.lower(), 0) + 1
    reasons = sorted({said(reason) for state, reason in job["elements"] if state == "PENDING"})
    return {"job": job["id"], "name": job["name"], "states": dict(sorted(states.items())), "waits_for": reasons}


def _pace(found: Mapping[str, Any], settled: Settled, live: Sequence[Worker], now: float) -> dict[str, Any]:
    """Return rate, time left and use of cores; None each where nobody is at work."""
    told = [worker for worker in live if worker.since is not None and worker.time is not None]
    if not told:
        return {"rate": None, "left_s": None, "use": None, "cpus": sum(worker.cpus for worker in live)}
    since = min(worker.since or now for worker in told)
    ends = sorted(record["end"] for record in settled.values() if since < record["end"] <= now)
    rate = progress.rate([(since, 0), *((end, count) for count, end in enumerate(ends, 1))], now)
    left = sum(count for what, count in found["states"].items() if what not in SETTLED)
    if not found["jobs"]:  # what only other starts are for is not waited for
        left = min(left, sum(max(0, worker.of - worker.done - worker.failed) for worker in told))
    had = sum(max(0.0, (worker.time or now) - (worker.since or now)) * worker.cpus for worker in told)
    return {
        "rate": rate,
        "left_s": left / rate if rate and left else None,
        "use": sum(worker.busy_s for worker in told) / had if had else None,
        "cpus": sum(worker.cpus for worker in told),
    }


def _told(worker: Worker, now: float) -> dict[str, Any]:
    return {
        "worker": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "state": worker.state(now),
        "time": worker.time,
        "since": worker.since,
        "cpus": worker.cpus,
        "running": [
            {"task": one.task, "step": one.step, "start": one.start, "attempt": one.attempt} for one in worker.running
        ],
    }


def _by_host(live: Sequence[Worker]) -> dict[str, dict[str, int]]:
    hosts: dict[str, dict[str, int]] = {}
    for worker in live:
        told = hosts.setdefault(worker.host, {"workers": 0, "running": 0, "cpus": 0})
        told["workers"] += 1
        told["running"] += len(worker.running)
        told["cpus"] += worker.cpus
    return dict(sorted(hosts.items()))


def step_of(bundle: Bundle, step: str) -> tuple[str, int]:
    """Return the (task, number) of a step's name. Raises UsageError, naming the steps there are."""
    fault = wanted.refusal(bundle.plan, steps=[step])
    if fault:
        raise UsageError(fault[0], hint=fault[1])
    task, number = wanted.parted(step)
    return str(task), int(number)


def logs(
    path: Path, step: str | None = None, run_name: str = names.DEFAULT_RUN, *, all_attempts: bool = False
) -> list[Mapping[str, Any]]:
    """Return the record of one step (`train/12`), or of every step that did not succeed; with `all_attempts` of each.

    Each has what the step printed as `stdout` and `stderr`. Raises UsageError where there is no such record.
    """
    from sciflow.bundle import folder

    bundle = folder.read(path)
    key = None if step is None else step_of(bundle, step)
    found: list[Mapping[str, Any]]
    if all_attempts:
        found = bundle.attempts(run_name)
    else:
        found = [record for _, record in sorted(bundle.settled(run_name)[0].items())]
    if key is None:
        return [record for record in found if record["state"] not in (names.DONE, names.SKIPPED)]
    found = [record for record in found if (record["task"], record["step"]) == key]
    if not found:
        raise UsageError(
            f"run `{run_name}` has no record of the step `{step}`",
            hint=f"`sciflow why {path} {step}` says what it is at",
        )
    return found


def printed(path: Path, record: Mapping[str, Any], stream: str, run_name: str = names.DEFAULT_RUN) -> bytes:
    """Return what an attempt printed to a stream, as far as it is kept: of a long one more than its record holds."""
    from sciflow.bundle import folder
    from sciflow.runner import logs as kept

    return bytes(kept.read(str(folder.read(path).run(run_name)), record, stream))


def has_record(path: Path, step: str, run_name: str = names.DEFAULT_RUN) -> bool:
    """Say whether any attempt at a step is on record. Raises UsageError where there is no such step."""
    from sciflow.bundle import folder

    bundle = folder.read(path)
    return step_of(bundle, step) in bundle.settled(run_name)[0]


def so_far(worker: Worker, attempt: Attempt, stream: str) -> bytes | None:
    """Return the first mebibyte of what an attempt at work has printed; None where that is out of reach from here."""
    from sciflow.bundle import workers

    return workers.printed(worker, attempt, stream)


def at_work(path: Path, step: str, run_name: str = names.DEFAULT_RUN) -> list[tuple[Worker, Attempt]]:
    """Return who is at work on a step now, by live workers' own word."""
    from sciflow.bundle import folder, workers

    bundle = folder.read(path)
    key, now = step_of(bundle, step), time.time()
    return [
        (worker, attempt)
        for worker in workers.read(bundle.run(run_name))
        if worker.state(now) == "at work"
        for attempt in worker.running
        if (attempt.task, attempt.step) == key
    ]


def follow(
    path: Path, step: str, run_name: str = names.DEFAULT_RUN, streams: Sequence[str] = STREAMS
) -> Iterator[tuple[str, bytes]]:
    """Yield what a step prints, as (stream, bytes), until it ends; it is waited for while anybody is at work.

    What is printed is held until its worker has said once more that the step still runs: the file may be another
    step's by then. A step that is at work out of reach, on another machine's disk, gives all it printed at its end.
    """
    shown, count = dict.fromkeys(streams, b""), dict.fromkeys(streams, 0)
    held: tuple[Worker, Attempt, dict[str, bytes]] | None = None
    attempt = ""
    while True:
        running = next(iter(at_work(path, step, run_name)), None)
        if held and running and running[1].attempt == held[1].attempt:
            if running[0].time == held[0].time:
                time.sleep(LOOK_S / 4)
                continue
            for stream, data in held[2].items():
                shown[stream] += data[: KEPT_BYTES - len(shown[stream])]
                count[stream] += len(data)
                if data:
                    yield stream, data
        elif held:
            break
        if running is None:
            if _records(path, step, run_name) or not _anybody(path, run_name):
                break
            time.sleep(LOOK_S)
            continue
        attempt = running[1].attempt
        held = (*running, _more(running, count))
    for record in _ended(path, step, run_name, attempt):
        for stream in streams:
            rest = _rest(printed(path, record, stream, run_name), shown[stream], count[stream])
            if rest:
                yield stream, rest


def _more(running: tuple[Worker, Attempt], count: Mapping[str, int]) -> dict[str, bytes]:
    from sciflow.bundle import workers

    return {stream: workers.printed(*running, stream, offset) or b"" for stream, offset in count.items()}


def _anybody(path: Path, run_name: str) -> bool:
    from sciflow.bundle import folder, workers

    return any(worker.state(time.time()) == "at work" for worker in workers.read(folder.read(path).run(run_name)))


def _ended(path: Path, step: str, run_name: str, attempt: str) -> list[Mapping[str, Any]]:
    """Return the record of an attempt that has just ended; its worker may be about to write it."""
    for _ in range(LOOKS if attempt else 1):
        found = _records(path, step, run_name, attempt)
        if found or not _anybody(path, run_name):
            return found
        time.sleep(LOOK_S / 4)
    return []


def _records(path: Path, step: str, run_name: str, attempt: str = "") -> list[Mapping[str, Any]]:
    """Return the record of one attempt at a step; without its name, the one that counts."""
    try:
        found = logs(path, step, run_name, all_attempts=bool(attempt))
    except UsageError:
        return []
    return [record for record in found if not attempt or record["attempt"] == attempt]


def _rest(whole: bytes, shown: bytes, count: int) -> bytes:
    """Return what of a record's stream was not shown yet; nothing of a long one, whose middle a record leaves out."""
    return whole[count:] if count == len(shown) and whole.startswith(shown) else b""
