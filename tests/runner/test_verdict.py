"""A bundle is judged the same by the functions and by verify.py, and its seals by us and by others."""

import base64
import datetime as dt
import json
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from sciflow.bundle.seal import Key, seal
from sciflow.runner import names, verdict
from sciflow.runner.tree import Refused
from tests.runner.conftest import task

NOW = dt.datetime(2030, 1, 1)  # noqa: DTZ001  as `utc` gives it


@pytest.fixture
def found(study):
    return study([task("a", "true")], code={"c.py": "pass\n"})


def the_seal(found):
    (file,) = (found.path / "seals").iterdir()
    return file


def judged(found, trust=None, now=NOW):
    return verdict.judge(str(found.path), trust, now)


# ---- The verdict and its words


def test_a_bundle_that_someone_trusted_has_sealed_is_verified(found, trust):
    said = judged(found, trust(found.key))
    assert (said.code, said.signers) == (0, ["alice"])
    assert said.lines()[-1].startswith(f"verified: {said.files} files")


def test_a_bundle_of_a_stranger_s_is_untrusted(found):
    said = judged(found)
    assert (said.code, said.lines()[-1].split(":")[0]) == (6, "untrusted")


def test_an_unknown_key_is_named_by_its_fingerprint(found):
    assert found.key.fingerprint in judged(found).lines()[0]


def test_a_bundle_without_a_seal_is_untrusted(found):
    the_seal(found).unlink()
    assert judged(found).lines()[-1].endswith("not sealed")


def test_a_change_beats_a_missing_trust(found):
    (found.path / "extra").touch()
    assert judged(found).code == 4


def test_no_more_faults_are_said_than_one_can_read(found):
    for number in range(150):
        (found.path / f"x{number:03}").touch()
    lines = judged(found).lines()
    assert (len(lines), lines[-2]) == (102, "… and 50 more")


def test_a_folder_that_is_not_there_cannot_be_read(tmp_path):
    with pytest.raises(OSError, match="no such folder"):
        verdict.judge(str(tmp_path / "none"))


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"a":"\\ud800"}'])
def test_a_manifest_that_cannot_be_read_is_a_change(found, data):
    (found.path / "manifest.json").write_bytes(data)
    said = judged(found)
    assert (said.code, said.faults[0][0]) == (4, "manifest.json")


def test_a_missing_manifest_is_a_change(found):
    (found.path / "manifest.json").unlink()
    assert judged(found).faults == [("manifest.json", "is missing")]


# ---- Seals


def test_no_byte_of_a_seal_may_flip(found):
    file = the_seal(found)
    whole = file.read_bytes()
    for at in range(0, len(whole), 7):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert [path for path, _ in judged(found).faults] == [f"seals/{file.name}"], at


def test_no_character_of_base64_has_a_second_form(found):
    # The last character before the padding carries bits that a decoder throws away.
    file = the_seal(found)
    document = json.loads(file.read_text())
    signature = document["signatures"][0]["sig"]
    assert signature.endswith("==")
    document["signatures"][0]["sig"] = signature[:-3] + chr(ord(signature[-3]) + 1) + "=="
    assert base64.b64decode(document["signatures"][0]["sig"]) == base64.b64decode(signature)
    file.write_text(names.canonical(document))
    assert judged(found).code == 4


def altered(found, change):
    file = the_seal(found)
    document = json.loads(file.read_text())
    change(document)
    file.write_text(names.canonical(document))
    return [text for _, text in judged(found).faults]


def test_an_extra_key_in_an_envelope_is_refused(found):
    assert altered(found, lambda seal: seal.update(note="x")) == ["is broken: its signature does not hold"]


def test_an_extra_key_beside_a_signature_is_refused(found):
    assert altered(found, lambda seal: seal["signatures"][0].update(cert="x")) == [
        "is broken: its signature does not hold"
    ]


