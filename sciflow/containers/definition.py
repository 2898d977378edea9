"""An Apptainer definition beside the workflow -> the same root file system for every engine.

What is read strictly is what makes files: a base, `%files`, `%post`, `%test`; and `%environment` and `%labels`, which
every engine is given in its own way. What would run on the host, or needs Apptainer itself later, is refused by name.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sciflow.containers import instructions, quoting, reference, workbench
from sciflow.containers.archive import SEARCH_PATH
from sciflow.containers.instructions import Copy, Faults, Recipe, Run, Step
from sciflow.containers.source import Base
from sciflow.errors import SurroundingsError
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sciflow.containers.image import PinnedImage
    from sciflow.containers.locked import LockedFile
    from sciflow.containers.source import Request
    from sciflow.workflow import spec

NAME = "definition"

READ = ("files", "post", "test", "environment", "labels")
IGNORED = ("runscript", "startscript", "help")
REFUSED = {
    "setup": ("`%setup` runs on the host", "do it in `%post`, with what `%files` brings"),
    "pre": ("`%pre` runs on the host", "do it in `%post`, with what `%files` brings"),
    "arguments": ("`%arguments` makes many images of one recipe", "write the values where they are used"),
}
BOOTSTRAPS = "a base is `Bootstrap: docker` with a name, or `oci-archive`, `docker-archive` with a file beside it"
SHELL = ("/bin/sh", "-ex")  # as `apptainer build` runs `%post`: each command is shown, and the first that fails ends it
MULTISTAGE = ("a second stage is not supported", "make one stage of it; or build the first one as an image of its own")

_SECTION = re.compile(r"\s*%(\w+)(.*)")
_HEADER = re.compile(r"\s*(\w+)\s*:\s*([^#]*)")
_ARGUMENT = re.compile(r"\{\{\s*\w*\s*\}\}")
_WRITTEN = re.compile(r"(?:APPTAINER|SINGULARITY)_(?:ENVIRONMENT|LABELS|ROOTFS)")
# What Apptainer gives by itself to whoever enters: it is another's each time.
_OF_THE_USER = {"HOME", "USER", "LOGNAME", "UID", "PWD", "HOSTNAME", "SHELL", "TMPDIR"}


def files(image: spec.Image, folder: Path, /) -> tuple[LockedFile, ...]:
    """Pin the definition and what it copies. Raises ImageError, SurroundingsError."""
    recipe = read(instructions.text(folder, image.reference), image.reference, Base(layers=()))
    return instructions.files(instructions.items(recipe, folder, image.reference), folder, image.reference)


def fits(image: spec.Image, pinned: PinnedImage, _folder: Path | None) -> bool:
    """Say whether it is the same file; what it copies is compared by `files`."""
    return image.reference == pinned.reference


def lay(request: Request, /) -> Base:
    """Build it on its base. Raises ImageError, SurroundingsError."""
    return workbench.lay(request, read)


def recipe(image: PinnedImage, /) -> Mapping[str, str]:
    """Say on which base which definition was built. Pure."""
    return workbench.recipe(image)


@dataclass(kw_only=True, slots=True)
class _Section:
    """A section: where it begins, what stands after its name, and its lines by number."""

    line: int
    words: str
    lines: list[tuple[int, str]] = field(default_factory=list)

    def said(self) -> list[tuple[int, str]]:
        """Return the lines that say something, without the space around."""
        return [(number, line.strip()) for number, line in self.lines if line.strip()]

    def meant(self) -> list[tuple[int, str]]:
        """Return those that are no comments."""
        return [(number, line) for number, line in self.said() if not line.startswith("#")]


def read(text: str, file: str, under: Base) -> Recipe:
    """Read a definition; `under` gives the environment of its base. Raises ImageError with all its faults."""
    faults = Faults(file=file)
    header, sections = _scanned(text, faults)
    base = _base(header, file, faults)
    for name, section in sections.items():
        if name in REFUSED:
            faults.add(section.line, *REFUSED[name])
        elif name.startswith("app"):
            faults.add(section.line, f"`%{name}` is for Apptainer alone", "use tasks of the workflow")
        elif name not in (*READ, *IGNORED):
            faults.add(
                section.line, f"there is no section `%{name}` in a definition", f"there is `%{'`, `%'.join(READ)}`"
            )
        elif section.words and name not in {"post", "test", *IGNORED}:
            faults.add(section.line, f"`%{name}` with `{shown(section.words)}` is not supported", "write it without")
    environment = _environment(sections.get("environment"), dict(under.environment), faults)
    steps: list[Step] = _copies(sections.get("files"), faults)
    steps += _script(sections.get("post"), "post", under.environment, faults)
    steps += _script(sections.get("test"), "test", tuple(sorted(environment.items())), faults)
    labels = _labels(sections.get("labels"), faults)
    if not faults.found:
        _agree(header, sections, text, faults)
    faults.end()
    return Recipe(
        base=base,
        line=header["from"][0],
        steps=tuple(steps),
        environment=tuple(sorted(environment.items())),
        labels=tuple(sorted(labels.items())),
        ignored=tuple(f"%{name}" for name in IGNORED if name in sections),
    )


def _scanned(text: str, faults: Faults) -> tuple[dict[str, tuple[int, str]], dict[str, _Section]]:
    """Take a definition apart: the header's keys with line and value, and the sections."""
    header: dict[str, tuple[int, str]] = {}
    sections: dict[str, _Section] = {}
    here = None
    for number, line in enumerate(text.split("\n"), 1):
        if _ARGUMENT.search(line):
            faults.add(number, "has `{{ }}`, which makes many images of one recipe", "write the value itself")
        if line.lstrip().startswith("%"):
            here = _begun(number, line, sections, faults)
        elif here is not None:
            if re.match(r"\s*(?:bootstrap|stage)\s*:", line, re.IGNORECASE):
                faults.add(number, *MULTISTAGE)
            here.lines.append((number, line))
        elif line.strip() and not line.lstrip().startswith("#"):
            _headed(number, line, header, faults)
    return header, sections


