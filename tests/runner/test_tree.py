"""A folder is held to its manifest: whatever was changed is named."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from sciflow.runner import names, tree
from tests.runner.conftest import task

KEPT = "a" * 64


@pytest.fixture
def bundle(study):
    """Return the path of a bundle with code, inputs, programs."""
    return study([task("a", "true")], code={"sub/c.py": "pass\n"}, inputs={"data.csv": "1,2\n"}).path


def faults(bundle):
    """Return {path: fault}."""
    return dict(tree.compare(str(bundle), tree.manifest_of(str(bundle))[0]))


def test_what_was_sealed_has_no_faults(bundle):
    assert faults(bundle) == {}


def test_a_flipped_bit_is_named_in_each_file(bundle):
    paths = list(tree.manifest_of(str(bundle))[0])
    assert len(paths) > 20
    for path in paths:
        whole = (bundle / path).read_bytes()
        (bundle / path).write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        assert list(faults(bundle)) == [path]
        (bundle / path).write_bytes(whole)


def test_a_longer_file_is_named(bundle):
    with (bundle / "plan.json").open("ab") as stream:
        stream.write(b" ")
    assert "has changed" in faults(bundle)["plan.json"]


@pytest.mark.parametrize(
    "path", ["extra", "runner/json.py", "code/sub/x.pyc", ".hidden", "code/__pycache__/c.cpython-311.pyc"]
)
def test_an_added_file_is_named(bundle, path):
    (bundle / path).parent.mkdir(exist_ok=True)
    (bundle / path).write_bytes(b"")
    assert faults(bundle)[path] == "is not in the manifest"


def test_an_empty_folder_is_named(bundle):
    (bundle / "code" / "empty").mkdir()
    assert faults(bundle) == {"code/empty": "is not in the manifest"}


def test_a_missing_file_is_named(bundle):
    (bundle / "points.idx").unlink()
    assert faults(bundle) == {"points.idx": "is missing"}


def test_a_missing_folder_s_files_are_named(bundle):
    (bundle / "code" / "sub" / "c.py").unlink()
    (bundle / "code" / "sub").rmdir()
    assert faults(bundle) == {"code/sub/c.py": "is missing"}


def test_a_renamed_file_is_named_twice(bundle):
    (bundle / "README.md").rename(bundle / "readme.md")
    assert faults(bundle) == {"README.md": "is missing", "readme.md": "is not in the manifest"}


def test_a_link_is_named_though_it_leads_to_the_same_bytes(bundle, tmp_path):
    (bundle / "plan.json").rename(tmp_path / "plan.json")
    (bundle / "plan.json").symlink_to(tmp_path / "plan.json")
    assert faults(bundle) == {"plan.json": "is a link, and should be a file"}


def test_a_linked_folder_is_named(bundle, tmp_path):
    (bundle / "code").rename(tmp_path / "code")
    (bundle / "code").symlink_to(tmp_path / "code")
    assert faults(bundle)["code"] == "is a link, and should be a folder"


@pytest.mark.parametrize("path", ["runs", "seals", "carried"])
def test_a_free_folder_that_is_a_link_is_named(bundle, tmp_path, path):
    if (bundle / path).exists():
        (bundle / path).rename(tmp_path / "aside")
    (tmp_path / "aside").mkdir(exist_ok=True)
    (bundle / path).symlink_to(tmp_path / "aside")
    assert faults(bundle)[path] == "is a link, and should be a folder"


def test_a_file_where_a_folder_should_be_is_named(bundle):
    (bundle / "runs").write_bytes(b"")
    assert faults(bundle)["runs"] == "is a file, and should be a folder"


@pytest.mark.parametrize("mode", [0o755, 0o600, 0o666, 0o4644, 0o444])
def test_a_changed_mode_is_named(bundle, mode):
    (bundle / "plan.json").chmod(mode)
    assert faults(bundle) == {"plan.json": f"has mode {mode:04o}; sealed: 0644"}


def test_a_second_name_is_named(bundle, tmp_path):
    os.link(bundle / "plan.json", tmp_path / "elsewhere")
    assert "hard link" in faults(bundle)["plan.json"]


def test_a_pipe_in_a_file_s_place_is_named_and_not_waited_for(bundle):
    (bundle / "plan.json").unlink()
    os.mkfifo(bundle / "plan.json")
    assert faults(bundle) == {"plan.json": "is a pipe, and should be a file"}


def test_a_socket_is_named(bundle, monkeypatch):
    monkeypatch.chdir(bundle)
    with socket.socket(socket.AF_UNIX) as planted:
        planted.bind("s")
        assert faults(bundle) == {"s": "is not in the manifest"}


def test_a_run_changes_nothing(bundle):
    (bundle / "runs" / "main").mkdir(parents=True)
    (bundle / "runs" / "main" / "anything").write_bytes(b"x")
    assert faults(bundle) == {}


def test_carried_content_is_held_to_its_name(bundle):
    folder = bundle / "carried" / "sha256"
    folder.mkdir(parents=True)
    (folder / names.digest(b"image")).write_bytes(b"image")
    (folder / KEPT).write_bytes(b"image")
    assert faults(bundle) == {f"carried/sha256/{KEPT}": "is not what its name says"}


@pytest.mark.parametrize(
    "path", ["carried/x", "carried/sha256/readme", "carried/runs/x", f"carried/sha256/{KEPT}.part"]
)
def test_what_is_carried_without_a_digest_s_name_does_not_belong_there(bundle, path):
    (bundle / path).parent.mkdir(parents=True)
    (bundle / path).write_bytes(b"")
    assert "does not belong there" in faults(bundle).values()


def test_a_carried_link_does_not_belong_there(bundle):
    folder = bundle / "carried" / "sha256"
    folder.mkdir(parents=True)
    (folder / names.digest((bundle / "plan.json").read_bytes())).symlink_to(bundle / "plan.json")
    assert list(faults(bundle).values()) == ["does not belong there"]


def test_a_very_deep_folder_is_named(bundle):
    here = Path.cwd()
    os.chdir(bundle)
    try:
        for _ in range(1500):
            Path("d").mkdir()
            os.chdir("d")
        os.chdir(here)
        assert faults(bundle)["d"] == "is not in the manifest"
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-r", str(bundle / "d")], check=True)  # too deep for pytest to clear away


def test_a_name_that_is_no_text_is_named(bundle):
    Path(os.fsdecode(os.fsencode(bundle) + b"/\xff")).touch()
    (path,) = faults(bundle)
    assert tree.shown(path) == "\\udcff"


def test_what_a_terminal_could_act_on_is_escaped():
    assert tree.shown("a\x1b[2Jb\u202ec") == "a\\x1b[2Jb\\u202ec"


# ---- The manifest itself


def rewritten(bundle, change):
    """Change a manifest's document and write it back in canonical form."""
    file = bundle / "manifest.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(names.canonical(document))


