"""The pages under docs/ say what is so: the programs in them run, and print what the page says they print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def blocks(page, kind):
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_program_of_the_python_page_prints_what_the_page_says(tmp_path):
    (study, *program), (printed,) = blocks("python.md", "python"), blocks("python.md", "text")
    assert study.startswith("# study.py\n")
    (tmp_path / "study.py").write_text(study, encoding="utf-8")
    (tmp_path / "program.py").write_text("".join(program), encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout == printed


def test_the_page_of_failures_is_what_the_tests_say_and_tells_of_every_row_of_the_runner():
    words = [sys.executable, ROOT / "tools/failures.py", "--check"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    shown = re.findall(r"^## (F\d+): ", (ROOT / "docs/failures.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {*(f"F{row}" for row in (*range(1, 8), 12, *range(15, 18), *range(22, 26), *range(27, 30)))} <= {*shown}
