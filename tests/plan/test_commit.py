"""Where a study's code stands in git: real repositories, made for each test."""

import shutil
import subprocess

import pytest

from sciflow.plan import commit

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


def git(folder, *words):
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    found = subprocess.run(["git", *identity, "-C", folder, *words], capture_output=True, text=True, check=True)
    return found.stdout.strip()


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Give a folder inside a repository, with one file that is committed."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "repository" / "study"
    folder.mkdir(parents=True)
    git(folder.parent, "init", "-q")
    (folder / "t.py").write_text("1\n")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-q", "-m", "x")
    return folder


def test_code_that_is_as_in_the_commit_is_clean(study):
    assert commit.of(study, ["t.py"]) == commit.Commit(id=git(study, "rev-parse", "HEAD"), clean=True)


def test_code_that_was_changed_is_not_clean(study):
    (study / "t.py").write_text("2\n")
    assert not commit.of(study, ["t.py"]).clean


def test_code_that_was_staged_but_not_committed_is_not_clean(study):
    (study / "t.py").write_text("2\n")
    git(study, "add", ".")
    assert not commit.of(study, ["t.py"]).clean


def test_code_that_git_does_not_know_is_not_clean(study):
    (study / "new.py").write_text("")
    assert not commit.of(study, ["new.py", "t.py"]).clean


def test_a_change_of_what_is_not_code_does_not_count(study):
    (study / "notes.txt").write_text("")
    assert commit.of(study, ["t.py"]).clean


def test_a_folder_outside_any_repository_has_no_commit(tmp_path):
    assert commit.of(tmp_path, []) is None


def test_a_repository_without_a_commit_has_none(tmp_path):
    git(tmp_path, "init", "-q")
    assert commit.of(tmp_path, []) is None


def test_a_hook_s_own_repository_is_not_taken_for_the_study_s(study, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert commit.of(study, ["t.py"]).clean


def test_nothing_that_the_repository_s_settings_name_is_run(study, tmp_path):
    program = tmp_path / "spy"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/spied\n")
    program.chmod(0o755)
    git(study, "config", "core.fsmonitor", str(program))
    git(study, "config", "diff.external", str(program))
    (study / "t.py").write_text("2\n")
    commit.of(study, ["t.py"])
    assert not (tmp_path / "spied").exists()


def test_without_git_there_is_no_commit(study, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit.of(study, ["t.py"]) is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://me:s3cret@example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://s3cret@example.org:8443/a.git?token=s3cret#x", "https://example.org:8443/a.git"),
        ("https://me:s3@cret@example.org/a.git", "https://example.org/a.git"),
        ("https://me:s3/cret@example.org/a.git", ""),
        ("https://me:s3#cret@example.org/a.git", ""),
        ("ssh://git@example.org:22/a.git", "ssh://example.org:22/a.git"),
        ("git@example.org:a/b.git", "example.org:a/b.git"),
        ("me:s3cret@example.org:a", ""),
        ("/home/me/a.git", ""),
        ("../a.git", ""),
        ("file:///home/me/a.git", ""),
        ("", ""),
    ],
)
def test_a_remote_is_told_without_credentials_and_a_place_of_this_machine_not_at_all(study, url, told):
    git(study, "config", "remote.origin.url", url)
    assert commit.of(study, ["t.py"]).remote == told


def test_what_the_user_s_settings_put_in_the_place_of_an_address_is_not_told(study):
    git(study, "config", "remote.origin.url", "https://example.org/a.git")
    git(study, "config", "url.https://me:s3cret@example.org/.insteadOf", "https://example.org/")
    assert commit.of(study, ["t.py"]).remote == "https://example.org/a.git"
