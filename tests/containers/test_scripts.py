import subprocess

import pytest

from sciflow.containers import scripts
from sciflow.containers.instructions import Copy, Item, Make, Run

FILE = Item(name="a b", is_folder=False, files=(("image/a b", "a b"),))
FOLDER = Item(name="data", is_folder=True, files=(("data/one", "one"), ("data/sub/two's", "sub/two's")))


@pytest.fixture
def inside(tmp_path):
    """Take a step in a folder that stands for the image's root; return what is below it afterwards."""
    for index, item in enumerate((FILE, FOLDER)):
        for path, below in item.files:
            place = tmp_path / scripts.FOLDER / "0" / str(index) / below
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(path)
            place.chmod(0o755)

    def take(step, *items):
        text = scripts.script(step, 0, items, {}).replace(f"/{scripts.FOLDER}/", f"{tmp_path}/{scripts.FOLDER}/")
        subprocess.run(["sh", "-c", text], check=True)
        return sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "opt").rglob("*") if path.is_file())

    return take


def copy(tmp_path, target, *, contents=True):
    return Copy(line=1, sources=(), target=f"{tmp_path}{target}", contents=contents)


def test_a_file_is_copied_to_a_name(inside, tmp_path):
    assert inside(copy(tmp_path, "/opt/x/name"), FILE) == ["opt/x/name"]
    assert (tmp_path / "opt/x/name").stat().st_mode & 0o777 == 0o755


def test_a_file_goes_into_a_folder_that_is_asked_for_or_is_there(inside, tmp_path):
    assert inside(copy(tmp_path, "/opt/x/"), FILE) == ["opt/x/a b"]
    (tmp_path / "opt/y").mkdir()
    assert inside(copy(tmp_path, "/opt/y"), FILE) == ["opt/x/a b", "opt/y/a b"]


def test_a_file_takes_the_place_of_another_and_not_what_it_links_to(inside, tmp_path):
    (tmp_path / "opt").mkdir()
    (tmp_path / "aim").write_text("aim")
    (tmp_path / "opt/name").symlink_to(tmp_path / "aim")
    inside(copy(tmp_path, "/opt/name"), FILE)
    assert (tmp_path / "aim").read_text() == "aim"
    assert not (tmp_path / "opt/name").is_symlink()


@pytest.mark.parametrize(("contents", "second"), [(True, []), (False, ["opt/x/data/one", "opt/x/data/sub/two's"])])
def test_docker_copies_what_is_in_a_folder_and_apptainer_the_folder_into_one_that_is_there(
    inside, tmp_path, contents, second
):
    step = copy(tmp_path, "/opt/x", contents=contents)
    lone = Item(name="data", is_folder=True, files=FOLDER.files)
    (tmp_path / scripts.FOLDER / "0/0").rename(tmp_path / "aside")
    (tmp_path / scripts.FOLDER / "0/1").rename(tmp_path / scripts.FOLDER / "0/0")
    assert inside(step, lone) == ["opt/x/one", "opt/x/sub/two's"]
    assert inside(step, lone) == sorted(["opt/x/one", "opt/x/sub/two's", *second])


def test_a_command_has_its_environment_and_nothing_of_apptainer_s(tmp_path):
    step = Run(line=1, words=("env",), environment=(("A", "it's $HOME"), ("TZ", "CET")), folder=str(tmp_path / "new"))
    text = scripts.script(step, 3, (), {"http_proxy": "http://proxy.example"})
    said = subprocess.run(
        ["/bin/sh", "-c", text],
        env={"APPTAINER_NAME": "x", "SINGULARITY_BIND": "y", "PS1": "z"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert {"A=it's $HOME", "TZ=CET", "HOME=/root", "SOURCE_DATE_EPOCH=0", "http_proxy=http://proxy.example"} <= set(
        said
    )
    assert f"PWD={tmp_path / 'new'}" in said
    assert not [line for line in said if line.startswith(("APPTAINER", "SINGULARITY", "PS1"))]


@pytest.mark.parametrize(("key", "wanted"), [("", "gone"), ("1", "/libs")])
def test_the_folder_of_apptainer_s_libraries_is_kept_for_fakeroot_alone(key, wanted):
    text = scripts.script(Run(line=1, words=("/bin/sh", "-c", 'echo "${LD_LIBRARY_PATH-gone}"')), 0, (), {})
    given = {"LD_LIBRARY_PATH": "/libs", "FAKEROOTKEY": key}
    assert (
        subprocess.run(["sh", "-c", text], env=given, capture_output=True, text=True, check=True).stdout
        == f"{wanted}\n"
    )


def test_a_script_of_many_lines_is_a_file_of_its_own():
    text = scripts.script(Run(line=1, words=("/bin/sh", "-ex"), text="x\n"), 3, (), {})
    assert text.endswith(f"exec /bin/sh -ex /{scripts.FOLDER}/3.text\n")


def test_a_folder_is_made():
    assert scripts.script(Make(line=1, path="/a b"), 0, (), {}) == "exec mkdir -p '/a b'\n"


def test_steps_are_taken_in_order_and_the_first_that_fails_is_told(tmp_path):
    folder = tmp_path / scripts.FOLDER
    folder.mkdir()
    for number, text in enumerate(["echo one", "exit 3", "echo three"]):
        (folder / f"{number}.sh").write_text(text)
    text = scripts.runner(3).replace("/tmp/", "/t/").replace("/var/t/", "/t/")
    text = text.replace("/t/", f"{tmp_path}/t/").replace(f"/{scripts.FOLDER}", str(folder))
    found = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stdout.splitlines() == ["sciflow-step 0", "one", "sciflow-step 1", "sciflow-ended 1 3"]
