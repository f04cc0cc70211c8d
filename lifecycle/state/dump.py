"""A state as one file that any database of ours can be filled from: for backups, and for moving between databases.

Lines of `KIND JSON`, in UTF-8: `state` (format, schema, size, root), one `entry` per log entry with its exact bytes,
one `record` per register, and `end` (counts, and the SHA-256 of everything before it). What the tree proves is proven
again on the way in; the digest finds accidents in the registers. The format says what the state means, not how a
schema stores it: a migration that changes the meaning makes a new format and still reads this one.

A dump holds what the state holds (ids of tenants, plans, sealed keys): keep it as private and as long as the state.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from lifecycle.core.errors import Corrupt, InvalidDocument, LifecycleError, Refused
from lifecycle.evidence import canonical, merkle
from lifecycle.evidence.entry import MAX_ENTRY, decode_entry
from lifecycle.evidence.errors import EvidenceError
from lifecycle.ports.state import Kind
from lifecycle.state import check as checking
from lifecycle.state import reading
from lifecycle.state.failures import translated
from lifecycle.state.reading import Reader
from lifecycle.state.schema import HEAD
from lifecycle.state.sql import EPOCH, SqlState
from lifecycle.state.transaction import SqlTransaction

FORMAT: Final = "lifecycle-state/v1"
MOST_BYTES: Final = 256 * 1024 * 1024
"""The longest line that is read: a register's body is a document, not a database."""

_ASSIGNED: Final = ("v", "seq", "prev")


@dataclass(frozen=True, slots=True)
class Dumped:
    """What a file holds: entries, their tree's root, registers, and the last writer's epoch."""

    size: int
    root: bytes
    records: int
    epoch: int


