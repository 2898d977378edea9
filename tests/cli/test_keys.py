"""The commands about keys, from the first key to its end."""

import json
import stat
from pathlib import Path

import pytest

from tests import small


def test_a_new_key_is_shown_by_its_public_half_and_kept_for_its_owner():
    found = small.sciflow("key", "new", "ada")
    assert (found.returncode, found.stdout.split()[0]) == (0, "ssh-ed25519")
    assert stat.S_IMODE(Path(found.stderr.split()[0]).stat().st_mode) == 0o600


def test_keys_are_listed_with_name_and_fingerprint():
    public = small.sciflow("key", "new", "ada").stdout.strip()
    found = small.sciflow("key", "ls").stdout.strip()
    assert found.startswith("ada SHA256:")
    assert found.endswith(public)


def test_no_keys_make_an_empty_list():
    assert (small.sciflow("key", "ls").stdout, json.loads(small.sciflow("key", "ls", "--json").stdout)) == (
        "",
        {"keys": []},
    )


def test_a_strangers_bundle_is_verified_once_its_key_is_trusted_and_no_more_once_it_is_revoked(tmp_path):
    theirs = {"XDG_CONFIG_HOME": str(tmp_path / "theirs")}
    file = small.write(tmp_path / "study")
    bundle = small.sciflow("compile", file, **theirs).stdout.strip()
    public = json.loads(small.sciflow("key", "ls", "--json", **theirs).stdout)["keys"][0]["public"]
    assert small.sciflow("verify", bundle).returncode == 6
    small.sciflow("key", "trust", "grace", public)
    found = small.sciflow("verify", bundle)
    assert (found.returncode, found.stdout.strip().endswith("sealed by grace")) == (0, True)
    small.sciflow("key", "revoke", public)
    found = small.sciflow("verify", bundle)
    assert (found.returncode, "its key has been revoked" in found.stdout) == (6, True)


@pytest.mark.parametrize("words", [("new", "ada"), ("ls",)])
def test_each_answers_programs_with_one_object(words):
    assert isinstance(json.loads(small.sciflow("key", *words, "--json").stdout), dict)


@pytest.mark.parametrize("verb", [("trust", "grace"), ("revoke",)])
def test_those_that_change_who_is_trusted_answer_with_the_file(verb):
    public = small.sciflow("key", "new", "ada").stdout.strip()
    (file,) = json.loads(small.sciflow("key", *verb, public, "--json").stdout).values()
    assert public in Path(file).read_text()


@pytest.mark.parametrize(
    "words",
    [("new", "../x"), ("new", ""), ("trust", "ada", "ssh-rsa AAAA"), ("trust", "#", "x"), ("revoke", "nothing")],
)
def test_bad_words_are_refused_and_nothing_is_written(words, home):
    found = small.sciflow("key", *words)
    assert (found.returncode, found.stdout, "Traceback" in found.stderr) == (2, "", False)
    assert list(home.rglob("*")) == []
