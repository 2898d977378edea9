"""Small files that ask for much: each is checked within bounds, refused or not. `benchmarks/bombs.py` times them."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Bomb: TypeAlias = Callable[[], dict[str, str]]
"""What makes the files of one: all of them together would be too many to hold."""

HEAD = 'format = 1\n\n[workflow]\nname = "bomb"\n'
TASK = '\n[tasks.train]\nrun = ["true"]\n'
ROOT = Path(__file__).parents[2]
LIMIT_MIB = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a check: its exit code, what it said, and what it took of processor and memory."""

    code: int
    said: str
    seconds: float
    peak_mib: float


# A child begins with the peak of its parent, so a small one is put between. KiB on Linux.
MEASURE = """
import os, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
child = subprocess.Popen([sys.executable, "-m", "sciflow", "check", "workflow.toml"], stdout=2)
_, status, usage = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
print(child.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


def checked(folder: Path, files: dict[str, str]) -> Outcome:
    """Write the files of a bomb into a folder, and check its workflow in a process of its own."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "said").open("wb") as said:
        run = subprocess.run(
            [sys.executable, "-c", MEASURE], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=said, check=True
        )
    code, seconds, peak = run.stdout.split()
    return Outcome(
        code=int(code), said=(folder / "said").read_text(encoding="utf-8"), seconds=float(seconds), peak_mib=float(peak)
    )


def study(parameters: str = "a = [1, 2]", sweep: str = "", tasks: str = TASK, **files: str) -> dict[str, str]:
    """Return the files of a study: `design_csv = …` is a file beside the workflow."""
    text = f"{HEAD}\n[parameters]\n{parameters}\n\n[sweep]\n{sweep}\n{tasks}"
    return {"workflow.toml": text, **{name.replace("_", "."): content for name, content in files.items()}}


def lines(count: int, line: str) -> str:
    """Return a line so many times, `#` its number."""
    return "\n".join(line.replace("#", str(number)) for number in range(count))


THOUSAND = "a = { range = [0, 1000] }\n"
MILLION = THOUSAND + "b = { range = [0, 1000] }\n"
DRAW = "sample = {{ method = '{}', points = {} }}"


