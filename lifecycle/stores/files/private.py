"""Our own folder below a root: fence, mirrors, receipts, and the place where files wait until their batch is decided.

Each file is written whole under another name, made durable, and renamed. A lock beside them orders us: a batch holds it
shared from the look at the fence until its files have gone; whoever changes fence, holds or tenants holds it alone.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from lifecycle.core.errors import Refused, Transient
from lifecycle.ports.clock import Clock, SystemClock
from lifecycle.ports.store import Fence, HoldRow, Receipt
from lifecycle.stores.files.places import OWN, Root, names_of, status_of

TRASH, STRANDED, RECEIPTS, COVERED = b"trash", b"stranded", b"receipts", b"covered"
_LOCK, _FENCE, _TENANTS = b"lock", b"fence.json", b"tenants.json"
_FOLDERS = (TRASH, STRANDED, RECEIPTS, COVERED)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Kept:
    """The fence's file: whose the target is, its own identity, the epoch, the stop, the holds and their version."""

    deployment: str
    identity: str
    epoch: int = 0
    hold_version: int = 0
    stopped: bool = False
    checkpoint: str | None = None
    holds: tuple[HoldRow, ...] = ()

    def fence(self) -> Fence:
        """Return it as the seam names it."""
        return Fence(self.deployment, self.epoch, self.hold_version, self.stopped, self.checkpoint)


