"""The README's ten lines run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_readmes_lines_run(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"<!-- tests/test_readme\.py runs these -->\n```sh\n(.*?)```", text, re.DOTALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = subprocess.run(
        ["sh", "-euc", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "reproduced" in found.stdout
    assert "verified" in found.stdout


def test_every_exit_code_of_the_readme_is_one_of_the_runners():
    from sciflow.runner import names

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert told == {value for name, value in vars(names).items() if name.startswith("EXIT_")}
