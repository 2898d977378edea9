import os

import pytest

from sciflow.containers import cache, receive, wheels
from sciflow.containers.requirements import normal
from sciflow.errors import SurroundingsError, WorkflowError
from tests.containers import wheelwright
from tests.containers.wheelwright import TARGET, pinned, wheel


@pytest.fixture(autouse=True)
def surroundings(tmp_path, own_cache, monkeypatch):
    """Give uv a cache of its own, no index, and nobody's settings."""
    monkeypatch.setattr(receive, "PAUSE_S", 0.01)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Serve an index of these: `tiny` 1.0 and 2.0, which needs `dep`, and `native` for some platforms."""
    folder = tmp_path / "index" / "files"
    wheel(folder, version="1.0")
    wheel(folder, version="2.0", needs=["dep>=1"])
    wheel(folder, "dep", "1.5")
    for tag in ("cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_37_x86_64", "cp312-cp312-win_amd64"):
        wheel(folder, "native", tag=tag, pure="false")
    with wheelwright.index(tmp_path / "index") as address:
        monkeypatch.setenv("UV_DEFAULT_INDEX", address)
        yield folder


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "the study"
    folder.mkdir()
    return folder


def _resolve(study, text, path="requirements.txt", **more):
    (study / path).write_text(text)
    return wheels.resolve(path, study, TARGET, progress=more.pop("progress", print), **more)


def _versions(found):
    return {one.name: one.version for one in found.wheels}


def test_requirements_become_pinned_wheels_with_all_they_need(files, study):
    found = _resolve(study, "tiny\n")
    assert _versions(found) == {"dep": "1.5", "tiny": "2.0"}
    tiny = files / "tiny-2.0-py3-none-any.whl"
    assert found.wheels[1].sha256 == wheelwright.digest(tiny.read_bytes())
    assert found.wheels[1].size == tiny.stat().st_size
    assert found.wheels[1].url.endswith("/files/tiny-2.0-py3-none-any.whl")
    assert [name for name, _ in found.tools] == ["uv"]
    assert [one.path for one in found.files] == ["requirements.txt"]


def test_the_wheel_for_the_image_s_c_library_is_taken(files, study):
    assert _resolve(study, "native\n").wheels[0].file == "native-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"


def test_what_is_done_is_told(files, study):
    told = []
    _resolve(study, "dep\n", progress=told.append)
    assert told == [
        "choosing the packages of requirements.txt for Python 3.11.2 on x86_64 with glibc 2.36",
        "downloading dep-1.5-py3-none-any.whl",
    ]


def test_versions_that_are_held_stay_until_they_are_to_be_updated(files, study):
    held = _resolve(study, "tiny<2\n").wheels
    assert _versions(_resolve(study, "tiny\n", held=held)) == {"tiny": "1.0"}
    assert _versions(_resolve(study, "tiny\n", held=held, update=frozenset({"other"}))) == {"tiny": "1.0"}
    for update in ({"Tiny"}, {"*"}):
        assert _versions(_resolve(study, "tiny\n", held=held, update=frozenset(update)))["tiny"] == "2.0"


def test_a_held_version_that_no_longer_fits_goes(files, study):
    held = _resolve(study, "tiny<2\n").wheels
    assert _versions(_resolve(study, "tiny>1.5\n", held=held))["tiny"] == "2.0"


def test_a_better_wheel_of_a_held_version_waits_for_an_update(study):
    text = "--no-index\n--find-links wheels\ntiny\n"
    wheel(study / "wheels")
    held = _resolve(study, text).wheels
    better = wheel(study / "wheels", tag="cp311-cp311-manylinux_2_17_x86_64", pure="false")
    assert _resolve(study, text, held=held).wheels == held
    assert _resolve(study, text, held=held, update=frozenset({"tiny"})).wheels[0].file == better.name


def test_a_held_wheel_for_another_python_goes(study):
    text = "--no-index\n--find-links wheels\ntiny\n"
    held = pinned(wheel(study / "wheels", tag="cp312-cp312-manylinux_2_17_x86_64", pure="false"))
    wheel(study / "wheels")
    assert _resolve(study, text, held=[held]).wheels[0].file == "tiny-1.0-py3-none-any.whl"


def test_constraints_of_another_file_hold(files, study):
    (study / "limits.txt").write_text("tiny<2\n")
    found = _resolve(study, "tiny\n-c limits.txt\n")
    assert _versions(found) == {"tiny": "1.0"}
    assert found.files == wheels.files("requirements.txt", study)
    assert [one.path for one in found.files] == ["limits.txt", "requirements.txt"]


def test_a_wheel_that_is_asked_for_by_its_address_is_pinned(files, study):
    address = os.environ["UV_DEFAULT_INDEX"].replace("/simple", "/files/tiny-1.0-py3-none-any.whl")
    assert _resolve(study, f"tiny @ {address}\n").wheels == (pinned(files / "tiny-1.0-py3-none-any.whl", url=address),)


def test_wheels_of_the_workflow_s_folder_are_pinned_by_their_path(study):
    wheel(study / "wheels")
    found = _resolve(study, "--no-index\n--find-links wheels\ntiny\n")
    assert found.wheels == (pinned(study / "wheels/tiny-1.0-py3-none-any.whl", url="wheels/tiny-1.0-py3-none-any.whl"),)


def test_what_the_index_does_not_have_is_a_fault_of_the_file(files, study):
    with pytest.raises(WorkflowError, match=r"requirements.txt: what it asks for cannot be had together.*tiny>3"):
        _resolve(study, "tiny>3\n")


def test_an_index_that_is_gone_is_a_fault_of_the_surroundings(study):
    with pytest.raises(SurroundingsError, match=r"the packages of `requirements.txt` cannot be chosen: .*127.0.0.1:9"):
        _resolve(study, "tiny\n")


def test_hashes_of_the_file_are_held(files, study):
    digest = wheelwright.digest((files / "tiny-1.0-py3-none-any.whl").read_bytes())
    assert _versions(_resolve(study, f"tiny==1.0 --hash=sha256:{digest}\n")) == {"tiny": "1.0"}
    with pytest.raises(WorkflowError, match=r"`dep` 1.5 is needed too, and has no `--hash`") as found:
        _resolve(study, f"tiny==2.0 --hash=sha256:{digest}\n")
    assert "`tiny-2.0-py3-none-any.whl` has none of the digests given for it" in str(found.value)


def test_a_lock_of_the_folder_is_taken_as_it_is(files, study):
    held = _resolve(study, "tiny\n").wheels
    found = _resolve(study, wheels.pylock.write(held), "pylock.run.toml")
    assert (found.wheels, found.tools) == (held, ())
    assert found.files == wheels.files("pylock.run.toml", study)


def test_a_lock_that_is_no_toml_is_named(study):
    with pytest.raises(WorkflowError, match=r"pylock.toml: it is no TOML: .*line 1"):
        _resolve(study, "tiny\n", "pylock.toml")


@pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock", "setup.py", "pylock.a.b.toml"])
def test_a_file_of_another_kind_is_refused(study, name):
    with pytest.raises(WorkflowError, match=f"{name}: it is neither a requirements file nor a lock"):
        wheels.files(name, study)


def test_wheels_are_gathered_from_the_folder_and_from_addresses(files, study):
    near = pinned(wheel(study / "wheels", "near"), url="wheels/near-1.0-py3-none-any.whl")
    far = _resolve(study, "dep\n").wheels[0]
    assert wheels.gather([near, far], study, print) == (cache.place(near.sha256), cache.place(far.sha256))


def test_a_wheel_with_other_bytes_is_named(files, study):
    held = _resolve(study, "dep\n").wheels[0]
    cache.place(held.sha256).unlink()
    changed = bytearray((files / held.file).read_bytes())
    changed[40] ^= 1
    (files / held.file).write_bytes(changed)
    with pytest.raises(SurroundingsError, match=r"dep-1.5-py3-none-any.whl is not what was pinned"):
        wheels.gather([held], study, print)


def test_a_wheel_that_is_gone_is_named(files, study):
    held = _resolve(study, "dep\n").wheels[0]
    cache.place(held.sha256).unlink()
    (files / held.file).unlink()
    with pytest.raises(SurroundingsError, match=r"dep-1.5-py3-none-any.whl is not there"):
        wheels.gather([held], study, print)


def test_wheels_are_written_as_requirements_with_hashes(tmp_path):
    held = [pinned(wheel(tmp_path, name)) for name in ("b", "a")]
    assert wheels.text(held) == "".join(f"{one.name}==1.0 --hash=sha256:{one.sha256}\n" for one in reversed(held))
    assert normal(held[0].name) == "b"