class Private:
    """Our folder of one root."""

    def __init__(self, root: Root, clock: Clock | None = None) -> None:
        """Take the root; nothing is opened yet."""
        self._root = root
        self._clock = clock or SystemClock()

    def prepare(self, deployment: str) -> None:
        """Make what is missing. Raises Refused when it is another deployment's, or not ours alone."""
        with self._root.opened() as root:
            _folder(root, OWN)
            with self.opened() as own:
                for name in _FOLDERS:
                    _folder(own, name)
                with suppress(FileExistsError):
                    os.close(os.open(_LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=own))
        with self.locked(alone=True) as own:
            kept = _read(own, _FENCE)
            if kept is None:
                _write(own, _FENCE, _plain(Kept(deployment, secrets.token_hex(16))))
                _write(own, _TENANTS, {})
            elif kept["deployment"] != deployment:
                raise Refused("the target belongs to another deployment", guard="deployment")

    def prepared(self) -> bool:
        """Tell whether the fence is there."""
        with self._root.opened() as root:
            if status_of(root, OWN) is None:
                return False
        with self.opened() as own:
            return status_of(own, _FENCE) is not None

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Open the folder. Raises Refused when it is not there, or others may write into it."""
        with self._root.opened() as root:
            if status_of(root, OWN) is None:
                raise unprepared()
            own = os.open(OWN, _FOLDER, dir_fd=root)
        try:
            status = os.fstat(own)
            if status.st_uid not in {os.geteuid(), 0} or stat.S_IMODE(status.st_mode) & 0o077:
                fix = "Let it belong to the service's user with mode 0700; whoever writes there decides what is held."
                raise Refused("our folder in the target is open to others", guard="private", advice=fix)
            yield own
        finally:
            os.close(own)

    @contextmanager
    def locked(self, *, alone: bool, timeout_ms: int = 10_000) -> Iterator[int]:
        """Hold the lock; shared with other batches, or alone. Raises Transient when that takes too long."""
        with self.opened() as own:
            try:
                lock = os.open(_LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=own)
            except FileNotFoundError:
                raise unprepared() from None
            try:
                self._wait(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, timeout_ms / 1000)
                yield own
            finally:
                # Closing releases: nobody else has this descriptor.
                os.close(lock)

    def _wait(self, lock: int, how: int, seconds: float) -> None:
        began, pause = self._clock.monotonic(), threading.Event()
        while True:
            try:
                fcntl.flock(lock, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock.monotonic() - began > seconds:
                    raise Transient("the target's lock is held by another process for too long") from None
                pause.wait(_PAUSE_SECONDS)
            else:
                return


def unprepared() -> Refused:
    """Return the refusal of a target without our folder."""
    fix = "Run `lifecycle store prepare STORE --run`."
    return Refused("the target is not prepared", guard="not-prepared", advice=fix)


def kept_of(own: int) -> Kept:
    """Read the fence. Raises Refused when it is not there or not whole: then everything is held (I7)."""
    found = _read(own, _FENCE)
    if found is None:
        raise unprepared()
    try:
        return Kept(**{**found, "holds": tuple(HoldRow(*row) for row in found["holds"])})
    except (TypeError, KeyError):
        raise _unreadable() from None


def keep(own: int, kept: Kept) -> None:
    """Write the fence."""
    _write(own, _FENCE, _plain(kept))


def with_holds(kept: Kept, rows: Sequence[HoldRow]) -> Kept:
    """Return the fence with these holds; the version rises when anything changed."""
    if set(rows) == set(kept.holds):
        return kept
    return replace(kept, holds=tuple(rows), hold_version=kept.hold_version + 1)


def tenants_of(own: int) -> dict[str, str]:
    """Read the mirror of tenants."""
    found = _read(own, _TENANTS)
    if found is None:
        raise unprepared()
    if not isinstance(found, dict) or not all(isinstance(group, str) for group in found.values()):
        raise _unreadable()
    return found


def keep_tenants(own: int, groups: Mapping[str, str]) -> None:
    """Write the mirror of tenants."""
    _write(own, _TENANTS, dict(groups))


def receipt_of(own: int, batch: str) -> Receipt | None:
    """Read a receipt, covered or not."""
    for folder in (RECEIPTS, COVERED):
        with inside(own, folder) as descriptor:
            body = _read(descriptor, _name(batch))
        if body is not None:
            sealed = None if body["sealed"] is None else base64.b64decode(body["sealed"])
            return Receipt(batch, body["state"], body["deleted"], body["kept"], digest=body["digest"], sealed=sealed)
    return None


def keep_receipt(own: int, receipt: Receipt) -> None:
    """Write a receipt: from here on the batch is decided."""
    body = {
        "state": receipt.state,
        "deleted": receipt.deleted,
        "kept": dict(receipt.kept),
        "digest": receipt.digest,
        "sealed": None if receipt.sealed is None else base64.b64encode(receipt.sealed).decode(),
    }
    with inside(own, RECEIPTS) as descriptor:
        _write(descriptor, _name(receipt.batch), body)


def uncovered(own: int) -> list[str]:
    """Return the ids of the receipts that no checkpoint covers, in order."""
    with inside(own, RECEIPTS) as descriptor:
        return sorted(os.fsdecode(name).removesuffix(".json") for name in names_of(descriptor) if name[-5:] == b".json")


def cover(own: int, batch: str) -> None:
    """Mark a receipt as covered. Its sealed list is in our state by now, and is left out here."""
    with inside(own, RECEIPTS) as source, inside(own, COVERED) as target:
        body = _read(source, _name(batch))
        if body is not None:
            _write(target, _name(batch), {**body, "sealed": None})
            os.unlink(_name(batch), dir_fd=source)
            os.fsync(source)


@contextmanager
def inside(own: int, name: bytes) -> Iterator[int]:
    """Open a folder below ours."""
    descriptor = os.open(name, _FOLDER, dir_fd=own)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _name(batch: str) -> bytes:
    if not batch or not all(c.isalnum() or c in "-_." for c in batch) or batch.startswith("."):
        raise Refused("a batch has an id of letters, digits and hyphens", guard="batch")
    return f"{batch}.json".encode()


def trash_name(batch: str) -> bytes:
    """Return the name of the folder in which a batch's files wait."""
    return _name(batch).removesuffix(b".json")


def _folder(parent: int, name: bytes) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
        os.fsync(parent)


def _plain(kept: Kept) -> dict[str, Any]:
    return {**asdict(kept), "holds": [[row.hold, row.tenant, row.dataset] for row in kept.holds]}


def _read(folder: int, name: bytes) -> Any:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        body = file.read()
    try:
        return json.loads(body)
    except ValueError:
        raise _unreadable() from None


def _unreadable() -> Refused:
    fix = "Restore our folder's file from backup, or make it anew: `lifecycle store prepare` after removing it."
    return Refused("a file of ours in the target cannot be read", guard="mirror", advice=fix)


def _write(folder: int, name: bytes, body: Any) -> None:
    partial = b".new-" + name
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(partial, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(json.dumps(body, separators=(",", ":"), sort_keys=True).encode())
        file.flush()
        os.fsync(file.fileno())
    os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
