"""Broken workflow files, made from sound and refused ones -> whatever the reader does with them but refuse.

python tools/fuzz.py [--count N] [--seed S] [--keep DIR]

Each file is read in this process. A finding is an exception that is none of sciflow's own, more than a second of the
processor's time, or a file left behind; its text is kept in DIR (./fuzz-findings), under the seed that makes it again.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciflow.errors import SurroundingsError, UsageError, WorkflowError
from sciflow.workflow import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
SOURCES = ("examples/*", "tests/golden/*", "tests/refused/*", "tests/sweeps/*", "sciflow/starter")
LIMIT_S = 1.0
STOP_S = 30  # a reading that takes so long is broken off
LARGE = 20_000  # bytes; larger files are the bombs', and would take all of the time
TOKEN = re.compile(r"\s+|[A-Za-z0-9_.+-]+|.", re.DOTALL)
EXTREMES = (
    *("0", "-1", "1e308", "-1e308", "5e-324", "nan", "inf", "-0.0", "9223372036854775807", "-9223372036854775808"),
    *("9223372036854775808", "1000000", "1000001", "0x7fffffffffffffff", "0o777", "1_000", "1e400", "2026-02-28"),
    *("true", "false", '""', "''", "[]", "{}", "[[]]", "[{}]", "07:32:00", '"\\u0000"', "'''", '"""', "null"),
)
SIGNS = (
    "\x00",
    "\x1b",
    "\r",
    "\ufeff",
    "\u202e",
    "\u200b",
    "\ud7ff",
    "\U0001f600",
    "é",
    "\x7f",
    "\u2028",
    "{",
    "}",
    "\\",
)
WORDS = (
    *("where", "when", "zip", "derive", "exclude", "include", "sample", "blocks", "parameters", "values", "range"),
    *(
        "linspace",
        "logspace",
        "geomspace",
        "replicates",
        "from",
        "column",
        "columns",
        "uniform",
        "loguniform",
        "normal",
    ),
    *(
        "integer",
        "choice",
        "weights",
        "unit",
        "run",
        "shell",
        "python",
        "needs",
        "gather",
        "outputs",
        "metrics",
        "sweep",
    ),
    *("sweeps", "tasks", "charts", "inputs", "image", "code", "results", "schedule", "slurm", "format", "workflow"),
)


class TooSlowError(Exception):
    """A reading was broken off."""


def corpus() -> list[str]:
    """Return the texts that all others are made from, in order."""
    files = [path / "workflow.toml" for pattern in SOURCES for path in sorted(ROOT.glob(pattern))]
    raw = [path.read_bytes() for path in files if path.is_file() and path.stat().st_size < LARGE]
    return sorted({text.decode("utf-8", "surrogateescape") for text in raw})


