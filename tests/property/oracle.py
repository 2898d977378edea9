"""The points of a sweep by the definition of the language alone: every combination tried, nothing clever, no bound.

Expressions are Python's own `eval`. A block is the product over all parameters, each by itself in the order of the file;
what the definition leaves out is then left out, first of all the combinations in which what turns together does not.
"""

import dataclasses
import itertools

from sciflow.workflow import draw


class Absent(Exception):  # noqa: N818  it is no error of anyone's
    """An expression reads a value that is not there."""


class Row(dict):
    """The values at a point; one that is None cannot be read."""

    def __getitem__(self, name):
        value = super().__getitem__(name)
        if value is None:
            raise Absent(name)
        return value


FUNCTIONS = {"__builtins__": {"min": min, "max": max, "abs": abs, "len": len}}


def value(text, row):
    return eval(text, dict(FUNCTIONS), Row(row))  # noqa: S307  the oracle


def points(workflow, sweep):
    """Return (points, how many had stood before). Raises Absent or ArithmeticError as an expression does."""
    made = []
    for block in sweep.blocks:
        theirs = {one.name: one for one in workflow.parameters} | {one.name: one for one in block.parameters}
        every = {one.name: list(one.values) for one in theirs.values() if not one.draw}
        drawn = [one for one in theirs.values() if one.draw]
        if drawn:
            columns = dict.fromkeys(zip(*draw.values(drawn, block.sample), strict=True))
            every |= {one.name: list(values) for one, values in zip(drawn, zip(*columns, strict=True), strict=True)}
        groups = [*block.zip, *([tuple(one.name for one in drawn)] if drawn else [])]
        made += [_kept(workflow, block, row) for row in _combinations(theirs, every, groups)]
        for partial in block.include:
            fixed = dict(partial)
            instead = {name: [fixed.get(name, value) for value in values] for name, values in every.items()}
            made += [_finished(workflow, row) for row in _combinations(theirs, instead, groups)]
    there = [row for row in made if row is not None]
    return list(dict.fromkeys(there)), len(there) - len(set(there))


def _combinations(theirs, every, groups):
    """Return the rows of all combinations, conditions asked, each once."""
    rows = []
    for at in itertools.product(*(range(len(every[name])) for name in theirs)):
        turn = dict(zip(theirs, at, strict=True))
        if any(len({turn[name] for name in group}) > 1 for group in groups):
            continue
        row = {name: every[name][turn[name]] for name in theirs}
        # What turns together is settled together, at the place of the first of it.
        for name in theirs:
            for member in next((group for group in groups if name in group), (name,)):
                one = theirs[member]
                if row[member] is not None and one.when and not _holds(one.when, row):
                    row[member] = None
        rows.append(row)
    return [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in rows)]


def _holds(when, row):
    try:
        return value(when, row)
    except Absent:
        return False  # what reads a value that is not there does not hold


def _kept(workflow, block, row):
    if any(all(row[name] == wanted for name, wanted in partial) for partial in block.exclude):
        return None
    texts = {one.name: one.expression for one in workflow.derive}
    if block.where:
        # What `where` reads is computed before it, and nothing else.
        for name in _read(block.where, texts):
            _derive(name, texts, row)
        if not value(block.where, row):
            return None
    return _finished(workflow, row)


def _finished(workflow, row):
    texts = {one.name: one.expression for one in workflow.derive}
    for name in texts:
        _derive(name, texts, row)
    ordered = [one.name for one in workflow.parameters] + [name for name in row if name in texts]
    return tuple((name, row[name]) for name in ordered)


def _read(text, texts):
    return [name for name in compile(text, "", "eval").co_names if name in texts]


def _derive(name, texts, row):
    """Compute a derived column, and before it those that it reads."""
    if name in row:
        return
    for other in _read(texts[name], texts):
        _derive(other, texts, row)
    try:
        row[name] = value(texts[name], row)
    except Absent:
        row[name] = None


def empty(workflow, sweep):
    """Say whether some block keeps no combination: what has no value there may be met, or may not."""
    for block in sweep.blocks:
        bare = dataclasses.replace(block, include=())
        if not points(workflow, dataclasses.replace(sweep, blocks=(bare,)))[0]:
            return True
    return False