def toml() -> dict[str, Bomb]:
    """Return what costs a parser of TOML more than its size."""
    return {
        "a dotted key of 20,000 parts": lambda: {"workflow.toml": HEAD + ".".join("a" * 20_000) + " = 1\n"},
        "a header of 20,000 parts": lambda: {"workflow.toml": HEAD + "[" + ".".join("a" * 20_000) + "]\n"},
        "many keys of 30 parts": lambda: {
            "workflow.toml": HEAD + "[slurm]\n" + lines(8_000, ".".join("abcdefghijklmnopqrstuvwxyzabcd") + "# = 1")
        },
        "many headers of 6 parts": lambda: {"workflow.toml": HEAD + lines(40_000, "[a.b.c.d.e.f#]")},
        "many lists of tables": lambda: {"workflow.toml": HEAD + lines(60_000, "[[charts]]")},
        "many lists of tables in each other": lambda: {
            "workflow.toml": HEAD + lines(20_000, "[[a]]\n[[a.b]]\n[[a.b.c]]")
        },
        "lists nested 100,000 deep": lambda: study("a = " + "[" * 100_000),
        "tables nested 100,000 deep": lambda: study("a = " + "{a=" * 100_000),
        "2,000,000 whole numbers": lambda: study("a = [" + "1," * 2_000_000 + "]"),
        "140,000 whole numbers": lambda: study("a = [" + ",".join(map(str, range(140_000))) + "]"),
        "140,000 numbers in braces": lambda: study("a = { values = [" + ",".join(map(str, range(140_000))) + "] }"),
        "140,000 empty lists": lambda: study("a = [" + "[]," * 140_000 + "]"),
        "140,000 texts among numbers": lambda: study("a = [1," + "''," * 140_000 + "]"),
        "100,000 empty tables": lambda: study("a = [" + "{}," * 100_000 + "]"),
        "a whole number of 900,000 digits": lambda: study("a = [" + "9" * 900_000 + "]"),
        "a hexadecimal number of 900,000 digits": lambda: study("a = [0x" + "f" * 900_000 + "]"),
        "a fraction of 900,000 digits": lambda: study("a = [0." + "3" * 900_000 + "]"),
        "whole numbers of 900 digits": lambda: study("a = [" + ",".join("9" * 900 for _ in range(1_000)) + "]"),
        "a text of 900,000 characters": lambda: study("a = ['" + "x" * 900_000 + "']"),
        "a title of 900,000 characters": lambda: {"workflow.toml": HEAD + "title = '" + "x" * 900_000 + "'\n" + TASK},
        "a text of 300,000 escapes": lambda: study('a = ["' + "\\n" * 300_000 + '"]'),
        "a file of 20,000,000 characters": lambda: {"workflow.toml": HEAD + "#" * 20_000_000},
        "a comment of 900,000 characters": lambda: {"workflow.toml": HEAD + "#" + "x" * 900_000 + "\n" + TASK},
        "900,000 empty lines": lambda: {"workflow.toml": HEAD + "\n" * 900_000 + TASK},
        "900,000 quotation marks": lambda: study("a = " + "'" * 900_000),
        "300,000 open texts": lambda: study("a = [" + "'''" * 300_000),
        "100,000 unknown keys": lambda: {"workflow.toml": HEAD + lines(70_000, "k# = 1") + TASK},
        "100,000 unknown sections": lambda: {"workflow.toml": HEAD + lines(60_000, "[k#]") + TASK},
        "100,000 names that cannot be used": lambda: study(lines(50_000, "k-# = [1]")),
    }


