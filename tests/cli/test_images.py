"""The commands about locks and images, said on the command line."""

import json

import pytest

from tests import small


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))
    small.with_image(tmp_path / "study")
    return tmp_path / "study" / "workflow.toml"


def test_lock_ends_with_the_lock(study):
    found = small.sciflow("lock", study)
    assert (found.returncode, found.stdout) == (0, f"{study.with_name('workflow.lock')}\n")


def test_lock_says_what_an_update_changed(study):
    study.with_name("tool.sqfs").write_bytes(b"hsqs" + b"\1" * 96)
    found = small.sciflow("lock", study, "--update", "image")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("image: sha256:")


def test_lock_answers_programs(study):
    found = json.loads(small.sciflow("lock", study, "--json").stdout)
    assert found == {"lock": str(study.with_name("workflow.lock")), "changes": []}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["image"], "that is `--update`"),
        (["--check", "--update"], "--check and --update exclude each other"),
        (["--update", "numpy"], "the lock has no piece `numpy`"),
        (["--check"], "is run as it is"),
    ],
)
def test_words_that_do_not_go_together_are_refused(study, words, said):
    found = small.sciflow("lock", study, *words)
    assert (found.returncode, said in found.stderr) == (2, True), found.stderr


def test_fetch_writes_a_sif(study, tmp_path):
    bundle = next((study.parent / "bundles").iterdir())
    found = small.sciflow("fetch", bundle, "--sif", tmp_path / "tool.sif")
    assert (found.returncode, found.stdout) == (0, f"{tmp_path / 'tool.sif'}\n"), found.stderr
    assert (tmp_path / "tool.sif").read_bytes().startswith(b"#!/usr/bin/env run-singularity\n")
