"""How PostgreSQL reads a batch's keys and then changes the rows, in one snapshot (ADR 7).

Both come as one packed value each: keys of a fixed width as their bytes one after the other, tenants as texts with a
zero byte between them, which no text of PostgreSQL can hold. Aggregates of one query see its rows in one order.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from psycopg.adapt import Transformer
from psycopg.pq import Format
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused, Transient
from lifecycle.stores.sql.dialects import Changed, Typed
from lifecycle.stores.sql.postgresql_types import kind_of

_ARRAYS = {"text", "character varying"}
_SENT = {"smallint": "int2send", "integer": "int4send", "bigint": "int8send", "uuid": "uuid_send"}
_OIDS = {"smallint": 21, "integer": 23, "bigint": 20, "uuid": 2950}
"""The type ids (pg_type, fixed for ever) under which a block of packed keys stands."""

_INTEGERS = {21: "h", 23: "i", 20: "q"}
_WIDTHS = {21: 2, 23: 4, 20: 8, 2950: 16}


def change(
    connection: Connection,
    statement: sa.Delete | sa.Update,
    keys: Sequence[Typed],
    tenant: sa.ColumnElement[Any] | None,
) -> Changed:
    """Read the keys, then change: REPEATABLE READ lets both see the same rows, or fails (SQLSTATE 40001).

    Reading first and changing without RETURNING is faster than any form of RETURNING. The counts are compared all the
    same, for triggers and rules. Tenants are counted here while the server changes.
    """
    driver = connection.connection.driver_connection
    if driver is None:
        raise Transient("the connection is gone")
    with driver.cursor(binary=True) as cursor:
        _execute(connection, cursor, _reading(statement, keys, tenant))
        count, values, oids = _answer(cursor)
        block = b"".join(
            struct.pack("!IQ", *_named(key, oid, raw, count)) + raw
            for key, raw, oid in zip(keys, values, oids, strict=False)
        )
        if not count:
            return Changed(0, block, {})
        tenants: Mapping[str, int] = {}
        with _meanwhile(driver):
            _execute(connection, cursor, statement)
            if tenant is not None:
                tenants = _tenants(values[-1], count, driver.info.encoding)
        if cursor.rowcount != count:
            raise Refused(
                f"{count} rows were due, {cursor.rowcount} were changed: the database interferes",
                guard="rowcount",
                advice="Look for triggers and rules on the table with `lifecycle doctor`.",
            )
    return Changed(count, block, tenants)


@contextmanager
def _meanwhile(driver: psycopg.Connection[Any]) -> Iterator[None]:
    """Let the server work while the body goes on; its answer, or its error, is there when the body has ended."""
    if not psycopg.Pipeline.is_supported():
        yield
        return
    with driver.pipeline():
        yield


def _reading(
    statement: sa.Delete | sa.Update, keys: Sequence[Typed], tenant: sa.ColumnElement[Any] | None
) -> sa.Select[Any]:
    if statement.whereclause is None:
        raise Refused("a change without a predicate is none of ours", guard="predicate")
    picked = [_packed(key) for key in keys]
    if tenant is not None:
        named = sa.func.textsend(sa.cast(tenant, sa.Text()))
        picked.append(sa.func.string_agg(named, sa.literal_column(r"'\x00'::bytea")))
    return sa.select(sa.func.count(), *picked).select_from(statement.table).where(statement.whereclause)


def _packed(key: Typed) -> sa.ColumnElement[Any]:
    kind = kind_of(key.word)
    if kind in _SENT:
        sent = getattr(sa.func, _SENT[kind])(key.expression)
        return sa.func.string_agg(sent, sa.literal_column("''::bytea"))
    return sa.func.array_agg(key.expression if kind in _ARRAYS else sa.cast(key.expression, sa.Text()))


def _execute(connection: Connection, cursor: psycopg.Cursor[Any], statement: sa.ClauseElement) -> None:
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    cursor.execute(compiled.string, compiled.params)


def _answer(cursor: psycopg.Cursor[Any]) -> tuple[int, list[bytes], list[int]]:
    result = cursor.pgresult
    if result is None or result.ntuples != 1:
        raise Transient("the change gave no answer")
    count = int.from_bytes(result.get_value(0, 0) or b"\0")
    columns = range(1, result.nfields)
    return count, [result.get_value(0, n) or b"" for n in columns], [result.ftype(n) for n in columns]


def _named(key: Typed, oid: int, raw: bytes, count: int) -> tuple[int, int]:
    """Return the type id and the length that stand before a column's block."""
    found = _OIDS.get(kind_of(key.word), oid)
    if found in _WIDTHS and len(raw) != count * _WIDTHS[found]:
        raise Refused("a row has no key: it could not be named in the receipt", guard="key")
    return found, len(raw)


def _tenants(raw: bytes, count: int, encoding: str) -> dict[str, int]:
    found = raw.split(b"\0")
    if len(found) != count:
        raise Refused("a row without a tenant was selected for a group", guard="null-tenant")
    return {name.decode(encoding): rows for name, rows in sorted(Counter(found).items())}


def open_keys(block: bytes) -> list[tuple[object, ...]]:
    """Decode a block by its type ids, packed or as arrays; no server is needed."""
    columns: list[Sequence[object]] = []
    loaders = Transformer()
    place = 0
    while place < len(block):
        oid, length = struct.unpack_from("!IQ", block, place)
        raw = block[place + 12 : place + 12 + length]
        columns.append(
            _unpacked(oid, raw) if oid in _WIDTHS or not raw else loaders.get_loader(oid, Format.BINARY).load(raw)
        )
        place += 12 + length
    return list(zip(*columns, strict=True))


def _unpacked(oid: int, raw: bytes) -> Sequence[object]:
    if oid in _INTEGERS:
        return struct.unpack(f"!{len(raw) // _WIDTHS[oid]}{_INTEGERS[oid]}", raw)
    return [UUID(bytes=raw[start : start + 16]) for start in range(0, len(raw), 16)]