def names() -> dict[str, Bomb]:
    """Return what has many names of one sort."""
    chain = "\n[tasks.t0]\nrun = ['true']\n" + lines(10_000, "[tasks.u#]\nrun = ['true']\nneeds = ['t0']")
    return {
        "10,000 parameters of one value": lambda: study(lines(10_000, "a# = [1]")),
        "10,000 parameters of two values": lambda: study(lines(10_000, "a# = [1, 2]")),
        "10,000 tasks": lambda: {"workflow.toml": HEAD + chain},
        "10,000 tasks in a row": lambda: {
            "workflow.toml": HEAD
            + "[tasks.t0]\nrun = ['true']\n"
            + "\n".join(f"[tasks.t{one}]\nrun = ['true']\nneeds = ['t{one - 1}']" for one in range(1, 10_000))
        },
        "10,000 tasks in a circle": lambda: {
            "workflow.toml": HEAD
            + "\n".join(f"[tasks.t{one}]\nrun = ['true']\nneeds = ['t{(one - 1) % 10_000}']" for one in range(10_000))
        },
        "300 tasks that all need each other": lambda: {
            "workflow.toml": HEAD
            + "\n".join(
                f"[tasks.t{one}]\nrun = ['true']\nneeds = ["
                + ",".join(f"'t{other}'" for other in range(300) if other != one)
                + "]"
                for one in range(300)
            )
        },
        "a task that needs 60,000 that are not there": lambda: {
            "workflow.toml": HEAD
            + "[tasks.t]\nrun = ['true']\nneeds = ["
            + ",".join(f"'x{one}'" for one in range(60_000))
            + "]\n"
        },
        "a task of 60,000 outputs": lambda: {
            "workflow.toml": HEAD + "[tasks.t]\nrun = ['true']\n[tasks.t.outputs]\n" + lines(30_000, "o# = 'p#'")
        },
        "a task of 30,000 outputs at one path": lambda: {
            "workflow.toml": HEAD + "[tasks.t]\nrun = ['true']\n[tasks.t.outputs]\n" + lines(30_000, "o# = 'p'")
        },
        "a command of 100,000 placeholders": lambda: study(
            "a = [1, 2]", tasks="\n[tasks.t]\nrun = [" + "'{a}'," * 100_000 + "]\n"
        ),
        "a command of 100,000 unknown placeholders": lambda: study(
            "a = [1, 2]", tasks="\n[tasks.t]\nshell = '" + "{b} " * 100_000 + "'\n"
        ),
        "a command of 900,000 braces": lambda: study(
            "a = [1, 2]", tasks="\n[tasks.t]\nshell = '" + "{" * 900_000 + "'\n"
        ),
        "a command of 900,000 hash signs": lambda: study(
            "a = [1, 2]", tasks="\n[tasks.t]\nshell = '" + "#" * 900_000 + "'\n"
        ),
        "a list of texts and numbers where none stands twice": lambda: {
            "workflow.toml": HEAD
            + "[tasks.t]\nrun = ['true']\nneeds = ["
            + ",".join(f"'x{one}',{one}" for one in range(50_000))
            + "]\n"
        },
        "30,000 inputs that are not there": lambda: {
            "workflow.toml": HEAD + "[inputs]\n" + lines(30_000, "i#.path = 'p#'") + TASK
        },
        "20,000 charts": lambda: {
            "workflow.toml": HEAD + TASK + lines(15_000, "[[charts]]\nname = 'c#'\nkind = 'line'\nx = 'a'\ny = 'b'")
        },
        "20,000 metrics": lambda: {
            "workflow.toml": HEAD + TASK + "metrics = 'm'\n[results.metrics]\n" + lines(40_000, "m# = {}")
        },
        "30,000 patterns of code": lambda: {
            "workflow.toml": HEAD
            + "[code]\ninclude = ["
            + ",".join(f"'**/*{one}*'" for one in range(30_000))
            + "]\n"
            + TASK
        },
        "a pattern of 80 stars": lambda: {
            "workflow.toml": HEAD + "[code]\ninclude = ['" + "**/" * 80 + "x']\n[tasks.t]\npython = 'x:y'\n"
        },
    }


