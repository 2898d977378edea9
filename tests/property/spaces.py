"""Random parameters and sweeps that use all features of the language together, as a file could say them."""

import dataclasses

from hypothesis import strategies as st

from sciflow.workflow.spec import Block, Derived, Draw, Parameter, Sample, Sweep, Workflow

NAMES = ("p", "q", "r", "s", "t")
VALUES = {
    "int": st.integers(0, 4),
    "float": st.sampled_from([0.0, 0.5, 1.0, 2.0, 1e-3]),
    "text": st.sampled_from(["u", "v", "uv", ""]),
    "bool": st.booleans(),
    "table": st.sampled_from(['{"a":1}', '{"a":2.5,"b":[true]}', '{"c":{"d":"x"}}']),
}
DRAWS = {
    "int": st.builds(lambda low, more: Draw(form="integer", numbers=(low, low + more)), st.integers(0, 2), st.just(2)),
    "float": st.sampled_from([Draw(form="uniform", numbers=(0.0, 1.0)), Draw(form="normal", numbers=(0.0, 2.0))])
    | st.just(Draw(form="loguniform", numbers=(0.5, 2.0))),
}


@st.composite
def spaces(draw, named=False):
    """Return a workflow without tasks: parameters, derived columns, and one sweep (`named`: one or more, with names)."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=draw(st.sampled_from([3, 2, 1])), max_size=4, unique=True))
    kinds = {name: draw(st.sampled_from([*VALUES, "int"])) for name in names}
    drawn = [name for name in names if draw(st.integers(0, 5)) == 0]
    parameters = tuple(draw(_parameter(name, kinds, name in drawn)) for name in names)
    groups = draw(_groups(parameters))
    parameters, groups = _even(draw, parameters, groups)
    for name in _turning(parameters, groups):
        parameters = tuple(_when(draw, one, parameters, groups) if one.name == name else one for one in parameters)
    derive = draw(_derive(kinds))
    count = draw(st.integers(1, 2)) if named else 1
    sweeps = tuple(
        Sweep(
            name=("one", "two")[index] if named else "",
            blocks=tuple(
                draw(_block(parameters, groups, kinds, derive)) for _ in range(draw(st.sampled_from([1, 1, 2, 3])))
            ),
        )
        for index in range(count)
    )
    return Workflow(name="w", parameters=parameters, derive=derive, sweeps=sweeps)


@st.composite
def _parameter(draw, name, kinds, drawn):
    kind = kinds[name]
    unit = draw(st.sampled_from(["", "", "s"]))
    if drawn and kind in DRAWS and draw(st.booleans()):
        return Parameter(name=name, kind=kind, unit=unit, draw=draw(DRAWS[kind]))
    if kind == "int" and draw(st.integers(0, 5)) == 0:
        return Parameter(name=name, kind=kind, values=(0, 1, 2), unit=unit, repeats=True)
    values = tuple(draw(st.lists(VALUES[kind], min_size=draw(st.sampled_from([2, 1])), max_size=3, unique=True)))
    if not drawn:
        return Parameter(name=name, kind=kind, values=values, unit=unit)
    weights = draw(st.just(()) | st.just(tuple(float(place + 1) for place in range(len(values)))))
    return Parameter(name=name, kind=kind, values=values, unit=unit, draw=Draw(form="choice", weights=weights))


@st.composite
def _groups(draw, parameters):
    """Return groups of those that are not drawn, their names in any order."""
    free = draw(st.permutations([one.name for one in parameters if not one.draw]))
    groups = []
    while len(free) > 1 and draw(st.booleans()):
        size = draw(st.integers(2, len(free)))
        groups.append(tuple(free[:size]))
        free = free[size:]
    return tuple(groups)


def _even(draw, parameters, groups):
    """Give the members of a group equally many values, of which some may stand again; no row stands twice."""
    by_name = {one.name: one for one in parameters}
    for group in groups:
        rows = draw(
            st.lists(
                st.tuples(*(st.sampled_from(by_name[name].values) for name in group)),
                min_size=1,
                max_size=4,
                unique=True,
            )
        )
        for name, values in zip(group, zip(*rows, strict=True), strict=True):
            by_name[name] = dataclasses.replace(by_name[name], values=values, repeats=False)
    return tuple(by_name[one.name] for one in parameters), groups


def _turning(parameters, groups):
    """Return the names in the order in which they are settled."""
    drawn = tuple(one.name for one in parameters if one.draw)
    found = []
    for one in parameters:
        group = next((group for group in (*groups, drawn) if one.name in group), (one.name,))
        found += [name for name in group if name not in found]
    return found


def _when(draw, one, parameters, groups):
    """Give a parameter a condition over those that are settled before it, now and then."""
    turning = _turning(parameters, groups)
    before = {other.name: other.kind for other in parameters if turning.index(other.name) < turning.index(one.name)}
    before = {name: kind for name, kind in before.items() if kind != "table"}
    if not before or draw(st.integers(0, 4)) > 1:
        return one
    # Of those that are there at some points only, now and then.
    before = {other.name: other.kind for other in parameters if other.name in before and other.when} or before
    return dataclasses.replace(one, when=draw(_truth(before)))


def _number(kinds):
    names = [name for name, kind in kinds.items() if kind in ("int", "float")]
    plain = st.sampled_from([*names, "1", "2", "0.5"])
    return plain | st.tuples(plain, st.sampled_from(["+", "*", "-", "//", "/"]), plain).map(
        "{0[0]} {0[1]} {0[2]}".format
    )


def _truth(kinds):
    """Return a strategy of conditions over columns of these kinds."""
    simple = [
        st.tuples(_number(kinds), st.sampled_from(["<", ">=", "==", "!="]), _number(kinds)).map(
            "{0[0]} {0[1]} {0[2]}".format
        )
    ]
    for name, kind in kinds.items():
        if kind == "text":
            simple += [st.sampled_from([f"{name} == 'u'", f"{name} in ['u', 'v']", f"len({name}) < 2"])]
        elif kind == "bool":
            simple += [st.sampled_from([name, f"not {name}"])]
        elif kind != "table":
            simple += [st.sampled_from([f"{name} < 2", f"0 < {name} <= 3", f"{name} not in [1, 2]"])]
    one = st.one_of(*simple)
    return one | st.tuples(one, st.sampled_from(["and", "or"]), one).map("{0[0]} {0[1]} {0[2]}".format)


@st.composite
def _derive(draw, kinds):
    """Return up to two derived columns, of which one reads the other, in any order."""
    if draw(st.booleans()):
        return ()
    number = draw(st.booleans())
    made = [Derived(name="d", expression=draw(_number(kinds) if number else _truth(kinds)))]
    if draw(st.booleans()):
        made.append(Derived(name="e", expression="d * 2 > 1" if number else "not d"))
    return tuple(draw(st.permutations(made)))


@st.composite
def _block(draw, parameters, groups, kinds, derive):
    changed, theirs = [], list(parameters)
    together = {name for group in groups for name in group}
    for index, one in enumerate(parameters):
        if one.name in together or draw(st.integers(0, 3)):
            continue
        values = tuple(draw(st.lists(VALUES[one.kind], min_size=1, max_size=3, unique=True)))
        # A drawn parameter may be listed here; what reads the one that is drawn is settled where that was.
        new = dataclasses.replace(one, values=values, draw=None, repeats=False)
        if _turning([*theirs[:index], new, *theirs[index + 1 :]], groups) != _turning(theirs, groups):
            continue
        if new != one:
            changed.append(new)
            theirs[index] = new
    if draw(st.integers(0, 3)) == 0:
        index = draw(st.integers(0, len(theirs) - 1))
        new = _when(draw, theirs[index], theirs, groups)
        if new != theirs[index] and not theirs[index].when:
            changed = [one for one in changed if one.name != new.name] + [new]
            theirs[index] = new
    drawn = [one for one in theirs if one.draw]
    sample = None
    if drawn:
        sample = Sample(
            method=draw(st.sampled_from(["random", "latin-hypercube", "sobol", "halton"])),
            points=draw(st.integers(1, 4)),
            seed=draw(st.sampled_from([0, 7])),
        )
    readable = {name: kind for name, kind in kinds.items() if kind != "table"}
    if any(one.name == "e" for one in derive):
        readable["e"] = "bool"
    partial = _partial(theirs, exclude=False)
    return Block(
        parameters=tuple(one for one in theirs if one in changed),
        zip=groups,
        where=draw(st.just("") | _truth(readable)),
        exclude=tuple(draw(st.lists(_partial(theirs, exclude=True), max_size=2))),
        include=tuple(draw(st.lists(partial, max_size=2))),
        sample=sample,
    )


@st.composite
def _partial(draw, theirs, exclude):
    chosen = draw(st.lists(st.sampled_from(theirs), min_size=1, max_size=2, unique_by=lambda one: one.name))
    found = []
    for one in sorted(chosen, key=theirs.index):
        known = st.sampled_from(one.values) if one.values else VALUES[one.kind]
        found.append((one.name, draw(known if exclude else known | VALUES[one.kind])))
    return tuple(found)
