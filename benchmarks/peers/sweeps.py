"""The points of the sweeps in tests/sweeps, made by the tool whose syntax each is written in, beside `points.csv`.

    python benchmarks/peers/sweeps.py TOOL [--bin FOLDER] [--write] [CASE …]

TOOL: ramble, maestro, jube, hydra or snakemake; `--bin`: where its command and python3 lie, if not on PATH.

    python3 -m venv peer && peer/bin/pip install hydra-core hydra-optuna-sweeper 'setuptools<80'    # hydra
    python3 -m venv peer && peer/bin/pip install maestrowf numpy 'setuptools<80'                    # maestro
    python3 -m venv peer && peer/bin/pip install snakemake pandas                                   # snakemake

JUBE and Ramble are not on PyPI: check out their sources and say `--bin CHECKOUT/bin`; the python3 on PATH must have
what they import (JUBE: pyyaml; Ramble: pyyaml, jsonschema, tqdm, deprecation). Without `--write`, a difference from
`points.csv` is told, and the exit code is 1.
"""

import argparse
import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CASES = Path(__file__).parents[2] / "tests/sweeps"
HYDRA = """
import json
import hydra
from omegaconf import DictConfig, OmegaConf

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config: DictConfig) -> float:
    print("POINT " + json.dumps(OmegaConf.to_container(config, resolve=True)), flush=True)
    return 0.0

main()
"""
MAESTRO = """
import json, sys
from maestrowf.specification import YAMLSpecification
from maestrowf.maestro import create_dictionary, load_parameter_generator

spec = YAMLSpecification.load_specification("theirs.yaml")
made = spec.get_parameters()
if sys.argv[1]:
    made = load_parameter_generator(sys.argv[1], spec.get_study_environment(), create_dictionary(sys.argv[2:]))
for combination in made:
    print("POINT " + json.dumps(dict(combination.get_param_values(made.parameters)), default=float))
"""
Row = dict[str, Any]


def hydra(case: dict[str, Any], bin_folder: Path | None) -> Iterator[Row]:
    """Run the command line of theirs.sh over the configuration in conf/."""
    Path("study.py").write_text(HYDRA, encoding="utf-8")
    _, *words = shlex.split(Path("theirs.sh").read_text(encoding="utf-8"), comments=True)
    for row in marked(said([command("python3", bin_folder), *words])):
        yield {name: looked_up(row, case.get("names", {}).get(name, name)) for name in case["columns"]}


def maestro(case: dict[str, Any], bin_folder: Path | None) -> Iterator[Row]:
    """Let Maestro read theirs.yaml and theirs.py (its parameter generator), and iterate over the combinations."""
    generator = "theirs.py" if Path("theirs.py").exists() else ""
    yield from marked(said([command("python3", bin_folder), "-c", MAESTRO, generator, *case.get("arguments", [])]))


def jube(case: dict[str, Any], bin_folder: Path | None) -> Iterator[Row]:
    """Run theirs.yaml, and ask for the parameters of the work packages of its step `study`."""
    words = [command("python3", None), command("jube", bin_folder)]
    tags = ["--tag", *case["arguments"]] if "arguments" in case else []
    said([*words, "run", "theirs.yaml", "--hide-animation", "--outpath", "made", *tags])
    yield from csv.DictReader(io.StringIO(said([*words, "info", "made", "--id", "0", "--step", "study", "-c", ","])))


def ramble(case: dict[str, Any], bin_folder: Path | None) -> Iterator[Row]:
    """Ask for the experiments of a workspace with theirs.yaml; their names hold the values of the variables."""
    words = [command("ramble", bin_folder)]
    said([*words, "workspace", "create", "-d", "made"])
    shutil.copy("theirs.yaml", "made/configs/ramble.yaml")
    names = re.findall(r"^ +Experiment \d+: (\S+)$", said([*words, "-D", "made", "workspace", "info"]), re.MULTILINE)
    for name in names:
        found = re.fullmatch(case["experiment"], name)
        if not found:
            raise SystemExit(f"{name}: this is not {case['experiment']}")
        yield found.groupdict()