def sweeps() -> dict[str, Bomb]:
    """Return what asks for many points, or for much at each of them."""
    walk = "a = { range = [0, 1000] }\nb = { values = [0, 1], when = 'a >= 0' }\n" + lines(
        9, "c# = { values = [0, 1], when = 'b >= 0' }"
    )
    chain = ", ".join(['d0 = "a + 1"'] + [f'd{one} = "d{one - 1} + 1"' for one in range(1, 1_000)])
    doubling = ", ".join(['d0 = "a + 1"'] + [f'd{one} = "d{one - 1} + d{one - 1}"' for one in range(1, 60)])
    text = ", ".join(['d0 = "k + k"'] + [f'd{one} = "d{one - 1} + d{one - 1}"' for one in range(1, 60)])
    partials = ", ".join(f"{{ a = {one // 1000}, b = {one % 1000} }}" for one in range(10_000))
    long = " + ".join(["a"] * 100)
    return {
        "39,062,500,000,000 points": lambda: study("\n".join(f"a{one} = {{ range = [0, 50] }}" for one in range(8))),
        "1,000,000 points": lambda: study(MILLION),
        "1,000,001 points": lambda: study("a = { range = [0, 1000001] }"),
        "1,000,000 points in one list of steps": lambda: study("a = { linspace = [0, 1, 1000000] }"),
        "1,000,000 powers of ten": lambda: study("a = { logspace = [0, 1, 1000000] }"),
        "1,000,000 steps of a geometric row": lambda: study("a = { geomspace = [1, 2, 1000000] }"),
        "1,000,000 fractions": lambda: study("a = { range = [0, 1e-6, 1e-12] }"),
        "a range between numbers 600 digits apart": lambda: study("a = { range = [1e-300, 1e300, 1e-300] }"),
        "a million replicates of a million": lambda: study(
            "a = { replicates = 1000000 }\nb = { replicates = 1000000 }"
        ),
        "1,000,000 points and a plain condition": lambda: study(MILLION, "where = 'a > 500'"),
        "1,000,000 points and a condition on both": lambda: study(MILLION, "where = 'a > b'"),
        "1,000,000 points and the longest condition": lambda: study(MILLION, f"where = '{long} > b'"),
        "1,000,000 points and a condition of powers": lambda: study(
            MILLION, "where = '" + " + ".join(["(a + 1.5) ** 0.5"] * 30) + " > b'"
        ),
        "1,000,000 points and a condition of exponentials": lambda: study(
            MILLION, "where = '" + " + ".join(["exp(a / 1000 - b)"] * 30) + " > b'"
        ),
        "1,000,000 points and a list of 300": lambda: study(
            MILLION, "where = 'a + b in [" + ", ".join(["1"] * 300) + "]'"
        ),
        "1,000,000 points and a derived column": lambda: study(MILLION, 'derive = { c = "a * b" }'),
        "1,000,000 points and 100 derived columns": lambda: study(
            MILLION, "derive = { " + ", ".join(f'c{one} = "a * b + {one}"' for one in range(100)) + " }"
        ),
        "a chain of 1,000 derived columns": lambda: study("a = [1, 2]", f"derive = {{ {chain} }}"),
        "a chain of 1,000 derived columns over 1,000 points": lambda: study(THOUSAND, f"derive = {{ {chain} }}"),
        "a chain of derived columns that doubles": lambda: study("a = [1, 2]", f"derive = {{ {doubling} }}"),
        "a chain of texts that doubles": lambda: study("k = ['xxxxxxxxxxxxxxxx']", f"derive = {{ {text} }}"),
        "a text of 900,000 characters joined with itself": lambda: study(
            "k = ['" + "x" * 900_000 + "']", 'derive = { c = "' + " + ".join(["k"] * 100) + '" }'
        ),
        "10,000 derived columns": lambda: study(
            "a = [1, 2]", "derive = { " + ", ".join(f'd{one} = "a + {one}"' for one in range(10_000)) + " }"
        ),
        "10,000 derived columns of 990 characters": lambda: study(
            "a = [1]",
            "derive = { " + ", ".join(f'd{one} = "{"(" * 31}a{")" * 31}{" " * 800}"' for one in range(1_000)) + " }",
        ),
        "1,000 points in 1,000 columns": lambda: study(
            "\n".join([THOUSAND] + [f"b{one} = [1]" for one in range(1_000)]), 'where = "a + b0 + b999 > 1"'
        ),
        "1,000,000 points excluded one by one": lambda: study(MILLION, f"exclude = [{partials}]"),
        "10,000 partial points included": lambda: study(
            MILLION, f"where = 'a == 1 and b == 1'\ninclude = [{partials}]"
        ),
        "10,000 times the same partial point included": lambda: study(
            "a = [1]\nb = { range = [0, 100] }", "include = [" + ", ".join(["{ a = 2 }"] * 10_000) + "]"
        ),
        "10,000 partial points of 101 points each": lambda: study(
            "a = [1]\nb = { range = [0, 101] }",
            "include = [" + ", ".join(f"{{ a = {one} }}" for one in range(10_000)) + "]",
        ),
        "a block that includes 10,000, 12 times": lambda: study(
            MILLION,
            "where = 'a == 1 and b == 1'\ninclude = ["
            + partials[:200_000]
            + "]\nblocks = ["
            + ", ".join(["{}"] * 12)
            + "]",
        ),
        "conditions that multiply": lambda: study(
            "\n".join(["a = [0, 1]"] + [f"c{one} = {{ values = [0, 1], when = 'a >= 0' }}" for one in range(60)])
        ),
        "conditions that never hold": lambda: study(
            "\n".join(["a = [0, 1]"] + [f"c{one} = {{ values = [0, 1], when = 'a > 1' }}" for one in range(200)])
        ),
        "1,000,000 walks of conditions": lambda: study(walk),
        "1,000,000 walks that come to few points": lambda: study(
            "a = { range = [0, 1000] }\nb = { range = [0, 900] }\nc = { values = [0, 1], when = 'a + b > 100000' }"
        ),
        "10,000 conditional parameters": lambda: study(
            "a = [0, 1]\n" + lines(5_000, "c# = { values = [0, 1], when = 'a > 1' }")
        ),
        "a condition on each of the one before": lambda: study(
            "c0 = [0, 1]\n"
            + "\n".join(f"c{one} = {{ values = [0, 1], when = 'c{one - 1} == 1' }}" for one in range(1, 2_000))
        ),
        "1,000 blocks of 1,000 points": lambda: study(THOUSAND, "blocks = [" + ", ".join(["{}"] * 1_000) + "]"),
        "1,000 blocks of 1,000,000 points": lambda: study(MILLION, "blocks = [" + ", ".join(["{}"] * 1_000) + "]"),
        "1,000 blocks of 1,000 parameters": lambda: study(
            lines(1_000, "p# = [1]"),
            "blocks = [" + ", ".join(f"{{ where = 'p0 == {one}' }}" for one in range(1_000)) + "]",
        ),
        "200 named sweeps of 1,000,000 points": lambda: {
            "workflow.toml": HEAD
            + "[parameters]\n"
            + MILLION
            + "\n".join(f"[sweeps.s{one}]\nwhere = 'a > b + {one}'" for one in range(200))
            + TASK
        },
        "200 named sweeps of 5,000 points": lambda: {
            "workflow.toml": HEAD
            + "[parameters]\na = { range = [0, 5000] }\n"
            + "\n".join(f"[sweeps.s{one}]\nwhere = 'a > {one}'" for one in range(200))
            + TASK
        },
        "20,000 named sweeps": lambda: {
            "workflow.toml": HEAD + "[parameters]\na = [1, 2]\n" + lines(20_000, "[sweeps.s#]") + TASK
        },
        "1,000,000 points drawn in 10 dimensions": lambda: study(
            lines(10, "u# = { uniform = [0, 1] }"), DRAW.format("sobol", 1_000_000)
        ),
        "1,000,000 points drawn in 40 dimensions": lambda: study(
            lines(40, "u# = { uniform = [0, 1] }"), DRAW.format("sobol", 1_000_000)
        ),
        "1,000,000 points drawn": lambda: study("u = { uniform = [0, 1] }", DRAW.format("random", 1_000_000)),
        "1,000,000 points drawn from a normal distribution": lambda: study(
            "u = { normal = [0, 1] }", DRAW.format("halton", 1_000_000)
        ),
        "1,000,000 points drawn by their logarithms": lambda: study(
            "u = { loguniform = [1e-3, 1] }", DRAW.format("latin-hypercube", 1_000_000)
        ),
        "100,000 points drawn in 9 dimensions": lambda: study(
            lines(9, "u# = { uniform = [0, 1] }"), DRAW.format("latin-hypercube", 100_000)
        ),
        "1,000 points drawn in 10,000 dimensions": lambda: study(
            lines(10_000, "u# = { uniform = [0, 1] }"), DRAW.format("random", 1_000)
        ),
        "1,000,000 points drawn from 100,000 choices": lambda: study(
            "k = { choice = [" + ",".join(map(str, range(100_000))) + "] }", DRAW.format("random", 1_000_000)
        ),
        "weights beyond all numbers": lambda: study(
            "k = { choice = [1, 2], weights = [1.7e308, 1.7e308] }", DRAW.format("random", 10)
        ),
        "weights close to nothing": lambda: study(
            "k = { choice = [1, 2], weights = [5e-324, 5e-324] }", DRAW.format("random", 10)
        ),
        "an integer between the ends of 64 bits": lambda: study(
            "k = { integer = [-9223372036854775808, 9223372036854775807] }", DRAW.format("random", 10)
        ),
        "a normal distribution beyond all numbers": lambda: study(
            "k = { normal = [1.7e308, 1.7e308] }", DRAW.format("random", 1_000)
        ),
        "200 sweeps that draw 100,000 points": lambda: {
            "workflow.toml": HEAD
            + "[parameters]\nu = { uniform = [0, 1] }\n"
            + "\n".join(
                f"[sweeps.s{one}]\nsample = {{ method = 'random', points = 100000, seed = {one} }}"
                for one in range(200)
            )
            + TASK
        },
        "1,000 parameters zipped": lambda: study(
            lines(1_000, "a# = { range = [0, 100] }"),
            "zip = [[" + ", ".join(f'"a{one}"' for one in range(1_000)) + "]]",
        ),
        "2 parameters of 1,000,000 values zipped": lambda: study(
            "a = { range = [0, 1000000] }\nb = { range = [0, 1000000] }", 'zip = [["a", "b"]]'
        ),
        "40 parameters of 1,000,000 values": lambda: study(lines(40, "a# = { range = [0, 1000000] }")),
        "40 parameters of 1,000,000 values zipped": lambda: study(
            lines(40, "a# = { range = [0, 1000000] }"), "zip = [[" + ", ".join(f'"a{one}"' for one in range(40)) + "]]"
        ),
        "20,000 groups to zip": lambda: study(
            "a = [1, 2]\nb = [1, 2]", "zip = [" + ", ".join(['["a", "b"]'] * 20_000) + "]"
        ),
    }