def refused(bundle):
    with pytest.raises(tree.Refused) as found:
        tree.manifest_of(str(bundle))
    return str(found.value)


def test_a_manifest_with_a_space_is_not_canonical(bundle):
    file = bundle / "manifest.json"
    file.write_bytes(file.read_bytes().replace(b",", b", ", 1))
    assert refused(bundle) == "it is not in canonical form"


def test_a_key_that_stands_twice_is_refused(bundle):
    file = bundle / "manifest.json"
    file.write_bytes(file.read_bytes().replace(b'"format":1', b'"format":1,"format":1'))
    assert refused(bundle) == "a key stands twice"


@pytest.mark.parametrize("text", ["1.0", "1e0", "NaN", "-Infinity"])
def test_a_number_in_another_form_is_refused(bundle, text):
    file = bundle / "manifest.json"
    file.write_bytes(file.read_bytes().replace(b'"format":1', b'"format":' + text.encode()))
    assert "is no number of this format" in refused(bundle)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100000, b'"\\ud800"', b"null", b"[]"])
def test_what_is_no_manifest_is_refused(bundle, data):
    (bundle / "manifest.json").write_bytes(data)
    assert refused(bundle)


def test_a_manifest_that_is_a_link_is_not_read(bundle, tmp_path):
    (bundle / "manifest.json").rename(tmp_path / "manifest.json")
    (bundle / "manifest.json").symlink_to(tmp_path / "manifest.json")
    with pytest.raises(OSError, match="symbolic links"):
        tree.manifest_of(str(bundle))


def test_a_manifest_that_is_a_pipe_is_not_waited_for(bundle):
    (bundle / "manifest.json").unlink()
    os.mkfifo(bundle / "manifest.json")
    assert refused(bundle) == "it is not a regular file"


UNSAFE = [
    "../x",
    "/etc/passwd",
    "a//b",
    "a/./b",
    "a/",
    "",
    "runs/x",
    "seals/x",
    "carried/x",
    "manifest.json",
    "a\\b",
    "a\nb",
    "x" * 2000,
]


@pytest.mark.parametrize("path", UNSAFE)
def test_an_unsafe_path_is_refused(bundle, path):
    rewritten(bundle, lambda document: document["files"][0].update(path=path))
    assert "unsafe path" in refused(bundle)


@pytest.mark.parametrize(
    ("key", "value"), [("mode", "0777"), ("mode", "0600"), ("mode", 420), ("sha256", "A" * 64), ("size", "1")]
)
def test_a_malformed_entry_is_refused(bundle, key, value):
    rewritten(bundle, lambda document: document["files"][0].update({key: value}))
    assert "malformed" in refused(bundle)


def test_an_extra_key_in_an_entry_is_refused(bundle):
    rewritten(bundle, lambda document: document["files"][0].update(owner="me"))
    assert "lacks one of" in refused(bundle)


def test_a_path_that_stands_twice_is_refused(bundle):
    rewritten(bundle, lambda document: document["files"].insert(0, document["files"][0]))
    assert "stands twice" in refused(bundle)


def test_paths_out_of_order_are_refused(bundle):
    rewritten(bundle, lambda document: document["files"].reverse())
    assert "not sorted" in refused(bundle)


@pytest.mark.parametrize(("key", "value"), [("kind", "run"), ("format", 2), ("files", {}), ("files", None)])
def test_another_kind_of_document_is_refused(bundle, key, value):
    rewritten(bundle, lambda document: document.update({key: value}))
    assert refused(bundle)


def test_the_id_is_the_digest_of_the_manifest(bundle):
    assert tree.manifest_of(str(bundle))[1] == names.digest((bundle / "manifest.json").read_bytes())
