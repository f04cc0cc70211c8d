"""The queries over our own state, each one bounded: pages instead of open cursors.

A page is read and its connection given back before anything is yielded: an iteration that is abandoned half-way holds
neither a snapshot (which would keep SQLite's WAL growing) nor a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from lifecycle.core.errors import Corrupt
from lifecycle.evidence import merkle
from lifecycle.ports.state import Kind
from lifecycle.state.schema import log_entry, log_node, record

_ENTRIES_A_PAGE: Final = 1_000
_RECORDS_A_PAGE: Final = 200
_HEADS_A_PAGE: Final = 500
Reader = Callable[[], AbstractContextManager[Connection]]


def body_of(connection: Connection, kind: Kind, name: str) -> bytes | None:
    """Return a register's body."""
    found = connection.execute(select(record.c.body).where(record.c.kind == kind, record.c.name == name)).scalar()
    return None if found is None else bytes(found)


def size_of(connection: Connection) -> int:
    """Return the number of entries."""
    last = connection.execute(select(func.max(log_entry.c.entry_index))).scalar()
    return 0 if last is None else int(last) + 1


def heads_of(connection: Connection, tenants: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return (seq, index) of each alias' newest entry; aliases without entries are left out."""
    found: dict[str, tuple[int, int]] = {}
    for start in range(0, len(tenants), _HEADS_A_PAGE):
        page = tenants[start : start + _HEADS_A_PAGE]
        query = (
            select(log_entry.c.tenant, func.max(log_entry.c.seq), func.max(log_entry.c.entry_index))
            .where(log_entry.c.tenant.in_(page))
            .group_by(log_entry.c.tenant)
        )
        found |= {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(query)}
    return found


def node_at(connection: Connection, level: int, index: int) -> bytes:
    """Return the hash of a complete subtree. Raises Corrupt when it is missing."""
    if level == 0:
        query = select(log_entry.c.leaf).where(log_entry.c.entry_index == index)
    else:
        query = select(log_node.c.hash).where(log_node.c.level == level, log_node.c.node_index == index)
    found = connection.execute(query).scalar()
    if found is None or len(found) != merkle.HASH_BYTES:
        raise Corrupt(f"the log's tree lacks node {index} of level {level}")
    return bytes(found)


def entry_at(connection: Connection, index: int) -> bytes:
    """Return one entry's bytes, checked against their leaf hash."""
    row = connection.execute(
        select(log_entry.c.body, log_entry.c.leaf).where(log_entry.c.entry_index == index),
    ).first()
    if row is None:
        raise Corrupt(f"entry {index} is missing from the log")
    return checked(index, row[0], row[1])


def checked(index: int, body: object, leaf: object) -> bytes:
    """Return the body if it hashes to its leaf. Raises Corrupt otherwise."""
    if body is None:
        raise Corrupt(f"the body of entry {index} is no longer there")
    if not isinstance(body, bytes | bytearray | memoryview) or not isinstance(leaf, bytes | bytearray | memoryview):
        raise Corrupt(f"entry {index} is not stored as bytes")
    whole = bytes(body)
    if merkle.leaf_hash(whole) != bytes(leaf):
        raise Corrupt(f"entry {index} does not match its leaf hash")
    return whole


def entries(reader: Reader, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """Yield (index, bytes) of start..stop in order; a gap raises Corrupt."""
    expected = start
    while expected < stop:
        upto = min(expected + _ENTRIES_A_PAGE, stop)
        inside = (log_entry.c.entry_index >= expected) & (log_entry.c.entry_index < upto)
        for index, body in _page(reader, inside):
            if index != expected:
                raise Corrupt(f"entry {expected} is missing from the log")
            yield index, body
            expected += 1
        if expected != upto:
            raise Corrupt(f"entry {expected} is missing from the log")


def entries_where(reader: Reader, condition: ColumnElement[bool]) -> Iterator[tuple[int, bytes]]:
    """Yield the entries that meet the condition, in order."""
    after = -1
    while True:
        page = _page(reader, condition & (log_entry.c.entry_index > after))
        yield from page
        if len(page) < _ENTRIES_A_PAGE:
            return
        after = page[-1][0]


def _page(reader: Reader, condition: ColumnElement[bool]) -> list[tuple[int, bytes]]:
    query = (
        select(log_entry.c.entry_index, log_entry.c.body, log_entry.c.leaf)
        .where(condition)
        .order_by(log_entry.c.entry_index)
        .limit(_ENTRIES_A_PAGE)
    )
    with reader() as connection:
        rows = connection.execute(query).all()
    return [(int(index), checked(int(index), body, leaf)) for index, body, leaf in rows]


def records(reader: Reader, kind: Kind, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, body) of the names that begin with the prefix, in name order."""
    # Names order by code point, so those with the prefix lie together and begin at the prefix itself.
    beyond = record.c.name >= prefix
    while True:
        query = (
            select(record.c.name, record.c.body)
            .where(record.c.kind == kind, beyond)
            .order_by(record.c.name)
            .limit(_RECORDS_A_PAGE)
        )
        with reader() as connection:
            rows = connection.execute(query).all()
        for name, body in rows:
            if not name.startswith(prefix):
                return
            yield name, bytes(body)
        if len(rows) < _RECORDS_A_PAGE:
            return
        beyond = record.c.name > rows[-1][0]
