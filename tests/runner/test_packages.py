"""What an image has installed: told by a shell inside, made a list outside, kept once."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sciflow.runner import box, packages
from tests.runner.conftest import boxed, task

SCRIPT = Path(box.__file__).with_name("packages.sh")
IMAGE = "sha256:" + "a" * 64
DPKG = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9
Description: a library
 Package: not this
Conffiles:
 /etc/ld.so.conf

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: broken
Status: install ok half-installed
Architecture: all
Version: 1
"""


def told(**sections):
    return "".join(f"\n# {kind}\n{text}" for kind, text in sections.items())


def test_a_debian_package_is_told_with_version_and_architecture_if_it_is_installed():
    assert packages.listed(told(debian=DPKG)) == ["debian libc6 2.36-9 amd64"]


def test_a_package_in_a_file_of_its_own_needs_no_status():
    assert packages.listed(told(debian="Package: tzdata\nVersion: 2024a\n\n")) == ["debian tzdata 2024a"]


def test_an_alpine_package_is_told():
    assert packages.listed(told(alpine="C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\n\nP:half\n")) == [
        "alpine musl 1.2.4-r2 x86_64"
    ]


def test_python_packages_are_told_by_the_names_of_their_folders():
    names = "numpy-1.26.4.dist-info\nfoo_bar-1.0.post1-py3.11.egg-info\npip-23.0.1-py3-none.dist\nodd.dist-info\n"
    assert packages.listed(told(python=names)) == ["python foo_bar 1.0.post1", "python numpy 1.26.4"]


def test_a_list_is_sorted_and_has_each_once():
    assert packages.listed(told(python="b-1.dist-info\na-1.dist-info\nb-1.dist-info\n")) == ["python a 1", "python b 1"]


def test_a_database_cannot_write_a_line_of_its_own():
    assert packages.listed(told(debian="Package: a\rdebian b 2\nVersion: 1\t2\n")) == ["debian adebianb2 12"]


def test_a_section_that_nobody_knows_is_passed_over():
    assert packages.listed("noise\n" + told(rpm="x\n", python="a-1.dist-info\n")) == ["python a 1"]


def test_no_image_has_no_packages(tmp_path):
    assert packages.place(str(tmp_path), str(tmp_path / "runs" / "main"), None) == ""


def test_what_was_known_when_it_was_compiled_is_not_looked_up(tmp_path):
    (tmp_path / "container").mkdir()
    (tmp_path / "container" / "packages.txt").touch()
    assert packages.place(str(tmp_path), str(tmp_path / "runs" / "main"), IMAGE) == "container/packages.txt"


def test_the_list_of_an_image_is_named_for_it(tmp_path):
    found = packages.place(str(tmp_path), str(tmp_path / "runs" / "main"), IMAGE)
    assert found == f"runs/main/packages/{'a' * 64}.txt"


def test_a_list_stands_in_its_place_and_nothing_beside_it(tmp_path):
    (tmp_path / "told").write_text(told(python="a-1.dist-info\n"))
    packages.keep(str(tmp_path / "run" / "packages" / "x.txt"), str(tmp_path / "told"))
    assert [(path.name, path.read_text()) for path in (tmp_path / "run").rglob("*.txt")] == [("x.txt", "python a 1\n")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "told"]


# ---- Inside


def root(folder):
    """Lay out a small root file system with databases of all kinds."""
    site = "usr/local/lib/python3.12/site-packages"
    for path, text in {
        "var/lib/dpkg/status": DPKG,
        "var/lib/dpkg/status.d/tzdata": "Package: tzdata\nVersion: 2024a\nArchitecture: all\n",
        "var/lib/dpkg/status.d/tzdata.md5sums": "Package: sums\nVersion: 1\n",
        "lib/apk/db/installed": "P:musl\nV:1\nA:x86_64\n",
        f"{site}/numpy-1.26.4.dist-info/METADATA": "",
        f"{site}/old-2-py3.12.egg-info": "",
        f"{site}/numpy/x.py": "",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


@pytest.mark.parametrize("shell", [["dash"], ["bash", "--posix"], ["busybox", "sh"]])
def test_each_database_of_an_image_is_told(tmp_path, shell):
    if not shutil.which(shell[0]):
        pytest.skip(f"{shell[0]} is not installed here")
    root(tmp_path)
    # The databases of another root, by the same script with its paths changed; of this machine's Python, nothing.
    script = SCRIPT.read_text()
    for path in ("/var", "/usr", "/lib/apk", "/opt"):
        script = script.replace(f" {path}/", f" {tmp_path}{path}/")
    words = [shutil.which(shell[0]), *shell[1:], "-c", script]
    found = subprocess.run(words, env={"PATH": bare(tmp_path)}, capture_output=True, check=True)
    assert found.stderr == b""
    assert packages.listed(found.stdout.decode()) == [
        "alpine musl 1 x86_64",
        "debian libc6 2.36-9 amd64",
        "debian tzdata 2024a all",
        "python numpy 1.26.4",
        "python old 2",
    ]


def bare(folder):
    """Make a folder of programs in which there is no python3."""
    (folder / "bin").mkdir()
    for name in ("cat", "env", "printf", "setsid", "sh", "sleep", "true"):
        (folder / "bin" / name).symlink_to(shutil.which(name))
    return str(folder / "bin")


# ---- In a run


@pytest.fixture
def listing(study, tmp_path):
    """Give a study of one step in a box that counts as a container, with an image, and its list's path."""
    shut = {**boxed(tmp_path / "box", bare(tmp_path)), "isolation": "container"}
    found = study([task("a", "true"), task("b", "[ -e '%s' ]" % (tmp_path / "go"))], boxes=[shut], image=IMAGE)
    return found, found.run_folder / "packages" / f"{'a' * 64}.txt"


def test_a_run_keeps_the_list_of_its_image_and_leaves_nothing_else(listing):
    found, path = listing
    found.run(code=5)
    assert path.is_file()
    (worker,) = [record for record in found.records() if "facts" in record]
    assert found.path / worker["box"]["packages"] == path
    assert list(path.parent.iterdir()) == [path]
    assert not (found.run_folder / "work").exists()


def test_a_list_that_stands_is_not_made_again(listing, tmp_path):
    found, path = listing
    path.parent.mkdir(parents=True)
    path.write_text("as it was\n")
    found.run(code=5)
    assert path.read_text() == "as it was\n"


def test_steps_are_not_counted_by_the_list(listing, tmp_path):
    found, _ = listing
    (tmp_path / "go").touch()
    found.run()
    assert found.states() == {("a", 0): "done", ("b", 0): "done"}


def test_on_the_host_there_is_no_list(study):
    found = study([task("a", "true")], image=IMAGE)
    found.run()
    (worker,) = [record for record in found.records() if "facts" in record]
    assert worker["box"]["packages"] == ""
    assert not (found.run_folder / "packages").exists()