def _begun(number: int, line: str, sections: dict[str, _Section], faults: Faults) -> _Section:
    match = _SECTION.fullmatch(line)
    name, words = (match[1].lower(), match[2].partition("#")[0].strip()) if match else ("", "")
    if name == "files" and words.lower().startswith("from"):
        faults.add(number, *MULTISTAGE)
        words = ""
    if not match:
        faults.add(number, "begins with `%`, and is no section", "put something before the `%`")
    elif name in sections and name != "files":
        faults.add(number, f"`%{name}` stands here for the second time", "put the two together")
    if name in sections:
        return sections[name]
    sections[name or "files"] = found = _Section(line=number, words=words)
    return found


def _headed(number: int, line: str, header: dict[str, tuple[int, str]], faults: Faults) -> None:
    match = _HEADER.match(line)
    key = match[1].lower() if match else ""
    if key == "stage" or (key == "bootstrap" and key in header):
        faults.add(number, *MULTISTAGE)
    elif match is None or key not in {"bootstrap", "from"}:
        faults.add(number, f"`{shown(line.strip())}` is nothing for the top of a definition", BOOTSTRAPS)
    elif key in header:
        faults.add(number, "names a base for the second time", "name one")
    else:
        header[key] = (number, match[2].strip())


def _base(header: dict[str, tuple[int, str]], file: str, faults: Faults) -> str:
    """Return the base as `from` of a workflow would name it."""
    if set(header) != {"bootstrap", "from"}:
        faults.add(0, "names no base", BOOTSTRAPS)
        return ""
    (line, kind), (place, name) = header["bootstrap"], header["from"]
    if kind == "docker":
        try:
            return f"docker://{reference.parse(name)}"
        except SurroundingsError as error:
            faults.add(place, f"`{shown(name)}` is not a reference to an OCI image", error.hint)
    elif kind not in reference.ARCHIVES:
        faults.add(line, f"`Bootstrap: {shown(kind)}` is not supported", BOOTSTRAPS)
    elif name.startswith("/") or ".." in name.split("/") or not name:
        faults.add(place, f"`{shown(name)}` is no file beside the definition", "put it there, and write its name")
    else:
        return f"{kind}:{posixpath.join(posixpath.dirname(file), posixpath.normpath(name))}"
    return ""


def _copies(section: _Section | None, faults: Faults) -> list[Step]:
    """Read `%files`: on each line what is copied, and to where; if that is not said, to the same path."""
    found: list[Step] = []
    for line, said in section.meant() if section else ():
        try:
            words = [quoting.expand(word, {}, sh=False) for word in quoting.split(said, sh=True)]
        except quoting.QuotingError as error:
            faults.add(line, str(error), "write a name, and where to copy it")
            continue
        if "$" in said or len(words) not in {1, 2}:
            faults.add(
                line, "is not a name and where to copy it", "put names with a space in quotes; say values plainly"
            )
        elif words[0].startswith(("/", "~")):
            faults.add(
                line, f"`{shown(words[0])}` is outside the workflow's folder", "put a copy beside the definition"
            )
        else:
            target = posixpath.join("/", words[-1])
            found.append(Copy(line=line, sources=(words[0],), target=target, contents=False))
    return found


