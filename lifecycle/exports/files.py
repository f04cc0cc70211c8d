"""Files of an export: private, never through a link, whole or not there."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lifecycle.core.errors import Refused, Transient


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a new file under a temporary name beside it; it appears, durable and 0600, when the context ends well.

    Raises:
        Refused: something of that name is there (guard `already-there`).
        Transient: the file system refused; nothing is left.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        if os.path.lexists(path):
            raise _taken()
        # One killed half-way may have left its part: it is worth nothing to anybody.
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # Unlike a rename, a link never replaces what has come meanwhile.
            os.link(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError:
        raise _taken() from None
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "EIO")
        raise Transient(
            f"the export could not be written ({name}); nothing is left of it",
            advice="Check space and rights of the export's folder, then export again.",
        ) from None


@contextmanager
def spool(folder: Path) -> Iterator[IO[bytes]]:
    """Give a file without a name in the folder: it is gone with the process, however that ends."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield file


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _taken() -> Refused:
    return Refused(
        "a file of this name is already there",
        guard="already-there",
        advice="Exports never replace one another: choose another name, or delete the old package first.",
    )