def test_a_second_signature_is_refused(found):
    assert altered(found, lambda seal: seal["signatures"].append(seal["signatures"][0])) == [
        "is not a seal of this format"
    ]


def test_a_seal_of_half_a_character_is_refused(found):
    the_seal(found).write_text('{"payload":"\\ud800"}')
    assert judged(found).code == 4


def test_a_key_that_stands_twice_in_a_seal_is_refused(found):
    file = the_seal(found)
    file.write_text(file.read_text().replace('{"payload":', '{"payload":"","payload":'))
    assert judged(found).faults == [(f"seals/{file.name}", "a key stands twice")]


def test_a_seal_under_another_name_is_refused(found):
    file = the_seal(found)
    file.rename(file.with_name("other.dsse.json"))
    assert judged(found).faults == [("seals/other.dsse.json", "is broken: its signature does not hold")]


def test_a_seal_over_another_manifest_is_refused(found, study):
    path, data = seal(b"another manifest", "t", found.key)
    (found.path / path).write_bytes(data)
    (manifest, seal_fault) = judged(found).faults
    assert manifest == ("manifest.json", "is not the one that was sealed")
    assert (seal_fault[0], "is over another manifest" in seal_fault[1]) == (path, True)


def test_a_folder_among_the_seals_is_a_change(found):
    (found.path / "seals" / "x").mkdir()
    assert judged(found).faults[0][0] == "seals/x"


def test_a_linked_seal_is_a_change(found, tmp_path):
    file = the_seal(found)
    file.rename(tmp_path / "seal")
    file.symlink_to(tmp_path / "seal")
    assert judged(found).code == 4


def test_a_second_seal_by_somebody_trusted_is_enough(found, trust, tmp_path):
    other = Key(private=Ed25519PrivateKey.generate(), file=tmp_path / "k")
    path, data = seal((found.path / "manifest.json").read_bytes(), "t", other)
    (found.path / path).write_bytes(data)
    assert judged(found, trust(other, "bob")).signers == ["bob"]


# ---- The same seal in other hands


def test_securesystemslib_verifies_our_seals(found):
    envelope = Envelope.from_dict(json.loads(the_seal(found).read_text()))
    key = CryptoSigner(found.key.private).public_key
    assert list(envelope.verify([key], 1)) == [key.keyid]


def test_securesystemslib_refuses_what_we_refuse(found, tmp_path):
    envelope = Envelope.from_dict(json.loads(the_seal(found).read_text()))
    stranger = CryptoSigner(Ed25519PrivateKey.generate()).public_key
    with pytest.raises(VerificationError):
        envelope.verify([stranger], 1)


def test_our_key_ids_are_securesystemslib_s(found):
    assert verdict.key_id(found.key.public) == CryptoSigner(found.key.private).public_key.keyid


def test_our_key_ids_are_those_of_a_key_read_from_its_hex(found):
    public = {"public": found.key.public.hex()}
    key = SSlibKey.from_dict(
        verdict.key_id(found.key.public), {"keytype": "ed25519", "scheme": "ed25519", "keyval": public}
    )
    envelope = Envelope.from_dict(json.loads(the_seal(found).read_text()))
    assert envelope.verify([key], 1)


