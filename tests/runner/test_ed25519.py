"""Our Ed25519 says what another implementation says, and takes no signature in a second form."""

import os

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sciflow.runner.ed25519 import ORDER, P, signed_by

# RFC 8032, §7.1: secret key, public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
MESSAGE = b"what was sealed"


def judged_elsewhere(key, signature, message):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def signed():
    private = Ed25519PrivateKey.generate()
    return private.public_key().public_bytes_raw(), private.sign(MESSAGE)


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_standard_s_own_signatures_hold(key, message, signature):
    assert signed_by(bytes.fromhex(key), bytes.fromhex(signature), bytes.fromhex(message))


def test_another_implementation_s_signatures_hold():
    for size in (0, 1, 63, 64, 65, 1000):
        private, message = Ed25519PrivateKey.generate(), os.urandom(size)
        assert signed_by(private.public_key().public_bytes_raw(), private.sign(message), message)


def test_no_bit_of_a_signature_may_flip():
    key, signature = signed()
    for bit in range(0, 512, 5):
        bent = bytearray(signature)
        bent[bit // 8] ^= 1 << bit % 8
        assert signed_by(key, bytes(bent), MESSAGE) is judged_elsewhere(key, bytes(bent), MESSAGE) is False


def test_no_bit_of_a_key_may_flip():
    key, signature = signed()
    for bit in range(0, 256, 5):
        bent = bytearray(key)
        bent[bit // 8] ^= 1 << bit % 8
        assert not signed_by(bytes(bent), signature, MESSAGE)


def test_no_bit_of_a_message_may_flip():
    key, signature = signed()
    for bit in range(0, 8 * len(MESSAGE), 7):
        bent = bytearray(MESSAGE)
        bent[bit // 8] ^= 1 << bit % 8
        assert not signed_by(key, signature, bytes(bent))


def test_a_signature_has_no_second_form():
    # RFC 8032, §5.1.7: S must be below the group's order, or S + L would be a second signature of the same message.
    key, signature = signed()
    second = signature[:32] + (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")
    assert signed_by(key, second, MESSAGE) is judged_elsewhere(key, second, MESSAGE) is False


@pytest.mark.parametrize("y", [P, P + 1, 2**255 - 1])
def test_a_point_beyond_the_field_is_none(y):
    _, signature = signed()
    assert not signed_by(y.to_bytes(32, "little"), signature, MESSAGE)


def test_a_zero_with_a_sign_is_no_point():
    _, signature = signed()
    assert not signed_by((1 | 1 << 255).to_bytes(32, "little"), signature, MESSAGE)


@pytest.mark.parametrize(("key", "signature"), [(31, 64), (33, 64), (32, 63), (32, 65), (0, 0)])
def test_other_lengths_are_refused(key, signature):
    assert not signed_by(b"\1" * key, b"\1" * signature, MESSAGE)
