"""Two bundles, kept whole: compile must give exactly these bytes.

The runner and `verify.py` are held to the package's own files, and the manifest to all of them. Where a change of the
bundle is meant, `python -m tests.golden.test_golden` writes the kept files anew, and their diff says what it does.
"""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from sciflow import api
from sciflow.runner import names

HERE = Path(__file__).parent
CASES = ("small", "union")
PACKAGE = Path(names.__file__).parent


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def ours(path):
    """Say whether a file of a bundle is one of the package's own, or made of all the others."""
    return path.startswith(("runner/", "seals/")) or path in ("verify.py", "manifest.json")


def compiled(case, folder):
    shutil.copytree(HERE / case, folder / case, ignore=shutil.ignore_patterns("bundle", "__pycache__"))
    return api.compile(folder / case / "workflow.toml").path


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        return {case: compiled(case, tmp_path_factory.mktemp("golden")) for case in CASES}


@pytest.fixture
def bundle(bundles):
    return bundles["small"]


@pytest.mark.parametrize("case", CASES)
def test_the_bundle_holds_the_kept_files_and_the_packages_own(bundles, case):
    assert [path for path in files(bundles[case]) if not ours(path)] == files(HERE / case / "bundle")


@pytest.mark.parametrize(("case", "path"), [(case, path) for case in CASES for path in files(HERE / case / "bundle")])
def test_compile_gives_exactly_these_bytes(bundles, case, path):
    assert (bundles[case] / path).read_bytes() == (HERE / case / "bundle" / path).read_bytes()


def test_the_kept_points_are_of_every_kind():
    lines = (HERE / "union" / "bundle" / "points.jsonl").read_text(encoding="utf-8").splitlines()
    points = [json.loads(line) for line in lines]
    assert {point["degree"] for point in points} == {None, 2, 3}
    assert {point["width"] for point in points} == {1, 64, 128, 256}
    assert len({point["noise"] for point in points}) == 3 + 2 + 1 + 2 + 2


def test_the_runner_is_the_packages_own(bundle):
    wanted = {path.name: path.read_bytes() for path in PACKAGE.iterdir() if path.suffix in (".py", ".sh")}
    assert {path.name: path.read_bytes() for path in (bundle / "runner").iterdir()} == wanted


@pytest.mark.parametrize("room", ["ed25519", "tree", "verdict"])
def test_verify_py_holds_every_line_of_the_rooms_that_judge(bundle, room):
    lines = (PACKAGE / f"{room}.py").read_text(encoding="utf-8").splitlines()
    wanted = "\n".join(line for line in lines if not line.startswith("from ."))
    assert wanted in (bundle / "verify.py").read_text(encoding="utf-8")


def test_the_manifest_lists_every_file_with_size_mode_and_digest(bundle):
    listed = json.loads((bundle / "manifest.json").read_bytes())["files"]
    wanted = [path for path in files(bundle) if path != "manifest.json" and not path.startswith("seals/")]
    assert listed == [
        {
            "path": path,
            "size": (bundle / path).stat().st_size,
            "mode": "0755" if path in ("launch.sh", "verify.py") else "0644",
            "sha256": hashlib.sha256((bundle / path).read_bytes()).hexdigest(),
        }
        for path in wanted
    ]


def test_the_manifest_is_the_canonical_form_of_what_it_says(bundle):
    data = (bundle / "manifest.json").read_bytes()
    assert data == json.dumps(json.loads(data), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def test_the_name_of_the_folder_is_the_start_of_the_manifests_digest(bundle):
    assert bundle.name == "small-" + hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()[:12]


def test_every_file_has_the_mode_the_manifest_says(bundle):
    listed = json.loads((bundle / "manifest.json").read_bytes())["files"]
    assert {entry["path"]: f"{(bundle / entry['path']).stat().st_mode & 0o7777:04o}" for entry in listed} == {
        entry["path"]: entry["mode"] for entry in listed
    }


def rewrite():
    """Write the kept files anew."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = folder + "/config"
        for case in CASES:
            made, kept = compiled(case, Path(folder)), HERE / case / "bundle"
            shutil.rmtree(kept, ignore_errors=True)
            for path in files(made):
                if not ours(path):
                    (kept / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(made / path, kept / path)


if __name__ == "__main__":
    rewrite()
