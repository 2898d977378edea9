"""The nouns of a workflow: what the scientist wrote, checked and frozen.

`load` makes them from TOML. They hold nothing but what stands in the file or is a documented default of it, in the
order of the file. Every name in them has been checked, so the passes below need not look again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sciflow.workflow.points import Points

Value: TypeAlias = bool | int | float | str
Kind: TypeAlias = Literal["bool", "int", "float", "text", "table"]
Keys: TypeAlias = tuple[str | int, ...]
Partial: TypeAlias = tuple[tuple[str, Value], ...]
"""(parameter, value), in the order of the parameters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """One root file system, as asked for: `source` says how to read `reference`.

    `environment` and `labels` are (name, value), sorted by name.
    """

    source: Literal["from", "debian", "nix", "definition", "dockerfile", "file"]
    reference: str
    """An OCI reference (`docker://…`, `oci-archive:PATH`), a Debian suite, `FOLDER#NAME` of a flake, or a path; paths
    are relative to the workflow's folder."""
    packages: tuple[str, ...] = ()
    """Debian packages, in the order of the file."""
    files: tuple[str, ...] = ()
    """What of a flake's folder belongs to the flake: glob patterns."""
    python: str = ""
    """A file of requirements, or a lock of them (PEP 751), whose packages are laid over the root file system."""
    environment: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def extended(self) -> bool:
        """Whether something is laid over what the source gives."""
        return bool(self.python or self.environment or self.labels)


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """The files of the workflow's folder that travel as code: glob patterns, `**` crosses folders."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """A file or folder that the tasks read: at `path`, relative to the workflow's folder, or at a `url`.

    Of the latter `path` is the file's name alone, and `sha256` its digest in hex where the workflow says it.
    """

    name: str
    path: str
    url: str = ""
    sha256: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """How a parameter's values are drawn when the sweep is sampled.

    `numbers`: the ends (uniform, loguniform; integer, both in) or mean and standard deviation (normal). `weights`: of
    the values of a choice, in their order; none: all alike.
    """

    form: Literal["uniform", "loguniform", "normal", "integer", "choice"]
    numbers: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """An axis of the space; all values are of one kind. A value of kind `table` is the table as canonical JSON.

    One that is drawn (`draw`) has no values, but those of a choice. Where `when` is false a point has no value of it.
    One that `repeats` only numbers points that are otherwise the same: results are averaged over it.
    """

    name: str
    kind: Kind
    values: tuple[Value, ...] = ()
    unit: str = ""
    when: str = ""
    draw: Draw | None = None
    repeats: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """A column computed from others: its name and the text of its expression."""

    name: str
    expression: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """How many points are drawn, and how; the same seed draws the same points on every machine."""

    method: Literal["random", "latin-hypercube", "sobol", "halton"]
    points: int
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Points: the grid of the parameters, in which zipped groups and drawn parameters turn together, less some.

    `parameters` stand here instead of the workflow's of the same names. `exclude` and `include` are partial points;
    the included come last, one for each combination of what they leave out.
    """

    parameters: tuple[Parameter, ...] = ()
    zip: tuple[tuple[str, ...], ...] = ()
    where: str = ""
    exclude: tuple[Partial, ...] = ()
    include: tuple[Partial, ...] = ()
    sample: Sample | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """An ordered set of points: those of its blocks, each point once. The one sweep of a workflow may have no name.

    `points` are the same, made: a file is read only once they have been.
    """

    name: str = ""
    blocks: tuple[Block, ...] = (Block(),)
    points: Points | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What one step may use."""

    cpus: int = 1
    memory_mib: int = 1024
    gpus: int = 0
    time_s: int = 3600
    nodes: int = 0
    """Over how many nodes its ranks are spread; 0, as `ranks`, of a step that is one process on one machine."""
    ranks: int = 0
    """How many copies of the command a step is; cores and memory are each one's."""
    mpi: str = ""
    """What `srun --mpi` takes; nothing: as the site has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """When a step is tried again, and what it gets then.

    `on`: after which states of a record, in alphabetical order. A fault of the surroundings is none of them: a step
    is tried again after one whatever stands here.
    """

    times: int = 0
    """After the first attempt."""
    on: tuple[Literal["failed", "memory", "time"], ...] = ("memory", "time")
    grow_memory: float = 1.0
    """The factor on the memory after each attempt that had too little."""
    grow_time: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """How a step goes on where it was stopped: a folder outlives attempts, a signal comes before the end."""

    path: str
    """Relative to the step's working folder."""
    signal: Literal["USR1", "USR2", "TERM", "INT", "HUP"] = "USR1"
    before_s: int = 60
    """How long before its time is up the step gets the signal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placeholder:
    """A `{…}` in a command.

    `kind` says what stands there: a `parameter` (or derived column), an `input`, an `output` of this task, an
    `upstream` output (`owner` is the task), the `records` of a gathered task (`owner`), the `point` or the `seed`.
    """

    kind: Literal["parameter", "input", "output", "upstream", "records", "point", "seed"]
    name: str = ""
    owner: str = ""


Word: TypeAlias = tuple[str | Placeholder, ...]
"""Literal text and placeholders, in turn; braces are already plain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One named command, what it needs and what it leaves."""

    name: str
    shell: bool
    """Whether the command is one text for `sh -c` (then `words` has one word), or an argument list."""
    words: tuple[Word, ...] = ()
    python: str = ""
    """`module:function` of the code instead of a command; then `words` is empty, and `outputs` begins with `result`."""
    needs: tuple[str, ...] = ()
    """The tasks it waits for; a gathered task is among them."""
    gather: str = ""
    """The task over all of whose steps this one runs once, or nothing."""
    parameters: tuple[str, ...] | None = None
    """The parameters it depends on beside those its text names, where the file says so."""
    outputs: tuple[tuple[str, str], ...] = ()
    """(name, path relative to the step's working folder); a path that ends in `/` is a folder."""
    metrics: str = ""
    """The JSON file, relative to the working folder, whose keys become columns; or nothing."""
    environment: tuple[tuple[str, str], ...] = ()
    resources: Resources = Resources()
    retry: Retry = Retry()
    checkpoint: Checkpoint | None = None
    isolate: Literal["worker", "spaces", "step"] = "worker"
    """What shares a box: the steps of a worker, or nothing; or they share one, and have spaces of their own in it."""
    envelope: bool = True
    """Whether the step finds the same threads, time zone, locale, hash seed and umask everywhere."""
    blas: Literal["haswell", "skylakex", "zen", "sandybridge", "generic", ""] = ""
    """The kernel that libraries of linear algebra are held to; nothing: they choose."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a run keeps to: after so many steps that failed for good it starts nothing new; 0: it goes on."""

    max_failures: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """What is known of a metric before the run.

    Two values agree when `abs(a - b) <= tolerance * max(1, abs(a), abs(b))`.
    `require` is a comparison such as `> 0.5`.
    """

    name: str
    goal: Literal["maximize", "minimize", ""] = ""
    unit: str = ""
    require: str = ""
    tolerance: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When the sweep may run. Each of `hours` is `HH:MM-HH:MM` in `timezone`, and may cross midnight."""

    policy: Literal["now", "off-peak"] = "now"
    hours: tuple[str, ...] = ()
    weekends: bool = False
    """Whether all of Saturday and Sunday is off-peak too."""
    holidays: tuple[str, ...] = ()
    """Dates, `2026-12-25`, on which the whole day is off-peak; ascending."""
    timezone: str = "UTC"
    max_wait_s: int = 0
    """After this the sweep starts whatever the hour; 0: never."""
    hard: bool = False
    when_idle: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A figure of the report. `facet` names at most two parameters."""

    name: str
    kind: Literal["line", "scatter", "heatmap", "box", "bar"]
    x: str
    y: str
    value: str = ""
    color: str = ""
    facet: tuple[str, ...] = ()
    aggregate: Literal["mean", "median", "min", "max"] = "mean"
    title: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a workflow was read from: its file, its bytes, and the place of each key and value.

    `places` maps a path of keys and list indices to (line, column), both from 1, of the key (tables, keys) or the value
    (list items).
    """

    file: Path
    text: str
    places: Mapping[Keys, tuple[int, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """A whole experiment. Two workflows that mean the same are equal, wherever they were read from."""

    name: str
    title: str = ""
    image: Image | None = None
    code: Code = Code()
    inputs: tuple[Input, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    derive: tuple[Derived, ...] = ()
    sweeps: tuple[Sweep, ...] = (Sweep(),)
    tasks: tuple[Task, ...] = ()
    run: Run = Run()
    metrics: tuple[Metric, ...] = ()
    schedule: Schedule = Schedule()
    slurm: tuple[tuple[str, str | int], ...] = ()
    charts: tuple[Chart, ...] = ()
    source: Source | None = field(default=None, compare=False, repr=False)