def test_our_bytes_to_sign_are_those_of_the_standard():
    # DSSE 1.0, protocol: its own example.
    assert (
        verdict.pre_authentication("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_our_fingerprints_are_openssh_s(found, tmp_path):
    (tmp_path / "key.pub").write_text(found.key.line + "\n")
    said = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")], capture_output=True, text=True, check=True
    )
    assert found.key.fingerprint in said.stdout


# ---- Whom the reader trusts


def why(found, file):
    """Return the exit code and why the seal does not count."""
    said = judged(found, file)
    return said.code, said.seals[0].why


def test_a_key_trusted_for_something_else_does_not_count(found, trust):
    assert why(found, trust(found.key, options='namespaces="git,file"')) == (
        6,
        "its key is trusted, but not for bundles (namespaces)",
    )


def test_a_key_trusted_for_several_things_counts(found, trust):
    assert judged(found, trust(found.key, options='namespaces="git,sciflow-bundle@v1"')).code == 0


def test_a_key_without_namespaces_does_not_count(found, trust):
    assert why(found, trust(found.key, options=""))[0] == 6


@pytest.mark.parametrize(
    ("until", "code"), [("20300101", 6), ("20300102Z", 0), ("202912312359", 6), ("20300101000001Z", 0)]
)
def test_a_key_counts_until_its_last_day(found, trust, until, code):
    assert (
        judged(found, trust(found.key, options=f'namespaces="sciflow-bundle@v1",valid-before="{until}"')).code == code
    )


@pytest.mark.parametrize(("since", "code"), [("20300101", 0), ("20300102", 6)])
def test_a_key_counts_from_its_first_day(found, trust, since, code):
    assert judged(found, trust(found.key, options=f'namespaces="sciflow-bundle@v1",valid-after="{since}"')).code == code


def test_a_revoked_key_does_not_count(found, trust, tmp_path):
    (tmp_path / "revoked_keys").write_text(f"# gone\n\n{found.key.line}\n")
    assert why(found, trust(found.key)) == (6, "its key has been revoked")


def test_a_key_revoked_in_a_signer_s_line_does_not_count(found, trust, tmp_path):
    file = trust(found.key)
    (tmp_path / "revoked_keys").write_text((tmp_path / "allowed_signers").read_text())
    assert why(found, file) == (6, "its key has been revoked")


def test_a_revocation_that_cannot_be_read_is_no_pass(found, trust, tmp_path):
    (tmp_path / "revoked_keys").write_text("something else\n")
    with pytest.raises(Refused, match="revoked_keys, line 1"):
        judged(found, trust(found.key))


def test_of_two_lines_for_one_key_the_one_that_counts_is_taken(found, trust, tmp_path):
    file = trust(found.key, "old", 'namespaces="sciflow-bundle@v1",valid-before="20200101"')
    with (tmp_path / "allowed_signers").open("a") as stream:
        stream.write(f'new namespaces="sciflow-bundle@v1" {found.key.line}\n')
    assert judged(found, file).signers == ["new"]


def test_comments_and_empty_lines_are_passed_over(found, trust, tmp_path):
    file = trust(found.key)
    whole = (tmp_path / "allowed_signers").read_text()
    (tmp_path / "allowed_signers").write_text("# mine\n\n" + whole)
    assert judged(found, file).code == 0


LINES = {
    "nonsense": "line 1",
    'a namespaces="sciflow-bundle@v1" ssh-rsa AAAA': "line 1",
    'a namespaces="sciflow-bundle@v1" ssh-ed25519 AAA': "no such key",
    'a namespaces="sciflow-bundle@v1" ssh-ed25519 AAAA': "no such key",
    '* namespaces="sciflow-bundle@v1" {key}': "line 1",
    'a namespaces="sciflow-bundle@v1",valid-before="soon" {key}': "`soon` is no date",
}


@pytest.mark.parametrize("line", LINES)
def test_a_malformed_line_of_trust_is_named(found, tmp_path, line):
    (tmp_path / "trust").write_text(line.format(key=found.key.line) + "\n")
    with pytest.raises(Refused, match=LINES[line]):
        judged(found, str(tmp_path / "trust"))


def test_trust_that_is_no_text_is_refused(found, tmp_path):
    (tmp_path / "trust").write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match="UTF-8"):
        judged(found, str(tmp_path / "trust"))


def test_the_reader_s_own_trust_is_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("SCIFLOW_TRUST", "/there")
    assert verdict.default_trust() == "/there"


def test_the_reader_s_own_trust_stands_in_the_configuration_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert verdict.default_trust() == str(tmp_path / "sciflow" / "allowed_signers")
