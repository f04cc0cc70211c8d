"""Fresh eyes: another walk, over all of a dataset's folder, with other code and descriptors of its own (I35).

Nothing here is shared with what selects and deletes but the layout of the inventory's words and the private folder.
"""

from __future__ import annotations

import bz2
import errno
import lzma
import os
import stat
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from lifecycle.core.errors import Refused
from lifecycle.core.fileset import Documents, Logs
from lifecycle.core.inventory import Dataset
from lifecycle.core.selection import Before, Bound, GroupScope, TenantScope, WholeScope
from lifecycle.core.textpattern import day_of, fits, moment_of
from lifecycle.ports.store import HoldRow, Oddities, Residue

_PACKED = frozenset({"gz", "xz", "bz2"})
_CLOSED = ("zst", "lz4", "br", "zip")
_HEAD = 65_536
_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
_BROKEN = (OSError, EOFError, ValueError, OverflowError, lzma.LZMAError, zlib.error)


@dataclass(frozen=True, slots=True)
class Entry:
    """A name below a dataset's folder that is no folder: its path's bytes joined by slashes, and what it is."""

    path: bytes
    status: os.stat_result
    folder: int

    @property
    def name(self) -> bytes:
        """Return its last part."""
        return self.path.rpartition(b"/")[2]


@dataclass(slots=True)
class Eyes:
    """One question to one dataset's folder."""

    root: bytes
    dataset: Dataset
    bound: Bound
    tenants: Mapping[str, str] = field(repr=False)
    holds: Sequence[HoldRow] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what means nothing, as the executor does."""
        selection, by_prefix = self.bound.selection, self.dataset.tenant.by == "prefix"
        if by_prefix == isinstance(selection.scope, WholeScope):
            raise Refused("the scope does not fit the dataset's tenancy", guard="scope")
        if isinstance(selection.scope, TenantScope) and not self.bound.tenant:
            raise Refused("a tenant's scope needs a tenant", guard="empty-tenant")
        if not selection.respect_holds:
            raise Refused("only a count may look past holds", guard="holds")
        if selection.only or selection.unreferenced_by or selection.undone:
            raise Refused("files have no columns, and nothing references them here", guard="conditions")
        if missing := [before.time for before in selection.due if before.time not in self.dataset.times]:
            raise Refused(f"the dataset {self.dataset.id!r} has no time {missing[0]!r}", guard="time")

    def look(self, *, narrow: bool) -> Residue:
        """Count what is left and what is odd."""
        items = undatable = unattributed = nobody = 0
        oldest: date | None = None
        for entry in entries(self.root, self.dataset.table):
            owner = self._owner(entry.path)
            if not self._asked(owner):
                if not isinstance(self.bound.selection.scope, WholeScope) and not narrow:
                    unattributed += owner is not None and owner not in self.tenants
                    nobody += owner is None and self.dataset.tenant.nulls == "refuse"
                continue
            days = self._days(entry)
            if days is None or None in days:
                undatable += 1
            elif not self._held(owner) and all(
                day <= before.day for day, before in zip(days, self.bound.selection.due, strict=True) if day
            ):
                items += 1
                oldest = min(filter(None, (oldest, *days[:1])), default=None)
        return Residue(items, 0, oldest, Oddities(undatable, unattributed, 0, nobody))

    def _owner(self, path: bytes) -> str | None:
        if self.dataset.tenant.by != "prefix":
            return None
        head, _, tail = (self.dataset.tenant.pattern or "").partition("{tenant}")
        if not path.startswith(head.encode()):
            return None
        name, slash, rest = path[len(head.encode()) :].partition(b"/")
        inside = tail.removeprefix("/").encode()
        return os.fsdecode(name) if slash and rest.startswith(inside) and len(rest) > len(inside) else None

    def _asked(self, owner: str | None) -> bool:
        scope = self.bound.selection.scope
        if isinstance(scope, WholeScope):
            return True
        if owner is None:
            return False
        return self.tenants.get(owner) in scope.groups if isinstance(scope, GroupScope) else owner == self.bound.tenant

    def _held(self, owner: str | None) -> bool:
        mine = [hold for hold in self.holds if hold.dataset in {None, self.dataset.id}]
        if self.dataset.tenant.by != "prefix":
            return any(hold.dataset is not None for hold in mine)
        return owner in {hold.tenant for hold in mine}

    def _days(self, entry: Entry) -> list[date | None] | None:
        """Return the days that are asked for; None for what is no file of the dataset's kind."""
        if not stat.S_ISREG(entry.status.st_mode):
            return None
        files, name = self.dataset.files, os.fsdecode(entry.name)
        if isinstance(files, Logs) and not any(fits(pattern, name) for pattern in (*files.active, *files.rotated)):
            return None
        return [self._day(before, entry, name) for before in self.bound.selection.due]

    def _day(self, before: Before, entry: Entry, name: str) -> date | None:
        files, column = self.dataset.files, self.dataset.times[before.time].column
        day: date | None = None
        try:
            if column == "name" and isinstance(files, Documents):
                day = day_of(files.dated or "", name)
            elif column == "oldest" and isinstance(files, Logs):
                first = self._first(entry, files, name)
                day = None if first is None else first.astimezone(ZoneInfo(before.zone)).date()
            else:
                day = datetime.fromtimestamp(entry.status.st_mtime_ns // 10**9, ZoneInfo(before.zone)).date()
        except _BROKEN:
            return None
        return day if day is not None and before.not_before <= day <= before.not_after else None

    def _first(self, entry: Entry, files: Logs, name: str) -> datetime | None:
        ending = name.rpartition(".")[2]
        if files.record is None or ending in _CLOSED:
            return _since_rotation(entry, files)
        descriptor = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=entry.folder)
        with os.fdopen(descriptor, "rb") as raw:
            head = _unpacked(raw.read(_HEAD), ending)
        for line in head.decode("utf-8", "replace").splitlines():
            if (moment := moment_of(files.record, line, files.zone)) is not None:
                return moment
        return None


