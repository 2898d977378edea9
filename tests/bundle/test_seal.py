"""Keys and seals, held to the tools of others: OpenSSL, OpenSSH and securesystemslib."""

import base64
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from sciflow.bundle import seal
from sciflow.errors import SurroundingsError, UsageError
from sciflow.plan.commit import Commit
from sciflow.runner import names, verdict
from tests import small

MANIFEST = b'{"files":[],"format":1,"kind":"bundle","name":"x"}'


def run(*words):
    return subprocess.run(
        [str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def needs(tool):
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


def made_by_openssh(folder, *words, kind="ed25519", passphrase=""):
    file = folder / f"id_{kind}"
    found = run("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "ada@home", "-f", file, *words)
    assert found.returncode == 0, found.stderr
    return file


def test_a_new_key_is_for_its_owner_alone():
    assert seal.new().file.stat().st_mode & 0o777 == 0o600
    assert seal.key_file("default").parent.stat().st_mode & 0o777 == 0o700


def test_a_new_key_reads_back_the_same():
    assert seal.new("ada").public == seal.load("ada").public


def test_a_new_key_is_trusted_under_its_name():
    made = seal.new("ada")
    assert verdict.trusted(seal.home() / "allowed_signers", verdict.utc()) == {made.public: ("ada", None)}


def test_a_key_is_not_made_twice():
    seal.new("ada")
    with pytest.raises(UsageError, match="a key named `ada` stands already"):
        seal.new("ada")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../ada", "a/b", "a b", "#ada", "-ada", "*", 'a"b', "a\nb", "a,b", "!a"]
)
def test_a_name_that_could_be_something_else_is_refused_before_anything_is_written(name):
    with pytest.raises(UsageError, match="one plain word"):
        seal.new(name)
    assert not seal.home().exists()


def test_the_first_compile_makes_the_default_key_and_the_next_takes_it():
    first, made = seal.own(None)
    second, made_again = seal.own(None)
    assert (made, made_again, first.public) == (True, False, second.public)


def test_keys_are_listed_by_name():
    seal.new("bob")
    seal.new("ada")
    found = seal.keys()
    assert [made.file.stem for made in found] == ["ada", "bob"]


def test_without_keys_the_list_is_empty():
    assert seal.keys() == []


def test_a_key_that_is_not_there_is_named_with_the_way_to_one():
    with pytest.raises(SurroundingsError, match=r"ada\.pem. cannot be read: No such file") as caught:
        seal.load("ada")
    assert "sciflow key new" in caught.value.hint


def test_a_key_is_also_found_by_its_file(tmp_path):
    made = seal.new("ada")
    shutil.copyfile(made.file, tmp_path / "elsewhere.pem")
    assert seal.load(str(tmp_path / "elsewhere.pem")).public == made.public


@pytest.mark.parametrize(
    "text", ["", "no key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "-----BEGIN PRIVATE KEY-----\n"]
)
def test_a_file_that_is_no_key_is_named(tmp_path, text):
    (tmp_path / "k").write_text(text)
    with pytest.raises(SurroundingsError, match="is no private key that can be read"):
        seal.load(str(tmp_path / "k"))


def test_a_folder_is_no_key(tmp_path):
    with pytest.raises(SurroundingsError, match="cannot be read: Is a directory"):
        seal.load(str(tmp_path))


@needs("ssh-keygen")
def test_a_key_made_by_openssh_is_taken(tmp_path):
    file = made_by_openssh(tmp_path)
    public = file.with_suffix(".pub").read_text().split()[1]
    assert seal.load(str(file)).line == f"ssh-ed25519 {public}"


@needs("ssh-keygen")
def test_an_rsa_key_is_refused_with_the_kind_that_is_wanted(tmp_path):
    file = made_by_openssh(tmp_path, "-b", "2048", kind="rsa")
    with pytest.raises(SurroundingsError, match="is a key of another kind") as caught:
        seal.load(str(file))
    assert "Ed25519" in caught.value.hint


@needs("ssh-keygen")
def test_a_key_with_a_passphrase_is_refused(tmp_path):
    file = made_by_openssh(tmp_path, passphrase="secret")  # noqa: S106  a key of this test alone
    with pytest.raises(SurroundingsError, match="is no private key that can be read") as caught:
        seal.load(str(file))
    assert "without a passphrase" in caught.value.hint


@needs("openssl")
def test_a_pem_key_with_a_passphrase_is_refused(tmp_path):
    made = run("openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", tmp_path / "k")
    assert made.returncode == 0, made.stderr
    with pytest.raises(SurroundingsError, match="is no private key that can be read"):
        seal.load(str(tmp_path / "k"))


@needs("ssh-keygen")
def test_the_fingerprint_is_the_one_openssh_gives(tmp_path):
    made = seal.new("ada")
    (tmp_path / "ada.pub").write_text(made.line + "\n")
    assert run("ssh-keygen", "-l", "-f", tmp_path / "ada.pub").stdout.split()[1] == made.fingerprint


@needs("ssh-keygen")
def test_openssh_reads_the_file_of_trusted_signers(tmp_path):
    file = made_by_openssh(tmp_path)
    allowed = seal.trust(file.with_suffix(".pub").read_text(), "ada")
    (tmp_path / "data").write_text("data")
    assert run("ssh-keygen", "-Y", "sign", "-f", file, "-n", verdict.NAMESPACE, tmp_path / "data").returncode == 0
    with (tmp_path / "data").open() as data:
        words = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "ada", "-n", verdict.NAMESPACE]
        found = subprocess.run([*words, "-s", tmp_path / "data.sig"], stdin=data, capture_output=True, check=False)
    assert found.returncode == 0, found.stderr


@needs("openssl")
def test_openssl_accepts_the_signature_over_what_dsse_says_is_signed(tmp_path):
    made = seal.new("ada")
    envelope = json.loads(seal.seal(MANIFEST, "x", made)[1])
    payload = base64.b64decode(envelope["payload"])
    signed = b"DSSEv1 %d %s %d %s" % (
        len(envelope["payloadType"]),
        envelope["payloadType"].encode(),
        len(payload),
        payload,
    )
    (tmp_path / "signed").write_bytes(signed)
    (tmp_path / "mark").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    words = ["openssl", "pkeyutl", "-verify", "-rawin", "-inkey", made.file]
    found = run(*words, "-in", tmp_path / "signed", "-sigfile", tmp_path / "mark")
    assert found.returncode == 0, found.stdout + found.stderr


@needs("openssl")
def test_openssl_refuses_the_signature_over_anything_else(tmp_path):
    made = seal.new("ada")
    envelope = json.loads(seal.seal(MANIFEST, "x", made)[1])
    (tmp_path / "signed").write_bytes(base64.b64decode(envelope["payload"]))
    (tmp_path / "mark").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    words = ["openssl", "pkeyutl", "-verify", "-rawin", "-inkey", made.file]
    assert run(*words, "-in", tmp_path / "signed", "-sigfile", tmp_path / "mark").returncode != 0


def test_another_librarys_verifier_accepts_the_envelope_and_finds_the_key_by_its_id():
    made = seal.new("ada")
    public = {"public": made.public.hex()}
    envelope = Envelope.from_dict(json.loads(seal.seal(MANIFEST, "x", made)[1]))
    key = SSlibKey(verdict.key_id(made.public), "ed25519", "ed25519", public)
    assert list(envelope.verify([key], 1)) == [key.keyid]


def test_the_statement_says_which_manifest_it_is_over():
    statement = json.loads(base64.b64decode(json.loads(seal.seal(MANIFEST, "x", seal.new())[1])["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "manifest.json", "digest": {"sha256": names.digest(MANIFEST)}}]


def test_the_statement_says_where_the_code_stood_in_git():
    said = json.loads(seal.seal(MANIFEST, "x", seal.new(), Commit(id="a" * 40, clean=True))[1])
    statement = json.loads(base64.b64decode(said["payload"]))
    assert statement["predicate"]["code"] == {"commit": "a" * 40, "clean": True}


def test_the_statement_says_where_the_code_s_repository_is_had_from():
    stood = Commit(id="a" * 40, clean=True, remote="https://example.org/a.git")
    statement = json.loads(base64.b64decode(json.loads(seal.seal(MANIFEST, "x", seal.new(), stood)[1])["payload"]))
    assert statement["predicate"]["code"]["remote"] == "https://example.org/a.git"


def test_the_same_key_seals_the_same_manifest_with_the_same_bytes():
    made = seal.new()
    assert seal.seal(MANIFEST, "x", made) == seal.seal(MANIFEST, "x", made)


def test_a_seal_is_named_for_its_key():
    made = seal.new()
    assert seal.seal(MANIFEST, "x", made)[0] == f"seals/{verdict.key_id(made.public)[:16]}.dsse.json"


def test_a_trusted_key_is_written_once():
    made = seal.new("ada")
    assert seal.trust(made.line + " a comment", "ada").read_text().count(made.line) == 1


def test_a_name_that_ends_like_another_is_another():
    made = seal.new("xada")
    seal.trust(made.line, "ada")
    assert (seal.home() / "allowed_signers").read_text().count("\nada ") == 1


def test_a_line_without_its_end_is_not_run_into_the_next():
    made = seal.new("ada")
    file = seal.home() / "allowed_signers"
    file.write_text(file.read_text().rstrip("\n"))
    seal.trust(made.line, "bob")
    assert [line.split()[0] for line in file.read_text().splitlines()] == ["ada", "bob"]


@pytest.mark.parametrize("name", ["", "a b", "#ada", "a*", 'a"', "-x", "a\tb"])
def test_a_signer_is_named_by_one_plain_word(name):
    made = seal.new("ada")
    with pytest.raises(UsageError, match="one plain word"):
        seal.trust(made.line, name)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 !!!!",
        "ssh-rsa AAAA",
        "AAAA",
        "ssh-ed25519 " + "A" * 68,
    ],
)
def test_what_is_no_public_key_is_neither_trusted_nor_revoked(line):
    for verb in (lambda: seal.trust(line, "ada"), lambda: seal.revoke(line)):
        with pytest.raises(UsageError, match="a public key reads `ssh-ed25519 AAAA…`"):
            verb()
    assert not seal.home().exists()


def test_a_revoked_key_counts_no_more(tmp_path):
    from sciflow import api

    bundle = small.compiled(tmp_path)
    assert api.verify(bundle).code == 0
    seal.revoke(seal.load().line)
    assert api.verify(bundle).code == 6
    assert "its key has been revoked" in "\n".join(api.verify(bundle).lines())


def test_of_many_first_compiles_at_once_all_take_the_same_key():
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: seal.own(None), range(16)))
    assert len({made.public for made, _ in found}) == 1
    assert sum(fresh for _, fresh in found) == 1


def test_of_many_who_are_trusted_at_once_none_is_left_out():
    line = seal.new("first").line
    names = [f"somebody{number}" for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        [file] = set(pool.map(lambda name: seal.trust(line, name), names))
    assert sorted(entry.split()[0] for entry in file.read_text().splitlines()) == sorted(["first", *names])