def tables() -> dict[str, Bomb]:
    """Return files of values that are more than they seem."""
    column = 'a = { from = "d.csv" }'
    return {
        "a file of values of 1,000,000 rows": lambda: study(
            column, d_csv="a\n" + "\n".join(map(str, range(1_000_000)))
        ),
        "a file of values of 1,000,001 rows": lambda: study(column, d_csv="a\n" + "1\n" * 1_000_001),
        "a file of values of 10,000,000 empty lines": lambda: study(column, d_csv="a\n1\n" + "\n" * 10_000_000),
        "a file of values of one line of 50,000,000 characters": lambda: study(column, d_csv="a," + "b" * 50_000_000),
        "a file of values of one line of 3,000,000 columns": lambda: study(
            column, d_csv=",".join(f"c{one}" for one in range(3_000_000))
        ),
        "a file of values of 5,000 columns and 1,000 rows": lambda: study(
            'a = { from = "d.csv", column = "c0" }',
            d_csv=",".join(f"c{one}" for one in range(5_000))
            + "\n"
            + "\n".join(",".join(f"{row}" for _ in range(5_000)) for row in range(1_000)),
        ),
        "a file of values with a cell of 50,000,000 characters": lambda: study(
            column, d_csv='a\n"' + "x" * 50_000_000 + '"'
        ),
        "a file of values with a number of 100,000 digits": lambda: study(column, d_csv="a\n" + "9" * 100_000),
        "a file of values with 200,000 quotation marks": lambda: study(column, d_csv="a\n" + '"' * 200_001),
        "a file of values of 260 MB": lambda: study(column, d_csv="a\n" + ("x" * 99 + "\n") * 2_600_000),
        "1,000 parameters from one file": lambda: study(
            lines(1_000, 'a# = { from = "d.csv", column = "a" }'), d_csv="a\n" + "1\n" * 20_000
        ),
        "20 parameters from a file of 500,000 rows": lambda: study(
            lines(20, 'a# = { from = "d.csv", column = "a" }'), d_csv="a\n" + "\n".join(map(str, range(500_000)))
        ),
    }


def bombs() -> dict[str, Bomb]:
    """Return the files of every bomb, by its name."""
    return {**toml(), **names(), **sweeps(), **tables()}