def _unpacked(head: bytes, ending: str) -> bytes:
    """Return the beginning of what is packed, as far as it can be had."""
    if ending == "gz":
        return zlib.decompressobj(wbits=zlib.MAX_WBITS + 16).decompress(head, _HEAD)
    if ending == "xz":
        return lzma.LZMADecompressor().decompress(head, _HEAD)
    return bz2.BZ2Decompressor().decompress(head, _HEAD) if ending == "bz2" else head


def _since_rotation(entry: Entry, files: Logs) -> datetime:
    """Return when the file can have begun: its rotation's interval before its end, or the end of the file before it."""
    ended = entry.status.st_mtime_ns
    kin = _kin(os.fsdecode(entry.name))
    earlier = 0
    again = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=entry.folder)
    try:
        with os.scandir(again) as beside:
            for other in beside:
                if _kin(other.name) == kin and any(fits(pattern, other.name) for pattern in files.rotated):
                    at = other.stat(follow_symlinks=False).st_mtime_ns
                    earlier = max(earlier, at if at < ended else 0)
    finally:
        os.close(again)
    by_interval = datetime.fromtimestamp(ended // 10**9, UTC) - timedelta(days=files.every.most_days())
    return min(by_interval, datetime.fromtimestamp(earlier // 10**9, UTC)) if earlier else by_interval


def _kin(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    whole = stem if dot and ending in {*_PACKED, *_CLOSED} else name
    found, last = "", ""
    for letter in whole:
        shown = "#" if letter in "0123456789" else letter
        found += "" if shown == last == "#" else shown
        last = shown
    return found


def entries(root: bytes, table: str) -> Iterator[Entry]:
    """Yield everything below a dataset's folder that is no folder, over descriptors opened for this look alone."""
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    stack: list[tuple[int, bytes]] = [(top, b"")]
    try:
        device = os.fstat(top).st_dev
        for part in [] if table == "." else table.encode().split(b"/"):
            stack.append((_enter(stack[-1][0], part), b""))
        yield from _entries(stack[-1][0], b"", device, own=table == ".")
    finally:
        for descriptor, _ in stack:
            os.close(descriptor)


def _entries(folder: int, path: bytes, device: int, *, own: bool) -> Iterator[Entry]:
    with os.scandir(folder) as listing:
        for entry in listing:
            name = os.fsencode(entry.name)
            if own and name == b".lifecycle":
                continue
            here = path + b"/" + name if path else name
            try:
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISDIR(status.st_mode):
                    yield Entry(here, status, folder)
                    continue
                below = _enter(folder, name)
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                    raise
                continue
            try:
                if os.fstat(below).st_dev == device:
                    yield from _entries(below, here, device, own=False)
            finally:
                os.close(below)


def _enter(folder: int, name: bytes) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)


def there(root: bytes, table: str, keys: Collection[str]) -> frozenset[str]:
    """Return the keys under which anything but a folder lies, each looked up from the root again.

    Raises OSError when the dataset's own folder is not there.
    """
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    stack = [top]
    try:
        for part in [] if table == "." else table.encode().split(b"/"):
            stack.append(_enter(stack[-1], part))
        return frozenset(key for key in keys if _lies(stack[-1], os.fsencode(key).split(b"/")))
    finally:
        for descriptor in stack:
            os.close(descriptor)


def _lies(folder: int, path: list[bytes]) -> bool:
    if {b"", b".", b".."} & set(path):
        return False
    here = os.dup(folder)
    try:
        for part in path[:-1]:
            below = _enter(here, part)
            os.close(here)
            here = below
        return not stat.S_ISDIR(os.stat(path[-1], dir_fd=here, follow_symlinks=False).st_mode)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno in _NO_FILE:
            return False
        raise
    finally:
        os.close(here)


def population(root: bytes, table: str) -> int:
    """Count everything that lies below a dataset's folder."""
    return sum(1 for _ in entries(root, table))
