"""What the engines have in common: the words by which a bundle's runner enters an image.

The runner knows no engine by name. All it gets is the box that `box()` writes: JSON, with these keys.

- `engine`, `isolation`: its name; `container` or `none`.
- `image`: `{"file": digest, "suffix"}` content by its own digest, `{"name", "archive"}` held by the engine itself
  once it loaded the archive of that digest, or null.
- `needs`: programs that must be on PATH. `probe`: words that exit 0 where the engine works, or null.
- `present`, `load`: words that ask whether the engine holds the image, and that load the archive; or null.
- `enter`: words that enter the image; the program to run inside follows. `enter_shared_network`: the same where
  network namespaces are refused, or null. `stop`: words that end a box that outlived its client, or null.
- `enter_rank`: words that enter the image for one of several ranks, on its node; left out where the engine cannot. A
  plan has them only if it has such tasks.
- `gpus`: words that let the host's GPUs in, in the place of the word `{gpus}` of `enter`; none where none are wanted.
- `paths`: where code, inputs, work, outputs, checkpoints and runner are seen inside, or null: where they are on the
  host.

In words, `{image} {code} {inputs} {work} {outputs} {checkpoints} {runner} {uid} {gid} {name} {path} {archive}` are
filled in by the runner. A list stands for one word whose items are quoted as CSV: what `--mount` of both engines reads,
so that a path may hold a comma, a quote or a space.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sciflow.containers.image import PinnedImage

Words: TypeAlias = list[str | list[str]]
Box: TypeAlias = dict[str, Any]

PATHS: Mapping[str, str] = {
    name: f"/sciflow/{name}" for name in ("code", "inputs", "work", "outputs", "checkpoints", "runner")
}
WRITABLE = ("work", "checkpoints")
# The same name on every machine; and this one, other than an invented one, is found by programs that look their own up.
HOSTNAME = "localhost"

PROBE_TIMEOUT_S = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """Whether an engine, or what one needs, works here, which version it is, and what to do if it does not.

    `ask` is one line for whoever looks after the machine, where it takes their hand.
    """

    works: bool
    version: str = ""
    advice: str = ""
    ask: str = ""


class Engine(Protocol):
    """What each engine's module has."""

    NAME: str

    def box(self, image: PinnedImage | None, /) -> Box | None:
        """Write the words that enter this image, or nothing where this engine cannot run it. Pure."""
        ...

    def probe(self) -> Probe:
        """Try the engine as this user."""
        ...


def mounts(read_only: str) -> Words:
    """Write the `--mount` words of all six folders; `read_only` is the engine's word for it."""
    words: Words = []
    for name, inside in PATHS.items():
        bind = ["type=bind", f"src={{{name}}}", f"dst={inside}"]
        words += ["--mount", bind if name in WRITABLE else [*bind, read_only]]
    return words


def answer(words: list[str]) -> tuple[bool, str]:
    """Run words quietly; return whether they exit 0 in time, and what they said (output, else errors), stripped."""
    if shutil.which(words[0]) is None:
        return False, f"`{words[0]}` is not on PATH"
    try:
        found = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"`{words[0]}` did not answer within {PROBE_TIMEOUT_S} s"
    except OSError as error:
        return False, f"`{words[0]}` cannot be started: {error.strerror}"
    return found.returncode == 0, (found.stdout.strip() or found.stderr.strip())