def backup(state: SqlState, path: Path) -> Dumped:
    """Write the state into a new file (0600), as of one moment, while others go on reading and writing.

    The state is checked as a whole on the way, and the file is read back; it appears under its name only then.

    Raises:
        Refused: the file exists (guard `already-there`). Corrupt: the state does not fit together. Transient: the
        database or the file failed; no file is left.
    """
    if path.exists():
        raise Refused("the file is there already", guard="already-there", advice="Write each backup into a new file.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with translated(), state.snapshot() as reader, _new(temporary) as stream:
            _write(reader, stream)
            stream.flush()
            os.fsync(stream.fileno())
        dumped = read(temporary)
        with translated():
            # A link: unlike a rename it replaces nothing.
            path.hardlink_to(temporary)
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return dumped


def read(path: Path) -> Dumped:
    """Read a dump and prove it: canonical entries, the tree they make, digest and counts.

    Raises:
        Corrupt: it is none, or torn, or changed. Transient: it cannot be read.
    """
    return _read(path, _Proof())


def restore(state: SqlState, path: Path) -> Dumped:
    """Fill an empty state from a dump, in one transaction: all of it, or nothing.

    Raises:
        Refused: the state holds something already (guard `state-occupied`). Corrupt: the dump does not hold.
    """
    if not path.is_file():
        raise InvalidDocument("there is no backup under that name", advice="Name the file that `db backup` wrote.")
    with state.transaction() as transaction:
        if state.size() or any(True for kind in checking.KINDS for _ in state.items(cast("Kind", kind))):
            raise Refused(
                "the state is not empty; a restore never mixes two histories",
                guard="state-occupied",
                advice="Restore into a new database or file, and point the settings to it.",
            )
        return _read(path, _Fill(transaction))


def _write(reader: Reader, stream: IO[bytes]) -> None:
    whole = checking.check(reader)
    digest = hashlib.sha256()

    def line(kind: bytes, body: bytes) -> None:
        data = kind + b" " + body + b"\n"
        digest.update(data)
        stream.write(data)

    header = {"format": FORMAT, "root": whole.root.hex(), "schema": HEAD, "size": whole.size}
    line(b"state", canonical.encode(header))
    for _, body in reading.entries(reader, 0, whole.size):
        line(b"entry", body)
    for kind in sorted(checking.KINDS):
        for name, body in reading.records(reader, cast("Kind", kind), ""):
            row = {"body": base64.b64encode(body).decode("ascii"), "kind": kind, "name": name}
            line(b"record", json.dumps(row).encode("ascii"))
    end = {"entries": whole.size, "records": whole.records, "sha256": digest.hexdigest()}
    line(b"end", canonical.encode(end))


class _Proof:
    """Takes a dump in and keeps nothing but the tree's right edge."""

    def __init__(self) -> None:
        self.size = self.records = self.epoch = 0
        self._edge: dict[int, bytes] = {}

    def entry(self, body: bytes) -> None:
        decode_entry(body)
        for level, _, value in merkle.new_nodes(self.size, merkle.leaf_hash(body), lambda level, _: self._edge[level]):
            self._edge[level] = value
        self.size += 1

    def record(self, kind: Kind, name: str, body: bytes) -> None:
        self.records += 1
        if (kind, name) == ("setting", EPOCH):
            self.epoch = int(body)

    def root(self) -> bytes:
        return merkle.tree_root(self.size, lambda level, _: self._edge[level])


class _Fill(_Proof):
    """Proves a dump, and appends what it holds; the same bytes must come to be."""

    def __init__(self, transaction: SqlTransaction) -> None:
        super().__init__()
        self._transaction = transaction

    def entry(self, body: bytes) -> None:
        entry = decode_entry(body)
        self._transaction.append({name: value for name, value in entry.items() if name not in _ASSIGNED})
        if self._transaction.newest_leaf() != merkle.leaf_hash(body):
            raise ValueError("another entry came to be")
        super().entry(body)

    def record(self, kind: Kind, name: str, body: bytes) -> None:
        self._transaction.put(kind, name, body)
        super().record(kind, name, body)


def _read(path: Path, sink: _Proof) -> Dumped:
    digest, header = hashlib.sha256(), None
    try:
        with translated(), path.open("rb") as stream:
            while data := stream.readline(MOST_BYTES):
                kind, _, body = data.partition(b" ")
                if kind == b"end":
                    return _finished(sink, header, json.loads(body), digest.hexdigest(), rest=stream.read(1))
                digest.update(data)
                if header is None:
                    header = _header(kind, body)
                else:
                    _take(sink, kind, body)
    except LifecycleError:
        raise
    except (EvidenceError, ValueError, TypeError, KeyError, LookupError):
        # What is wrong may be anything that the file holds: it is not quoted.
        raise _broken(f"line {sink.size + sink.records + 2} does not hold") from None
    raise _broken("it ends too early")


def _header(kind: bytes, body: bytes) -> dict[str, Any]:
    header = json.loads(body) if kind == b"state" else {}
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _broken("it is none, or of a format that this version does not read")
    return header


def _take(sink: _Proof, kind: bytes, body: bytes) -> None:
    if kind == b"entry":
        if len(body) > MAX_ENTRY + 1 or not body.endswith(b"\n"):
            raise ValueError("no whole line")
        sink.entry(body[:-1])
        return
    row = json.loads(body)
    if kind != b"record" or row["kind"] not in checking.KINDS:
        raise ValueError("no kind of line")
    sink.record(row["kind"], row["name"], base64.b64decode(row["body"], validate=True))


def _finished(sink: _Proof, header: dict[str, Any] | None, end: Any, digest: str, *, rest: bytes) -> Dumped:
    root = sink.root()
    if header is None or rest or end != {"entries": sink.size, "records": sink.records, "sha256": digest}:
        raise _broken("its end does not fit what it holds")
    if (header["size"], header["root"]) != (sink.size, root.hex()):
        raise _broken("its entries do not make its tree")
    return Dumped(sink.size, root, sink.records, sink.epoch)


def _broken(what: str) -> Corrupt:
    return Corrupt(
        f"the backup cannot be used: {what}", advice="Use another backup, and find out what changed this one."
    )


def _new(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