def snakemake(case: dict[str, Any], bin_folder: Path | None) -> Iterator[Row]:
    """Plan theirs.smk: its first rule says `collect {input}`, and paths are made of NAME~VALUE."""
    words = [
        command("snakemake", bin_folder),
        "--dry-run",
        "--printshellcmds",
        "--cores",
        "1",
        "--snakefile",
        "theirs.smk",
    ]
    lines = re.findall(r"^ *(?:Shell command: )?collect (.*)$", said(words), re.MULTILINE)
    for path in lines[0].split():
        found = dict(part.split("~", 1) for part in path.removesuffix(".txt").split("/") if "~" in part)
        yield {name: found.get(name) for name in case["columns"]}


TOOLS: dict[str, Callable[[dict[str, Any], Path | None], Iterator[Row]]] = {
    "ramble": ramble,
    "maestro": maestro,
    "jube": jube,
    "hydra": hydra,
    "snakemake": snakemake,
}


def command(name: str, folder: Path | None) -> str:
    """Return the path of a command: of this folder, or of PATH."""
    found = shutil.which(name, path=str(folder) if folder else None)
    if not found:
        raise SystemExit(f"there is no `{name}` in {folder or 'PATH'}; see the head of this file")
    return found


def said(words: list[str]) -> str:
    """Return what a command says, which must succeed."""
    # HOME: Ramble and JUBE keep notes there. PYTHONPATH: JUBE's command lies beside its package in a checkout.
    package = str(Path(words[1]).parents[1]) if len(words) > 1 and words[1].endswith("/jube") else ""
    env = {**os.environ, "HOME": str(Path.cwd()), "PYTHONPATH": package}
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    if done.returncode:
        raise SystemExit(f"{shlex.join(words)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def marked(text: str) -> Iterator[Row]:
    """Yield the rows that our few lines inside the tool's own Python have written."""
    yield from (json.loads(line.removeprefix("POINT ")) for line in text.splitlines() if line.startswith("POINT "))


def looked_up(row: Row, path: str) -> Any:
    """Return what stands at a dotted path."""
    found: Any = row
    for step in path.split("."):
        found = found[step]
    return found


def cell(value: Any) -> str:
    """Return a value as it stands in points.csv; a table as JSON with sorted keys."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, sort_keys=True, separators=(",", ":")) if isinstance(value, dict | list) else str(value)


def table(case: dict[str, Any], rows: Iterator[Row]) -> str:
    """Return the text of points.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(case["columns"])
    # Hydra's rows are looked up by path already.
    names = {} if case["tool"] == "Hydra" else case.get("names", {})
    writer.writerows([cell(row[names.get(name, name)]) for name in case["columns"]] for row in rows)
    return text.getvalue()


def made(folder: Path, case: dict[str, Any], bin_folder: Path | None) -> str:
    """Return points.csv as the tool makes it, in a folder of its own."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(folder, scratch, dirs_exist_ok=True)
        os.chdir(scratch)
        try:
            return table(case, TOOLS[case["tool"].lower()](case, bin_folder))
        finally:
            os.chdir(here)


def main() -> int:
    """Run one tool over its cases; say of each how many points there are, and whether they are those of points.csv."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tool", choices=sorted(TOOLS))
    parser.add_argument("case", nargs="*")
    parser.add_argument("--bin", type=lambda text: Path(text).absolute())
    parser.add_argument("--write", action="store_true")
    words = parser.parse_args()
    differing = 0
    for folder in sorted(CASES.glob(f"*-{words.tool}-*")):
        case = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
        if case["how"] != "run" or (words.case and folder.name not in words.case):
            continue
        text = made(folder, case, words.bin)
        if words.write:
            (folder / "points.csv").write_text(text, encoding="utf-8")
        same = (folder / "points.csv").read_text(encoding="utf-8") == text
        differing += not same
        print(f"{folder.name:45} {text.count(chr(10)) - 1:6} points  {'as in' if same else 'NOT as in'} points.csv")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
