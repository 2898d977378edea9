"""A Workflow -> the TOML text that `load.parse` reads back as an equal one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import tomli_w

from sciflow.runner import names
from sciflow.workflow import template
from sciflow.workflow.spec import (
    Block,
    Checkpoint,
    Image,
    Input,
    Parameter,
    Resources,
    Retry,
    Sweep,
    Task,
    Value,
    Workflow,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def toml(document: Mapping[str, Any]) -> str:
    """Write any document of ours as TOML, lists with an item a line."""
    return tomli_w.dumps(document)


def write(workflow: Workflow) -> str:
    """Return the text; what stands at its default is left out."""
    tables: dict[str, Any] = {
        "format": 1,
        "workflow": _set(name=workflow.name, title=workflow.title),
        "image": _image(workflow.image) if workflow.image else {},
        "code": _set(include=list(workflow.code.include), exclude=list(workflow.code.exclude)),
        "inputs": {one.name: _input(one) for one in workflow.inputs},
        "parameters": _parameters(workflow.parameters),
        **_sweeps(workflow),
        "tasks": {task.name: _task(task) for task in workflow.tasks},
        "run": _set(max_failures=workflow.run.max_failures),
        "results": _set(
            metrics={
                one.name: _set(goal=one.goal, unit=one.unit, require=one.require, tolerance=one.tolerance)
                for one in workflow.metrics
            }
        ),
        "schedule": _schedule(workflow),
        "slurm": dict(workflow.slurm),
        "charts": [
            _set(
                name=one.name,
                kind=one.kind,
                x=one.x,
                y=one.y,
                value=one.value,
                color=one.color,
                facet=list(one.facet),
                aggregate=one.aggregate if one.aggregate != "mean" else "",
                title=one.title,
            )
            for one in workflow.charts
        ],
    }
    return tomli_w.dumps(_set(**tables))


def _set(**keys: Any) -> dict[str, Any]:
    """Keep what is not empty, zero or false."""
    return {key: value for key, value in keys.items() if value}


def _image(image: Image) -> dict[str, Any]:
    return {
        image.source: image.reference,
        **_set(
            packages=list(image.packages),
            files=list(image.files),
            python=image.python,
            environment=dict(image.environment),
            labels=dict(image.labels),
        ),
    }


def _input(entry: Input) -> dict[str, Any]:
    return {"url": entry.url, **_set(sha256=entry.sha256)} if entry.url else {"path": entry.path}


def _sweeps(workflow: Workflow) -> dict[str, Any]:
    derive = {one.name: one.expression for one in workflow.derive}
    by_name = {one.name: one for one in workflow.parameters}
    tables = {one.name: _blocks(one, by_name) for one in workflow.sweeps}
    own = tables.pop("", {})
    return {"sweep": _set(derive=derive) | own, "sweeps": tables}


def _blocks(sweep: Sweep, by_name: Mapping[str, Parameter]) -> dict[str, Any]:
    blocks = [_block(one, by_name) for one in sweep.blocks]
    return blocks[0] if len(blocks) == 1 else {"blocks": blocks}


def _block(block: Block, by_name: Mapping[str, Parameter]) -> dict[str, Any]:
    sample = block.sample
    return _set(
        parameters=_parameters(block.parameters),
        zip=[list(group) for group in block.zip],
        where=block.where,
        exclude=[{name: _value(by_name[name], value) for name, value in partial} for partial in block.exclude],
        include=[{name: _value(by_name[name], value) for name, value in partial} for partial in block.include],
        sample={"method": sample.method, "points": sample.points, **_set(seed=sample.seed)} if sample else {},
    )


def _parameters(parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    # TOML writes tables after plain values, so one table among lists would change its place in the order of the axes.
    tables = [_parameter(one) for one in parameters]
    if all(table.keys() == {"values"} and one.kind != "table" for one, table in zip(parameters, tables, strict=True)):
        return {one.name: table["values"] for one, table in zip(parameters, tables, strict=True)}
    return {one.name: table for one, table in zip(parameters, tables, strict=True)}


def _parameter(one: Parameter) -> dict[str, Any]:
    said = _set(unit=one.unit, when=one.when)
    values = [_value(one, value) for value in one.values]
    if one.repeats:
        return {"replicates": len(values), **said}
    if one.draw is None:
        return {**_listed(one, values), **said}
    if one.draw.form == "choice":
        return {"choice": values, **_set(weights=list(one.draw.weights)), **said}
    return {one.draw.form: list(one.draw.numbers), **said}


def _value(parameter: Parameter, value: Value) -> Any:
    return json.loads(str(value)) if parameter.kind == "table" else value


def _listed(one: Parameter, values: list[Any]) -> dict[str, Any]:
    """Write many whole numbers at even steps as the range they are."""
    if one.kind == "int" and len(values) > LONG:
        first, step = values[0], values[1] - values[0]
        if step and values == list(range(first, first + step * len(values), step)):
            return {"range": [first, first + step * len(values), step]}
    return {"values": values}


LONG = 16  # values that a list may well show


def _task(task: Task) -> dict[str, Any]:
    words = [template.write(word) for word in task.words]
    python = task.python
    command: dict[str, Any] = {"python": python} if python else {"shell": words[0]} if task.shell else {"run": words}
    return {
        **command,
        **_set(
            needs=list(task.needs),
            gather=task.gather,
            outputs={name: path for name, path in task.outputs if not (python and name == names.RESULT)},
            metrics="" if python and task.metrics == names.METRICS else task.metrics,
            environment=dict(task.environment),
            resources=_resources(task.resources),
            retry=_retry(task.retry),
            checkpoint=_checkpoint(task.checkpoint) if task.checkpoint else {},
            isolate=task.isolate if task.isolate != "worker" else "",
            envelope="" if task.envelope else "off",
            blas=task.blas,
        ),
        **({} if task.parameters is None else {"parameters": list(task.parameters)}),
    }


def _resources(resources: Resources) -> dict[str, Any]:
    default = Resources()
    written = {
        "cpus": resources.cpus,
        "memory": f"{resources.memory_mib} MiB",
        "gpus": resources.gpus,
        "time": f"{resources.time_s}s",
    }
    at_default = {
        "cpus": default.cpus,
        "memory": f"{default.memory_mib} MiB",
        "gpus": default.gpus,
        "time": f"{default.time_s}s",
    }
    spread = _set(nodes=resources.nodes, ranks=resources.ranks, mpi=resources.mpi)
    return {key: value for key, value in written.items() if value != at_default[key]} | spread


def _retry(retry: Retry) -> dict[str, Any]:
    default = Retry()
    if retry == default:
        return {}
    return {
        "times": retry.times,
        **_set(
            on=(list(retry.on) or ["node"]) if retry.on != default.on else [],
            grow_memory=retry.grow_memory if retry.grow_memory != default.grow_memory else 0,
            grow_time=retry.grow_time if retry.grow_time != default.grow_time else 0,
        ),
    }


def _checkpoint(one: Checkpoint) -> dict[str, Any]:
    default = Checkpoint(path=one.path)
    return {
        "path": one.path,
        **_set(
            signal=one.signal if one.signal != default.signal else "",
            before=f"{one.before_s}s" if one.before_s != default.before_s else "",
        ),
    }


def _schedule(workflow: Workflow) -> dict[str, Any]:
    schedule = workflow.schedule
    return _set(
        policy=schedule.policy if schedule.policy != "now" else "",
        hours=schedule.hours[0] if len(schedule.hours) == 1 else list(schedule.hours),
        weekends=schedule.weekends,
        holidays=list(schedule.holidays),
        timezone=schedule.timezone if schedule.timezone != "UTC" else "",
        max_wait=f"{schedule.max_wait_s}s" if schedule.max_wait_s else "",
        hard=schedule.hard,
        when_idle=schedule.when_idle,
    )
