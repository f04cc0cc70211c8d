"""Log files: the oldest record that can be inside, and who still writes."""

from __future__ import annotations

import bz2
import lzma
import os
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from lifecycle.core.fileset import Logs
from lifecycle.core.textpattern import moment_of
from lifecycle.stores.files.layout import Layout, Seen, modified
from lifecycle.stores.files.places import is_file, names_of, status_of

HEAD = 65_536
"""How much of a file's beginning is searched for its first record, unpacked."""

_UNREAD = (".zst", ".lz4", ".br", ".zip")
"""Packed in ways that this version does not open: their times of rotation count."""

_GZIP = 31
_OPENERS: Mapping[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.decompressobj(_GZIP),
    ".xz": lzma.LZMADecompressor,
    ".bz2": bz2.BZ2Decompressor,
}
_SERIES = re.compile(r"[0-9]+")
_PACKED = re.compile(r"\.(?:gz|xz|zst|bz2|lz4|br|zip)$")


class Oldest:
    """Reads the oldest time that a log file can hold; remembers one folder's rotations."""

    def __init__(self, layout: Layout) -> None:
        """Take a dataset's layout."""
        self._files = layout.files
        self._layout = layout
        self._folder: tuple[int, int] | None = None
        self._rotations: dict[str, list[int]] = {}

    def __call__(self, seen: Seen) -> datetime | None:
        """Return the first record's time; without a pattern of records, the latest that it can have begun."""
        if not isinstance(self._files, Logs) or not is_file(seen.status):
            return None
        if self._files.record is not None and not seen.name.endswith(_UNREAD):
            return _first_record(seen, self._files.record, self._files.zone)
        return self._by_rotation(seen, self._files)

    def _by_rotation(self, seen: Seen, files: Logs) -> datetime | None:
        ended = modified(seen.status)
        if ended is None:
            return None
        began = ended - timedelta(days=files.every.most_days())
        before = [at for at in self._of_series(seen) if at < seen.status.st_mtime_ns]
        if not before:
            return began
        # Where rotation stood still, the file before this one ended long ago: there this one may begin.
        return min(began, datetime.fromtimestamp(max(before) // 1_000_000_000, UTC))

    def _of_series(self, seen: Seen) -> list[int]:
        folder = os.fstat(seen.parent)
        if self._folder != (folder.st_dev, folder.st_ino):
            self._folder, self._rotations = (folder.st_dev, folder.st_ino), {}
            for name in names_of(seen.parent):
                status = status_of(seen.parent, name)
                if status is not None and self._layout.rotated(os.fsdecode(name)):
                    self._rotations.setdefault(series(os.fsdecode(name)), []).append(status.st_mtime_ns)
        return self._rotations.get(series(seen.name), [])


def series(name: str) -> str:
    """Return what the files of one rotation have in common: numbers and packing left out."""
    return _SERIES.sub("#", _PACKED.sub("", name))


def _first_record(seen: Seen, pattern: str, zone: str | None) -> datetime | None:
    try:
        head = _head(seen)
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return None
    times = (moment_of(pattern, line, zone) for line in head.decode("utf-8", "replace").splitlines())
    return next((time for time in times if time is not None), None)


def _head(seen: Seen) -> bytes:
    descriptor = os.open(seen.path[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=seen.parent)
    with os.fdopen(descriptor, "rb") as file:
        head = file.read(HEAD)
    for suffix, opener in _OPENERS.items():
        if seen.name.endswith(suffix):
            return cast("bytes", opener().decompress(head, HEAD))
    return head


def open_files() -> frozenset[tuple[int, int]]:
    """Return (device, inode) of every file that a process has open, as far as we may see it."""
    found: set[tuple[int, int]] = set()
    with suppress(OSError):
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                found |= _open_in(process / "fd")
    return frozenset(found)


def _open_in(descriptors: Path) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    # A process that ends meanwhile, or that is none of ours, shows nothing.
    with suppress(OSError):
        for descriptor in descriptors.iterdir():
            with suppress(OSError):
                status = descriptor.stat()
                if is_file(status):
                    found.add((status.st_dev, status.st_ino))
    return found
