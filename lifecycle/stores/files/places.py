"""Ways to folders: each component opened by itself, no link followed, no other file system entered.

Paths are tuples of names as bytes. In cursors, lists and on screens they stand percent-encoded: every byte survives,
and control characters, newlines and what is no UTF-8 are shown escaped.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.core.fileset import PRIVATE

Path = tuple[bytes, ...]

OWN = PRIVATE.encode()
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOREPLACE = 1
_AT_A_TIME = 10_000
VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""What a name answers that went, or became something else, since it was listed."""

_NOT_OURS = frozenset({errno.EACCES, errno.EPERM})


class ElsewhereError(OSError):
    """A folder on another file system: it is not entered."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a file from a later one of its name."""

    device: int
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """Read it from a file's status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def quoted(path: Path) -> str:
    """Return the path as text from which its bytes can be had again."""
    return "/".join(quote_from_bytes(name, safe=" !#$&'()*+,-.:;<=>?@[]^_`{|}~") for name in path)


def unquoted(text: str) -> Path:
    """Return the path of such a text."""
    return tuple(unquote_to_bytes(name) for name in text.split("/"))


def folder_of(table: str) -> Path:
    """Return the path of a dataset's folder below the root."""
    return () if table == "." else tuple(name.encode() for name in table.split("/"))


class Root:
    """The folder that a store's address names."""

    def __init__(self, path: str) -> None:
        """Take an absolute path; nothing is opened yet."""
        self.path = os.fsencode(path)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Open the root itself."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def folder(self, path: Path) -> Iterator[int]:
        """Open a folder below the root, component by component. Raises ElsewhereError on another file system."""
        with self.opened() as root:
            device = os.fstat(root).st_dev
            descriptor = os.dup(root)
            try:
                for name in path:
                    descriptor = _down(descriptor, name, device)
                yield descriptor
            finally:
                os.close(descriptor)


def _down(descriptor: int, name: bytes, device: int) -> int:
    """Return the folder's descriptor and close its parent's; on an error the parent's is left to the caller."""
    below = open_below(descriptor, name, device)
    os.close(descriptor)
    return below


def open_below(parent: int, name: bytes, device: int) -> int:
    """Open one folder. Raises ElsewhereError on another file system, OSError for a link or what is no folder."""
    descriptor = os.open(name, _FOLDER, dir_fd=parent)
    if os.fstat(descriptor).st_dev != device:
        os.close(descriptor)
        raise ElsewhereError(errno.EXDEV, "another file system")
    return descriptor


def names_in_order(descriptor: int, first: bytes | None = None) -> Iterator[bytes]:
    """Yield a folder's names in the order of their bytes, from one on; memory is bounded, whatever the folder.

    A folder larger than a piece is read again for each further piece.
    """
    least = first or b""
    while True:
        piece = _least(descriptor, least)
        yield from piece
        if len(piece) < _AT_A_TIME:
            return
        # The next possible name: no name holds a zero byte.
        least = piece[-1] + b"\0"


def _least(descriptor: int, least: bytes) -> list[bytes]:
    found: list[bytes] = []
    for name in names_of(descriptor):
        if name >= least:
            found.append(name)
            if len(found) >= 4 * _AT_A_TIME:
                found.sort()
                del found[_AT_A_TIME:]
    found.sort()
    return found[:_AT_A_TIME]


def names_of(descriptor: int) -> Iterator[bytes]:
    """Yield a folder's names in no order, each read from the beginning."""
    again = os.open(b".", _FOLDER, dir_fd=descriptor)
    try:
        with os.scandir(again) as entries:
            for entry in entries:
                yield os.fsencode(entry.name)
    finally:
        os.close(again)


def status_of(descriptor: int, name: bytes) -> os.stat_result | None:
    """Return the status of a name, a link's own; None when it has gone."""
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    return None


def is_folder(status: os.stat_result) -> bool:
    """Tell whether it is a folder."""
    return stat.S_ISDIR(status.st_mode)


def is_file(status: os.stat_result) -> bool:
    """Tell whether it is a regular file: no link, pipe, socket or device."""
    return stat.S_ISREG(status.st_mode)


def move_back(source: int, name: bytes, target: int, wanted: bytes) -> bool:
    """Give a file its name back; never over one that is there. False when the name is taken or its folder gone."""
    try:
        _rename_without_replacing(source, name, target, wanted)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOENT}:
            return False
        raise
    return True


def _rename_without_replacing(source: int, name: bytes, target: int, wanted: bytes) -> None:
    call = _renameat2()
    if call is not None:
        if call(source, name, target, wanted, _NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number not in {errno.EINVAL, errno.ENOSYS}:
            raise OSError(number, os.strerror(number))
    # The file system knows no such rename: a link never replaces either.
    os.link(name, wanted, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    os.unlink(name, dir_fd=source)


@cache
def _renameat2() -> ctypes._NamedFuncPointer | None:
    found: ctypes._NamedFuncPointer | None = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return found


def sync(descriptors: Iterable[int]) -> None:
    """Make what was renamed in these folders durable."""
    for descriptor in descriptors:
        os.fsync(descriptor)


def translated(error: OSError) -> LifecycleError:
    """Turn an error of the file system into ours; no path is in it (I23)."""
    word = errno.errorcode.get(error.errno or 0, "EIO")
    if error.errno in _NOT_OURS:
        fix = "Give the service's user the rights that `lifecycle doctor` names."
        return Refused(f"the file system refuses us ({word})", guard="privilege", advice=fix)
    if error.errno in VANISHED:
        fix = "Compare the inventory's folders with what is there (`lifecycle coverage`)."
        return Refused(f"a folder of the inventory is not there ({word})", guard="schema", advice=fix)
    return Transient(f"the file system failed ({word})")