def mutated(texts: list[str], seed: str) -> bytes:
    """Return one broken file; the same seed makes the same one."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    text = chance.choice(texts)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        text = chance.choice(CHANGES)(text, texts, chance)[:LARGE]
    raw = text.encode("utf-8", "surrogateescape")
    if chance.random() < 0.1 and raw:  # noqa: PLR2004  one in ten is no longer a text
        at = chance.randrange(len(raw))
        raw = raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]
    return raw


def _flip(text: str, _: list[str], chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice((*SIGNS, *"\"'[]=#,.{}\n", "")) + text[at + chance.randrange(2) :]


def _swap(text: str, _: list[str], chance: random.Random) -> str:
    pieces = TOKEN.findall(text) or [""]
    one, two = chance.randrange(len(pieces)), chance.randrange(len(pieces))
    pieces[one], pieces[two] = pieces[two], pieces[one]
    return "".join(pieces)


def _replace(text: str, _: list[str], chance: random.Random) -> str:
    """Put an extreme value, or a word of the language, in the place of a token."""
    pieces = TOKEN.findall(text) or [""]
    wanted = [place for place, piece in enumerate(pieces) if piece.strip() and piece not in "\"'[]{},="]
    if wanted:
        pieces[chance.choice(wanted)] = chance.choice(chance.choice((EXTREMES, WORDS)))
    return "".join(pieces)


def _value(text: str, _: list[str], chance: random.Random) -> str:
    """Put an extreme value in the place of a whole value."""
    lines = text.split("\n")
    wanted = [place for place, line in enumerate(lines) if "=" in line]
    if wanted:
        place = chance.choice(wanted)
        lines[place] = lines[place].partition("=")[0] + "= " + chance.choice(EXTREMES)
    return "\n".join(lines)


def _lines(text: str, _: list[str], chance: random.Random) -> str:
    """Double, drop or move a line."""
    lines = text.split("\n")
    line = lines[chance.randrange(len(lines))]
    if chance.random() < 0.5:  # noqa: PLR2004  half of them leave their place
        lines.remove(line)
    for _ in range(chance.choice((0, 1, 1, 5))):
        lines.insert(chance.randrange(len(lines) + 1), line)
    return "\n".join(lines)


def _splice(text: str, texts: list[str], chance: random.Random) -> str:
    """Go on in another file, at the beginning of a line of both."""
    other = chance.choice(texts).split("\n")
    mine = text.split("\n")
    return "\n".join(mine[: chance.randrange(len(mine) + 1)] + other[chance.randrange(len(other)) :])


def _graft(text: str, texts: list[str], chance: random.Random) -> str:
    """Put a line of another file somewhere."""
    lines = text.split("\n")
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(chance.choice(texts).split("\n")))
    return "\n".join(lines)


def _repeat(text: str, _: list[str], chance: random.Random) -> str:
    """Write a token many times."""
    pieces = TOKEN.findall(text) or [""]
    at = chance.randrange(len(pieces))
    pieces[at] *= chance.choice((2, 33, 1_001))
    return "".join(pieces)


CHANGES: tuple[Callable[[str, list[str], random.Random], str], ...] = (
    *(_flip, _swap, _replace, _replace, _value, _value, _lines, _splice, _graft, _graft, _repeat),
)


def tried(raw: bytes, folder: Path) -> str:
    """Read a file in its folder; return what is wrong with that, or nothing."""
    file = folder / "workflow.toml"
    file.write_bytes(raw)
    before = sorted(folder.iterdir())
    start = time.process_time()
    signal.alarm(STOP_S)
    try:
        load.read(file)
    except (WorkflowError, UsageError, SurroundingsError) as error:
        if not all(char.isprintable() or char == "\n" for char in str(error)):
            return "the message holds a control character"
    except TooSlowError:
        return f"more than {STOP_S} s"
    except Exception:  # noqa: BLE001  what this is looking for
        return traceback.format_exc(limit=-4)
    finally:
        signal.alarm(0)
    took = time.process_time() - start
    if took > LIMIT_S:
        return f"{took:.1f} s"
    return "" if sorted(folder.iterdir()) == before else "a file was left"


def findings(count: int, seed: int) -> Iterator[tuple[str, bytes, str]]:
    """Yield (seed, file, what is wrong) of each file among `count` that is not plainly read or refused."""
    texts = corpus()

    def stop(*_: Any) -> None:
        raise TooSlowError

    former = signal.signal(signal.SIGALRM, stop)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "design.csv").write_text("lr,depth\n0.1,2\n0.2,3\n", encoding="utf-8")
            (folder / "train.py").write_text("def main(gamma, c):\n    return {}\n", encoding="utf-8")
            for number in range(count):
                name = f"{seed}-{number}"
                raw = mutated(texts, name)
                if wrong := tried(raw, folder):
                    yield name, raw, wrong
    finally:
        signal.signal(signal.SIGALRM, former)


def main() -> int:
    """Print what was found; end with 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    asked = parser.parse_args()
    found = 0
    for name, raw, wrong in findings(asked.count, asked.seed):
        found += 1
        asked.keep.mkdir(exist_ok=True)
        (asked.keep / f"{name}.toml").write_bytes(raw)
        sys.stdout.write(f"{name}: {wrong.strip()}\n")
    sys.stdout.write(f"{asked.count:,} files, {found:,} findings\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
