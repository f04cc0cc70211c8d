"""Ed25519 keys: files, fingerprints, and the C2SP signed-note encoding of a public key.

Three keys, three duties: the log's signs checkpoints, the certificate's signs certificates, each operator's signs
approvals. All of them are the same kind of key; what a signature means is fixed by the bytes that are signed.
"""

import base64
import binascii
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lifecycle.evidence.errors import KeyRefused, Malformed

PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_NOTE_ED25519: Final = b"\x01"
_NOTE_HASH_BYTES: Final = 4
_MAX_NAME: Final = 200
_MAX_KEY_FILE: Final = 16 * 1024
_FINGERPRINT_BYTES: Final = 10


def to_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes:
    """The bytes of standard base64, in the only spelling that ``to_base64`` gives.

    Raises:
        Malformed: other alphabets, missing padding, spare bits that are not zero, white space.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError):
        raise Malformed("not base64") from None
    if to_base64(data) != text:
        raise Malformed("not the canonical base64")
    return data


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """The public half of an Ed25519 key."""

    raw: bytes

    def __post_init__(self) -> None:
        """Refuse what cannot be a public key."""
        if len(self.raw) != PUBLIC_BYTES:
            raise Malformed("an Ed25519 public key has 32 bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key from the base64 text that ``public_key`` gives."""
        return cls(from_base64(text))

    @property
    def id(self) -> str:
        """Fingerprint ``k-`` + 16 base32 characters: 80 bits of SHA-256 over the public key."""
        digest = hashlib.sha256(b"lifecycle/key-id/v1\n" + self.raw).digest()
        return "k-" + base64.b32encode(digest[:_FINGERPRINT_BYTES]).decode("ascii").lower()

    @property
    def public_key(self) -> str:
        """Base64 of the 32 bytes: the form of operators and trust files."""
        return to_base64(self.raw)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether this key signed exactly these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


class SigningKey:
    """The private half. Its text forms show the fingerprint only."""

    __slots__ = ("_private", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Wrap a key of ``cryptography``."""
        self._private = private
        self.public = VerifyKey(private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        """The fingerprint: never the secret."""
        return f"SigningKey({self.public.id})"

    @classmethod
    def generate(cls) -> Self:
        """A fresh key from the operating system's random numbers."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key of a 32-byte RFC 8032 seed.

        Raises:
            KeyRefused: another length.
        """
        if len(seed) != PUBLIC_BYTES:
            raise KeyRefused("an Ed25519 seed has 32 bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key from a PKCS #8 PEM file that nobody but its owner can touch.

        Raises:
            KeyRefused: no regular file, a symbolic link, group or world bits, encrypted, or another kind of key.
        """
        data = _read_private(path)
        try:
            private = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # The cause may quote the file.
            raise KeyRefused("not an unencrypted PKCS #8 PEM key") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyRefused("not an Ed25519 key")
        return cls(private)

    def save(self, path: Path) -> None:
        """Write a new file, mode 0600; an existing one is never replaced.

        Raises:
            KeyRefused: the file exists or cannot be written.
        """
        pem = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                # The process's umask may have narrowed the mode further than the owner can read.
                os.fchmod(file.fileno(), 0o600)
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise KeyRefused(f"the key file cannot be written: {error.strerror}") from error

    def sign(self, data: bytes) -> bytes:
        """The 64-byte signature (RFC 8032)."""
        return self._private.sign(data)


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key under a name: who may sign a note, in C2SP signed-note terms."""

    name: str
    key: VerifyKey

    def __post_init__(self) -> None:
        """Refuse a name that a signature line could not carry."""
        check_key_name(self.name)

    @property
    def hash(self) -> bytes:
        """The 4-byte key id of a signature line: SHA-256(name, newline, 0x01, key)[:4]."""
        return hashlib.sha256(self.name.encode() + b"\n" + _NOTE_ED25519 + self.key.raw).digest()[:_NOTE_HASH_BYTES]

    @property
    def text(self) -> str:
        """``name+hash+base64(0x01 || key)``."""
        return f"{self.name}+{self.hash.hex()}+{to_base64(_NOTE_ED25519 + self.key.raw)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key from its note encoding.

        Raises:
            Malformed: another form, another algorithm, or a hash that is not the key's.
        """
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise Malformed("a note key reads name+hash+key")
        data = from_base64(parts[2])
        if data[:1] != _NOTE_ED25519:
            raise Malformed("a note key of another algorithm than Ed25519")
        key = cls(parts[0], VerifyKey(data[1:]))
        if key.hash.hex() != parts[1]:
            raise Malformed("the hash of a note key does not fit its key")
        return key


def check_key_name(name: str) -> None:
    """C2SP signed-note: not empty, no Unicode space, no plus; ours also bounds the length and needs printable text.

    Raises:
        Malformed: the name cannot stand in a signature line.
    """
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable() or "+" in name or any(c.isspace() for c in name):
        raise Malformed("a key name has 1 to 200 printable characters, without spaces and plus")


def is_private(status: os.stat_result) -> bool:
    """Whether nobody but its owner can touch a file, or root hands it read-only to a group of this process.

    The second is how secrets reach a service that is not root: from the kubelet (`fsGroup`) and from systemd
    (`LoadCredential`) they come as root's files of mode 0440. A file of our own must not be open to our group.
    """
    others = stat.S_IMODE(status.st_mode) & 0o077
    return not others or (others == 0o040 and status.st_uid == 0 and os.geteuid() != 0)


def _read_private(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            # Of the opened file, not of the name: nobody can swap it in between.
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KeyRefused("the key file is not a regular file")
            if not is_private(status):
                raise KeyRefused("the key file is open to its group or to the world")
            return file.read(_MAX_KEY_FILE)
    except OSError as error:
        raise KeyRefused(f"the key file cannot be read: {error.strerror}") from error
