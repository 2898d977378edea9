"""The package's own face: few names, fetched when they are asked for."""

import subprocess
import sys

import pytest

import sciflow


def fresh(code):
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_importing_it_imports_nothing_else_of_it():
    said = fresh("import sys\nimport sciflow\nprint([name for name in sys.modules if name.startswith('sciflow.')])")
    assert said == "[]\n"


def test_each_name_is_fetched_when_it_is_asked_for():
    assert fresh("import sciflow\nprint(sciflow.Engine.__name__, 'Engine' in vars(sciflow))") == "Engine True\n"


def test_an_experiment_can_be_said_without_the_packages_that_draw():
    said = fresh(
        "import sys\nimport sciflow\nw = sciflow.ExperimentalWorkflow('x')\nw.add_task('t', command=['true'])\n"
        "w.to_toml()\nprint(sorted({'polars', 'altair', 'networkx', 'docker', 'cryptography'} & set(sys.modules)))"
    )
    assert said == "[]\n"


@pytest.mark.parametrize("name", sciflow.__all__)
def test_every_name_it_promises_is_there(name):
    assert name in dir(sciflow)
    assert getattr(sciflow, name).__name__ == name


def test_every_name_of_a_room_is_promised():
    assert sorted(sciflow._ROOMS) == sorted(sciflow.__all__)


def test_a_name_it_does_not_have_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'sciflow' has no attribute 'Enginee'"):
        sciflow.Enginee  # noqa: B018  the look itself fails
