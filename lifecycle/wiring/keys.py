"""The deployment's keys on disk: two signing keys and three secrets, each in a file of its own, mode 0600."""

from __future__ import annotations

import os
import secrets as random
from pathlib import Path

from lifecycle.core.errors import InvalidDocument
from lifecycle.evidence.errors import EvidenceError
from lifecycle.evidence.keys import SigningKey, is_private
from lifecycle.flow.deployment import Keys

SIGNING = ("log", "certificate")
SECRETS = ("sealing", "commitment", "alias")
BYTES = 32


def create(folder: Path) -> Keys:
    """Make a new set of keys; an existing file is never replaced. Raises InvalidDocument when one is there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    try:
        for name in SIGNING:
            SigningKey.generate().save(folder / f"{name}.pem")
        for name in SECRETS:
            _write(folder / f"{name}.key", random.token_bytes(BYTES))
    except (EvidenceError, FileExistsError) as error:
        msg = f"the keys cannot be made in {folder.name}/: {error.__class__.__name__}"
        raise InvalidDocument(msg, advice="Keys are never replaced. Use an empty folder.") from None
    return load(folder)


def load(folder: Path) -> Keys:
    """Read the keys. Raises InvalidDocument when one is missing, damaged, or readable by others."""
    try:
        log, certificate = (SigningKey.load(folder / f"{name}.pem") for name in SIGNING)
    except EvidenceError as error:
        msg = f"a signing key in {folder.name}/ cannot be used: {error}"
        raise InvalidDocument(msg, advice="Restore the keys from their backup; `chmod 600` them.") from None
    sealing, commitment, alias = (_read(folder / f"{name}.key") for name in SECRETS)
    return Keys(log=log, certificate=certificate, sealing=sealing, commitment=commitment, alias=alias)


def signing_key(path: Path) -> SigningKey:
    """Read an operator's private key. Raises InvalidDocument when it cannot be used."""
    try:
        return SigningKey.load(path)
    except EvidenceError as error:
        msg = f"the key file {path.name} cannot be used: {error}"
        raise InvalidDocument(msg, advice="Name an Ed25519 key file of mode 0600.") from None


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        msg = f"the key {path.name} cannot be read: {error.strerror}"
        raise InvalidDocument(msg, advice="Restore the keys from their backup.") from None
    with os.fdopen(descriptor, "rb") as stream:
        content = stream.read(BYTES + 1)
        if not is_private(os.fstat(descriptor)) or len(content) != BYTES:
            msg = f"the key {path.name} is damaged or readable by others"
            raise InvalidDocument(msg, advice=f"chmod 600 {path.name}, or restore it from its backup.")
        return content
