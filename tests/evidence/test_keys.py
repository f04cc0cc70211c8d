"""Keys, their files and their names."""

import os
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from lifecycle.evidence.errors import KeyRefused, Malformed
from lifecycle.evidence.keys import NoteKey, SigningKey, VerifyKey, from_base64, to_base64


def test_a_key_file_is_private_and_gives_the_same_key_back(tmp_path):
    """Saved with mode 0600 whatever the umask, and loaded again."""
    key, path = SigningKey.generate(), tmp_path / "log.pem"
    old = os.umask(0)
    try:
        key.save(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert SigningKey.load(path).public == key.public


def test_an_existing_key_file_is_never_replaced(tmp_path):
    """Overwriting a key would orphan everything it signed."""
    path = tmp_path / "log.pem"
    key = SigningKey.generate()
    key.save(path)
    with pytest.raises(KeyRefused):
        SigningKey.generate().save(path)
    assert SigningKey.load(path).public == key.public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666])
def test_a_key_that_others_can_touch_is_refused(tmp_path, mode):
    """Group and world have no bit at all."""
    path = tmp_path / "log.pem"
    SigningKey.generate().save(path)
    path.chmod(mode)
    with pytest.raises(KeyRefused, match="group or to the world"):
        SigningKey.load(path)


def test_a_key_is_not_read_through_a_link_nor_from_a_pipe_or_folder(tmp_path):
    """What is not a regular file of its own name is refused, without blocking."""
    path = tmp_path / "log.pem"
    SigningKey.generate().save(path)
    link, pipe = tmp_path / "link.pem", tmp_path / "pipe.pem"
    link.symlink_to(path)
    os.mkfifo(pipe, 0o600)
    for other in (link, pipe, tmp_path, tmp_path / "missing.pem"):
        with pytest.raises(KeyRefused):
            SigningKey.load(other)
    with pytest.raises(KeyRefused):
        SigningKey.generate().save(tmp_path / "no" / "folder.pem")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        X25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw")
        ),
    ],
)
def test_another_kind_of_key_is_refused(tmp_path, content):
    """No key, another algorithm, or a password that nobody can type at night."""
    path = tmp_path / "log.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyRefused) as caught:
        SigningKey.load(path)
    assert caught.value.advice()


def test_rfc_8032_test_vector():
    """Section 7.1, test 2: the signature is deterministic."""
    key = SigningKey.from_seed(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert key.public.raw.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = key.sign(b"\x72")
    assert signature.hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert key.public.verify(signature, b"\x72")
    assert not key.public.verify(signature, b"\x73")
    assert not key.public.verify(signature[:-1], b"\x72")


def test_a_key_shows_its_fingerprint_and_nothing_secret():
    """Two keys have two ids; the text of a signing key is its id."""
    one, two = SigningKey.generate(), SigningKey.generate()
    assert one.public.id != two.public.id
    assert repr(one) == f"SigningKey({one.public.id})"
    assert VerifyKey.parse(one.public.public_key) == one.public


def test_impossible_keys_are_refused():
    """Other lengths than 32 bytes."""
    with pytest.raises(Malformed):
        VerifyKey(bytes(31))
    with pytest.raises(KeyRefused):
        SigningKey.from_seed(bytes(31))


def test_a_public_key_that_is_no_point_verifies_nothing():
    """Bytes that are no point of the curve give False, not an error."""
    assert not VerifyKey(b"\xff" * 32).verify(bytes(64), b"")


def test_a_note_key_reads_back_and_its_hash_is_that_of_c2sp():
    """name+hash+base64: PeterNeumann is the example key of Go's note package."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    key = NoteKey.parse(text)
    assert key.text == text
    assert key.hash.hex() == "c74f20a3"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "peterneumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpcSQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter\u2003N+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "x" * 201 + "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_a_note_key_of_another_form_is_refused(text):
    """Every deviation from the encoding is an error."""
    with pytest.raises(Malformed):
        NoteKey.parse(text)


@pytest.mark.parametrize("text", ["QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "Q-==", "ÄÄ==", "QQ==QQ=="])
def test_base64_has_one_spelling(text):
    """Padding, spare bits and alphabet are those of the encoder."""
    with pytest.raises(Malformed):
        from_base64(text)
    assert from_base64(to_base64(b"A")) == b"A"