def _script(
    section: _Section | None, name: str, environment: tuple[tuple[str, str], ...], faults: Faults
) -> list[Step]:
    """Read `%post` or `%test`, which may name another shell by `-c`."""
    if section is None:
        return []
    for line, said in section.lines:
        if _WRITTEN.search(said):
            faults.add(
                line, "writes to what Apptainer alone would read later", "use `%environment`, `%labels`, `%files`"
            )
    words = tuple(section.words.split())
    if words and (words[0] != "-c" or not words[1:] or not words[1].startswith("/")):
        faults.add(section.line, f"`{shown(section.words)}` is not a shell", f"write `%{name} -c /bin/bash`, say")
    if not section.said():
        return []
    text = "".join(f"{line}\n" for _, line in section.lines)
    return [Run(line=section.line, words=words[1:] or SHELL, text=text, environment=environment)]


def _environment(section: _Section | None, given: Mapping[str, str], faults: Faults) -> dict[str, str]:
    """Read `%environment`: assignments, and which names go to whoever enters; the base's are there already."""
    known, handed = {"PATH": SEARCH_PATH, **given}, set(given)
    for line, said in section.meant() if section else ():
        try:
            _assigned(said, known, handed)
        except quoting.QuotingError as error:
            faults.add(line, shown(str(error)), "every engine can be given `export NAME=value`, and nothing else")
    return {name: value for name, value in known.items() if name in handed}


def _assigned(said: str, known: dict[str, str], handed: set[str]) -> None:
    """Read one line of `%environment`."""
    words = quoting.split(said, sh=True)
    exports = words[0] == "export"
    for word in words[exports:]:
        name, equals, value = word.partition("=")
        if not quoting.NAME.fullmatch(name) or not (equals or exports):
            raise quoting.QuotingError(f"has `{word}`, for which a shell would be needed")
        if quoting.names(value) & (_OF_THE_USER - set(known)) or value.startswith("~"):
            raise quoting.QuotingError(f"has `{word}`, which depends on who enters")
        if equals:
            known[name] = quoting.expand(value, known, sh=True)
        if exports:
            handed.add(name)


def _labels(section: _Section | None, faults: Faults) -> dict[str, str]:
    found = {}
    for line, said in section.meant() if section else ():
        name, *value = said.split(maxsplit=1)
        if not value:
            faults.add(line, f"the label `{shown(name)}` says nothing", "write a name and a value")
        found[name] = "".join(value)
    return found


def _agree(header: dict[str, tuple[int, str]], sections: dict[str, _Section], text: str, faults: Faults) -> None:
    """Hold it against what spython reads.

    It knows Docker's images alone, lowers their names, and makes commands of a test and of a run script of many lines.
    """
    line, named = header["from"]
    first = min(section.line for section in sections.values()) if sections else text.count("\n") + 2
    # Its header is without comments, for it reads those too; and it takes a section's first line for no part of it.
    lines = ["Bootstrap: docker", f"From: {named}"]
    for words in text.split("\n")[first - 1 :]:
        lines += [words, ""] if words.lstrip().startswith("%") else [words]
    theirs = instructions.second("singularity", "\n".join(lines))
    install: list[tuple[int, str]] = []
    for name, section in sections.items():
        said = section.said()
        path = {"test": "/tests.sh", "runscript": "/entrypoint.sh"}.get(name)
        if name == "post":
            install += said
        elif path and len(said) > (name == "runscript"):
            install += [(line, f'echo "{words}" >> {path}') for line, words in said]
            install.append((section.line, f"chmod u+x {path}"))
    instructions.agree(faults, [(line, named.lower())], theirs and [theirs.fromHeader])
    instructions.agree(faults, install, theirs and theirs.install)
    for name in ("files", "labels"):
        mine = sections[name].said() if name in sections else []
        instructions.agree(faults, mine, theirs and getattr(theirs, name, []))
    given = sections["environment"].said() if "environment" in sections else []
    wanted = [(line, re.sub("^export", "", said).strip()) for line, said in given if "=" in said]
    instructions.agree(faults, wanted, theirs and theirs.environ)
