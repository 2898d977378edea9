"""A Dockerfile beside the workflow -> the same root file system for every engine, without Docker.

One stage, read as the Dockerfile reference has it; what cannot be kept exactly is refused by name, with its line.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from sciflow.containers import instructions, quoting, reference, workbench
from sciflow.containers.archive import SEARCH_PATH
from sciflow.containers.instructions import Copy, Faults, Make, Recipe, Run, Step
from sciflow.containers.source import Base
from sciflow.errors import Fault, ImageError, SurroundingsError
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sciflow.containers.image import PinnedImage
    from sciflow.containers.locked import LockedFile
    from sciflow.containers.source import Request
    from sciflow.workflow import spec

NAME = "dockerfile"

IGNORED = ("CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "MAINTAINER", "ONBUILD", "STOPSIGNAL", "VOLUME")
SHELL = ("/bin/sh", "-c")
ROOT = {"root", "0", "root:root", "0:0"}
# BuildKit gives these values of its own.
BUILDERS = {f"{which}{what}" for which in ("BUILD", "TARGET") for what in ("PLATFORM", "OS", "ARCH", "VARIANT")}
PLAIN_DIRECTIVES = {"escape": re.compile(r"\\"), "syntax": re.compile(r"docker/dockerfile(:1(\.\d+)*(-labs)?)?")}
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".gz", ".bz2", ".xz")
IGNORE_LIST = ".dockerignore"

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][\w-]*)\s*=\s*(.*?)\s*")
_CONTINUED = re.compile(r"(?:(?<!\\)|^)\\[ \t]*$")
_HEREDOC = re.compile(r"(?:^|\s)\d*<<-?[^\s<]")
_STAGE = re.compile(r"(\S+)(?:\s+AS\s+\S+)?", re.IGNORECASE)


def files(image: spec.Image, folder: Path, /) -> tuple[LockedFile, ...]:
    """Pin the Dockerfile and what it copies. Raises ImageError, SurroundingsError."""
    _alone(folder, image.reference)
    file = image.reference
    recipe = read(instructions.text(folder, file), file, Base(layers=()))
    return instructions.files(instructions.items(recipe, folder, file), folder, file)


def fits(image: spec.Image, pinned: PinnedImage, _folder: Path | None) -> bool:
    """Say whether it is the same file; what it copies is compared by `files`."""
    return image.reference == pinned.reference


def lay(request: Request, /) -> Base:
    """Build it on its base. Raises ImageError, SurroundingsError."""
    _alone(request.folder, request.image.reference)
    return workbench.lay(request, read)


def recipe(image: PinnedImage, /) -> Mapping[str, str]:
    """Say on which base which Dockerfile was built. Pure."""
    return workbench.recipe(image)


def _alone(folder: Path, file: str) -> None:
    """Refuse a list of what not to copy: nothing is sent anywhere, and its patterns would have to be kept exactly."""
    for name in (IGNORE_LIST, f"{posixpath.basename(file)}{IGNORE_LIST}"):
        place = posixpath.join(posixpath.dirname(file), name)
        if (folder / place).exists():
            raise ImageError(
                [
                    Fault(
                        file=shown(place),
                        text="is not honoured",
                        hint="take it away, or put the Dockerfile elsewhere; let `COPY` name what is wanted",
                    )
                ]
            )


@dataclass(kw_only=True, slots=True)
class _State:
    """Where the reading stands: `before` are the ARGs above FROM, `arguments` those below it."""

    faults: Faults
    given: Mapping[str, str]
    folder: str
    base: str = ""
    line: int = 0
    before: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)
    seconded: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def known(self) -> dict[str, str]:
        """Return what a variable means here: ENV hides ARG."""
        return {"PATH": SEARCH_PATH, **self.arguments, **self.given, **self.environment}


class _RefusedError(Exception):
    """A fault and its hint."""


def read(text: str, file: str, under: Base) -> Recipe:
    """Read a Dockerfile; `under` gives the environment and the folder of its base. Raises ImageError: all faults."""
    faults = Faults(file=file)
    state = _State(faults=faults, given=dict(under.environment), folder=under.folder)
    for line, said in _joined(text, faults):
        try:
            _take(state, line, said)
        except _RefusedError as refused:
            faults.add(line, *refused.args)
        except quoting.QuotingError as error:
            faults.add(line, shown(str(error)), "see the quotes and the variables")
    if not state.base and not faults.found:
        faults.add(0, "names no base", "begin with `FROM name:tag`")
    if not faults.found:
        _agree(state)
    faults.end()
    return Recipe(
        base=state.base,
        line=state.line,
        steps=tuple(state.steps),
        environment=tuple(sorted({**state.given, **state.environment}.items())),
        folder=state.folder,
        labels=tuple(sorted(state.labels.items())),
        ignored=tuple(sorted(state.ignored)),
    )


def _joined(text: str, faults: Faults) -> list[tuple[int, str]]:
    """Join the lines of each instruction; comments and empty lines go, in the midst of one too."""
    found: list[tuple[int, str]] = []
    said, begun, top = "", 0, True
    for number, line in enumerate(text.split("\n"), 1):
        directive = _DIRECTIVE.fullmatch(line.strip()) if top else None
        if directive:
            plain = PLAIN_DIRECTIVES.get(directive[1].lower())
            if plain and not plain.fullmatch(directive[2]):
                faults.add(number, f"`{directive[1].lower()}` is not what it is by itself", "leave the line out")
            continue
        top = False
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begun = begun or number
        more = _CONTINUED.sub("", line)
        said += more if said else more.lstrip()
        if more == line:
            found.append((begun, said))
            said, begun = "", 0
    return [*found, (begun, said)] if said.strip() else found


def _take(state: _State, line: int, said: str) -> None:
    """Read one instruction."""
    word, *after = said.split(maxsplit=1)
    word, rest = word.upper(), "".join(after).strip()
    if word not in READ and word not in IGNORED:
        raise _RefusedError(
            f"`{shown(word)}` is no instruction that is supported",
            f"there is {', '.join(f'`{one}`' for one in sorted(READ))}",
        )
    if not state.base and word not in {"ARG", "FROM"}:
        raise _RefusedError(f"`{word}` stands before `FROM`", "begin with `FROM name:tag`")
    if not rest:
        raise _RefusedError(f"`{word}` says nothing", "say what is wanted after it")
    if word in IGNORED:
        state.ignored.add(word)
    else:
        READ[word](state, line, rest)


def _from(state: _State, line: int, rest: str) -> None:
    if state.base:
        raise _RefusedError("a second stage is not supported", "make one stage of it; or build the first as an image")
    if rest.startswith("--"):
        raise _RefusedError("`--platform` is not supported", "the workflow's platform is this machine's")
    named = _STAGE.fullmatch(rest)
    name = quoting.expand(named[1], state.before, sh=False) if named else ""
    if name == "scratch":
        raise _RefusedError("`FROM scratch` has nothing to run a command with", "name a base with a shell")
    try:
        state.base, state.line = f"docker://{reference.parse(name)}", line
    except SurroundingsError as error:
        raise _RefusedError(f"`{shown(name or rest)}` is not a reference to an OCI image", error.hint) from error
    state.seconded.append(("FROM", line, name))


def _arg(state: _State, _: int, rest: str) -> None:
    for word in quoting.split(rest, sh=False):
        name, equals, value = word.partition("=")
        if not quoting.NAME.fullmatch(name):
            raise _RefusedError(f"`{shown(name)}` is no name of a variable", "letters, digits and `_`")
        if name in BUILDERS:
            raise _RefusedError(f"`ARG {name}` takes its value from the builder", "write the value where it is used")
        known = state.known if state.base else state.before
        if equals:
            value = quoting.expand(value, known, sh=False)
        elif state.base and name in state.before:
            value = state.before[name]
        else:
            raise _RefusedError(f"`ARG {name}` has no value", "give it one: nobody is asked for it here")
        (state.arguments if state.base else state.before)[name] = value


def _pairs(state: _State, rest: str) -> dict[str, str]:
    """Read `NAME=value …`, or `NAME value`; a variable means all along what it meant before."""
    words, known = quoting.split(rest, sh=False), state.known
    if "=" not in words[0]:
        name, *value = rest.split(maxsplit=1)
        if not value:
            raise _RefusedError(f"`{shown(name)}` has no value", "write `NAME=value`")
        return {name: quoting.expand(value[0], known, sh=False)}
    found = {}
    for word in words:
        name, equals, raw = word.partition("=")
        if not equals or not name:
            raise _RefusedError(f"`{shown(word)}` is no `NAME=value`", "put a value with a space in quotes")
        found[quoting.expand(name, known, sh=False)] = quoting.expand(raw, known, sh=False)
    return found


def _env(state: _State, _: int, rest: str) -> None:
    found = _pairs(state, rest)
    for name in found:
        if not quoting.NAME.fullmatch(name):
            raise _RefusedError(f"`{shown(name)}` is no name of a variable", "letters, digits and `_`")
    state.environment.update(found)


def _label(state: _State, _: int, rest: str) -> None:
    state.labels.update(_pairs(state, rest))


def _user(state: _State, _: int, rest: str) -> None:
    if quoting.expand(rest, state.known, sh=False) not in ROOT:
        raise _RefusedError(
            f"`USER {shown(rest)}` is not supported",
            "commands are run as root of the image, tasks as whoever runs them",
        )


def _workdir(state: _State, line: int, rest: str) -> None:
    path = quoting.expand(rest, state.known, sh=False)
    state.folder = posixpath.normpath(posixpath.join("/", state.folder, path))
    state.steps.append(Make(line=line, path=state.folder))
    state.seconded.append(("WORKDIR", line, rest))


def _flags(rest: str, word: str) -> None:
    if rest.startswith("--"):
        raise _RefusedError(
            f"`{word} {shown(rest.split(maxsplit=1)[0])}` is not supported", "say it without; see what it was for"
        )
    if _HEREDOC.search(rest):
        raise _RefusedError("a text that begins with `<<` is not supported", "put it in a file, and copy that")


def _json(rest: str) -> list[str] | None:
    """Read the form in brackets; what is none is a text for a shell."""
    try:
        found = json.loads(rest) if rest.startswith("[") else None
    except ValueError:
        return None
    return found if isinstance(found, list) and found and all(isinstance(one, str) for one in found) else None


def _run(state: _State, line: int, rest: str) -> None:
    _flags(rest, "RUN")
    environment = {**state.arguments, **state.given, **state.environment}
    state.steps.append(
        Run(
            line=line,
            words=tuple(_json(rest) or (*SHELL, rest)),
            environment=tuple(sorted(environment.items())),
            folder=state.folder or "/",
        )
    )
    state.seconded.append(("RUN", line, rest))


def _copy(state: _State, line: int, rest: str) -> None:
    _flags(rest, "COPY")
    raw = _json(rest)
    words = [quoting.expand(word, state.known, sh=False) for word in (raw or quoting.split(rest, sh=False))]
    *sources, target = words
    if not sources or not all(words):
        raise _RefusedError("copies nothing", "write what is copied, and to where")
    folder = target in {".", "./"} or target.endswith(("/", "/."))
    place = posixpath.normpath(posixpath.join("/", state.folder, target))
    state.steps.append(
        Copy(
            line=line,
            sources=tuple(source.lstrip("/") or "." for source in sources),
            target=f"{place.rstrip('/')}/" if folder else place,
            contents=True,
        )
    )


def _add(state: _State, line: int, rest: str) -> None:
    *sources, _ = _json(rest) or quoting.split(rest, sh=False)
    for source in sources:
        if re.match(r"\w+://|git@", source):
            raise _RefusedError(f"`ADD {shown(source)}` fetches what nothing pins", "get the file, and `COPY` it")
        if source.endswith(ARCHIVES):
            raise _RefusedError(f"`ADD {shown(source)}` may unpack it", "`COPY` it, and unpack it by a command")
    _copy(state, line, rest)


Reader: TypeAlias = Callable[[_State, int, str], None]
READ: Mapping[str, Reader] = {
    "ADD": _add,
    "ARG": _arg,
    "COPY": _copy,
    "ENV": _env,
    "FROM": _from,
    "LABEL": _label,
    "RUN": _run,
    "USER": _user,
    "WORKDIR": _workdir,
}


def _agree(state: _State) -> None:
    """Hold the base and the commands against what spython reads, an instruction a line; the rest it reads in part."""
    theirs = instructions.second("docker", "".join(f"{word} {rest}\n" for word, _, rest in state.seconded))
    mine: list[tuple[int, str]] = []
    for word, line, rest in state.seconded:
        if word == "FROM":
            instructions.agree(state.faults, [(line, rest)], theirs and [theirs.fromHeader])
        elif word == "RUN":
            mine.append((line, rest))
        else:
            mine += [(line, f"mkdir -p {rest}"), (line, f"cd {rest}")]
    instructions.agree(state.faults, mine, theirs and theirs.install)
