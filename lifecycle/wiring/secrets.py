"""Reading secrets: environment, credential directory, or a file that only its owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lifecycle.core.errors import InvalidDocument
from lifecycle.core.inventory import Secret
from lifecycle.core.settings import Address
from lifecycle.evidence.keys import is_private

MOST_BYTES = 16 * 1024


def read(source: Secret | Address, folder: Path, what: str) -> str:
    """Return the secret's text without its final newline.

    Raises:
        InvalidDocument: not there, empty, too long, or readable by others. The message never shows the content.
    """
    if source.env is not None:
        return _checked(os.environ.get(source.env, ""), f"{what}: the environment variable {source.env}")
    if source.credential is not None:
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if directory is None:
            msg = f"{what}: $CREDENTIALS_DIRECTORY is not set"
            raise InvalidDocument(msg, advice="Start the service with LoadCredential, or use env or file.")
        return _checked(_file(Path(directory) / source.credential, what), f"{what}: credential {source.credential}")
    return _checked(_file(folder / (source.file or ""), what), f"{what}: file {source.file}")


def _file(path: Path, what: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or not is_private(status):
                msg = f"{what}: the file is no regular file of mode 0600"
                raise InvalidDocument(msg, advice=f"chmod 600 {path.name}")
            return stream.read(MOST_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        msg = f"{what}: the file cannot be read: {reason}"
        raise InvalidDocument(msg, advice="Name a file of mode 0600 that this user may read.") from None


def _checked(text: str, what: str) -> str:
    value = text.rstrip("\r\n")
    if not value or len(value) > MOST_BYTES or "\n" in value:
        msg = f"{what} is empty, or not one line"
        raise InvalidDocument(msg, advice="Put the address there, on one line.")
    return value
