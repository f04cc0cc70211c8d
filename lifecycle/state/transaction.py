"""One atomic change of log and registers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from lifecycle.core.errors import Corrupt, LifecycleError, Refused, Transient
from lifecycle.evidence import merkle
from lifecycle.evidence.entry import VERSION, encode_entry
from lifecycle.evidence.errors import Malformed
from lifecycle.ports.state import Kind
from lifecycle.ports.store import Json
from lifecycle.state.failures import translated
from lifecycle.state.reading import body_of, heads_of, node_at, size_of
from lifecycle.state.schema import log_entry, log_node, record

_FLUSH_AT: Final = 1_000
_ASSIGNED: Final = frozenset({"v", "seq", "prev"})
_KEY: Final = ("kind", "name")


class SqlTransaction:
    """`lifecycle.ports.state.Transaction` over one connection whose transaction holds the writers' lock.

    After a failure of the database every further call raises Transient, and `finish` too: SQLite may have rolled back
    by itself, and what came after would be kept alone.
    """

    def __init__(self, connection: Connection) -> None:
        """Work on a connection that has begun."""
        self._connection = connection
        self._size: int | None = None
        self._heads: dict[str, tuple[int, int] | None] = {}
        # The newest node of each level is the only one of it that a later append may need.
        self._newest: dict[int, tuple[int, bytes]] = {}
        self._entries: list[dict[str, Any]] = []
        self._nodes: list[dict[str, Any]] = []
        self._failure: LifecycleError | None = None
        self.first: tuple[int, bytes] | None = None

    def append(self, entry: Mapping[str, Json]) -> int:
        """Append one entry; see `lifecycle.ports.state.Transaction`."""
        self._require_whole()
        if _ASSIGNED & entry.keys():
            raise Corrupt("an entry came with v, seq or prev, which the log assigns")
        index = self._next_index()
        tenant = entry.get("tenant")
        head = self._head(tenant) if isinstance(tenant, str) else None
        chain = _chain(tenant, head)
        try:
            body = encode_entry({**entry, "v": VERSION, **chain})
        except Malformed as error:
            raise Corrupt(f"an entry does not fit the log's schema: {error}") from None
        self._keep(index, body, entry, chain["seq"])
        if len(self._entries) >= _FLUSH_AT:
            self._flush()
        return index

    def newest_leaf(self) -> bytes:
        """Return the leaf hash of the entry that was appended last. Only for a transaction that has appended."""
        return self._newest[0][1]

    def expect(self, aliases: Collection[str]) -> None:
        """Read the newest entries of these aliases ahead; see `lifecycle.ports.state.Transaction`."""
        self._require_whole()
        wanted = sorted(set(aliases) - self._heads.keys())
        with self._watched():
            found = heads_of(self._connection, wanted)
        self._heads.update({alias: found.get(alias) for alias in wanted})

    def get(self, kind: Kind, name: str) -> bytes | None:
        """Return a register's body as this transaction sees it."""
        self._require_whole()
        with self._watched():
            return body_of(self._connection, kind, name)

    def put(self, kind: Kind, name: str, body: bytes) -> None:
        """Insert or replace a register's body."""
        self._require_whole()
        insert = sqlite.insert if self._connection.dialect.name == "sqlite" else postgresql.insert
        statement = insert(record).values(kind=kind, name=name, body=body)
        with self._watched():
            self._connection.execute(statement.on_conflict_do_update(index_elements=_KEY, set_={"body": body}))

    def insert(self, kind: Kind, name: str, body: bytes) -> None:
        """Insert a body. The same body again is fine; another one raises Refused (guard `already-there`)."""
        present = self.get(kind, name)
        if present is None:
            with self._watched():
                self._connection.execute(record.insert().values(kind=kind, name=name, body=body))
        elif present != body:
            raise Refused(
                f"a {kind} of this name is already there",
                guard="already-there",
                advice="Look at what is there; give the new one another name, or change the old one on purpose.",
            )

    def remove(self, kind: Kind, name: str) -> None:
        """Remove a body; removing what is not there is fine."""
        self._require_whole()
        with self._watched():
            self._connection.execute(record.delete().where(record.c.kind == kind, record.c.name == name))

    def finish(self) -> None:
        """Write what is still buffered. Raises what broke the transaction, if anything did."""
        self._require_whole()
        self._flush()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Translate a failure of the database, and let nothing follow it."""
        try:
            with translated():
                yield
        except LifecycleError as failure:
            self._failure = self._failure or failure
            raise

    def _require_whole(self) -> None:
        if self._failure is not None:
            raise Transient("this transaction of the state has failed before; nothing of it was kept")

    def _next_index(self) -> int:
        if self._size is None:
            with self._watched():
                self._size = size_of(self._connection)
        return self._size

    def _head(self, tenant: str) -> tuple[int, int] | None:
        if tenant not in self._heads:
            self.expect((tenant,))
        return self._heads[tenant]

    def _keep(self, index: int, body: bytes, entry: Mapping[str, Json], seq: int | None) -> None:
        leaf = merkle.leaf_hash(body)
        for level, node_index, value in merkle.new_nodes(index, leaf, self._node):
            self._newest[level] = (node_index, value)
            if level:
                self._nodes.append({"level": level, "node_index": node_index, "hash": value})
        row = {"entry_index": index, "leaf": leaf, "body": body, "seq": seq}
        self._entries.append(row | {name: entry.get(name) for name in ("type", "job", "plan", "tenant")})
        self.first = self.first or (index, leaf)
        self._size = index + 1
        if isinstance(tenant := entry.get("tenant"), str) and seq is not None:
            self._heads[tenant] = (seq, index)

    def _node(self, level: int, index: int) -> bytes:
        newest = self._newest.get(level)
        if newest is not None and newest[0] == index:
            return newest[1]
        with self._watched():
            return node_at(self._connection, level, index)

    def _flush(self) -> None:
        with self._watched():
            if self._entries:
                self._connection.execute(log_entry.insert(), self._entries)
            if self._nodes:
                self._connection.execute(log_node.insert(), self._nodes)
        self._entries, self._nodes = [], []


def _chain(tenant: Json, head: tuple[int, int] | None) -> dict[str, int | None]:
    if tenant is None:
        return {"seq": None, "prev": None}
    return {"seq": 0, "prev": None} if head is None else {"seq": head[0] + 1, "prev": head[1]}


def committed(connection: Connection, first: tuple[int, bytes]) -> bool:
    """Whether the log holds this leaf at this index: what decides after a connection broke around COMMIT."""
    leaf = connection.execute(select(log_entry.c.leaf).where(log_entry.c.entry_index == first[0])).scalar()
    return leaf is not None and bytes(leaf) == first[1]


def lock_writers(connection: Connection, key: int) -> None:
    """Wait for PostgreSQL's other writers until this transaction ends. SQLite has locked at BEGIN IMMEDIATE."""
    connection.execute(select(func.pg_advisory_xact_lock(key)))
