"""Whether a whole state fits together: every entry, node, chain and register, read once, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, get_args

from sqlalchemy import func, select

from lifecycle.core.errors import Corrupt
from lifecycle.evidence import merkle
from lifecycle.evidence.entry import decode_entry
from lifecycle.evidence.errors import EvidenceError
from lifecycle.ports.state import Kind
from lifecycle.state.reading import Reader, checked, size_of
from lifecycle.state.schema import log_entry, log_node, record

_PAGE: Final = 1_000
KINDS: Final = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True)
class Checked:
    """What a whole state holds. `root` is the tree's; `missing`: the asked batches that the log does not name."""

    size: int
    root: bytes
    records: int
    missing: frozenset[str] = frozenset()


def check(reader: Reader, batches: Collection[str] = ()) -> Checked:
    """Read everything and compare it with itself.

    Args:
        reader: gives connections of one snapshot, or of a state that nobody writes meanwhile.
        batches: ids that the log should name, such as those of receipts in the stores.

    Raises:
        Corrupt: a gap, an entry that does not match its leaf or its columns, a chain that skips, a node of the tree
            that does not follow from the leaves, or one too many.
    """
    walk = _Walk(set(batches))
    with reader() as connection:
        size = size_of(connection)
    for page in _pages(reader, size):
        walk.take(page, _nodes(reader, page[0].entry_index, page[-1].entry_index))
    with reader() as connection:
        nodes = connection.execute(select(func.count()).select_from(log_node)).scalar_one()
        counts = connection.execute(select(record.c.kind, func.count()).group_by(record.c.kind))
        kinds: dict[str, int] = {row[0]: row[1] for row in counts}
    if nodes != walk.nodes:
        raise Corrupt(f"the log's tree has {nodes} nodes, its entries make {walk.nodes}")
    if unknown := sorted(set(kinds) - KINDS):
        raise Corrupt(f"the state has {len(unknown)} kind(s) of registers that no version of ours wrote")
    root = merkle.tree_root(size, walk.newest) if size else merkle.EMPTY_ROOT
    return Checked(size, root, sum(kinds.values()), frozenset(walk.wanted))


class _Walk:
    """The log as far as it was read: heads of the chains, the tree's right edge, and which batches were not met."""

    def __init__(self, wanted: set[str]) -> None:
        self.wanted = wanted
        self.nodes = 0
        self._heads: dict[str, tuple[int, int]] = {}
        # The newest node of each level is the only one of it that a later entry, or the root, needs.
        self._edge: dict[int, bytes] = {}

    def newest(self, level: int, _index: int) -> bytes:
        return self._edge[level]

    def take(self, page: list[Any], stored: dict[tuple[int, int], bytes]) -> None:
        for row in page:
            body = checked(row.entry_index, row.body, row.leaf)
            self._chain(row, _decoded(row.entry_index, body))
            for level, index, value in merkle.new_nodes(row.entry_index, bytes(row.leaf), self.newest):
                if level and stored.get((level, index)) != value:
                    raise Corrupt(f"node {index} of level {level} does not follow from the log's entries")
                self._edge[level] = value
                self.nodes += bool(level)

    def _chain(self, row: Any, entry: dict[str, Any]) -> None:
        named = tuple(entry.get(name) for name in ("type", "job", "plan", "tenant", "seq"))
        if named != (row.type, row.job, row.plan, row.tenant, row.seq):
            raise Corrupt(f"entry {row.entry_index} is filed under something else than it says")
        self.wanted.discard(str(entry.get("batch")))
        if (tenant := entry["tenant"]) is not None:
            seq, prev = self._heads.get(tenant, (-1, None))
            if (entry["seq"], entry["prev"]) != (seq + 1, prev):
                raise Corrupt(f"entry {row.entry_index} does not continue its tenant's chain")
            self._heads[tenant] = (entry["seq"], row.entry_index)


def _decoded(index: int, body: bytes) -> dict[str, Any]:
    try:
        return decode_entry(body)
    except EvidenceError as error:
        raise Corrupt(f"entry {index} cannot be read: {error}") from None


def _pages(reader: Reader, size: int) -> Iterator[list[Any]]:
    for start in range(0, size, _PAGE):
        inside = (log_entry.c.entry_index >= start) & (log_entry.c.entry_index < min(start + _PAGE, size))
        with reader() as connection:
            page = list(connection.execute(select(log_entry).where(inside).order_by(log_entry.c.entry_index)))
        if [row.entry_index for row in page] != list(range(start, min(start + _PAGE, size))):
            raise Corrupt(f"an entry between {start} and {start + _PAGE} is missing from the log")
        yield page


def _nodes(reader: Reader, first: int, last: int) -> dict[tuple[int, int], bytes]:
    """Return the stored nodes that these entries complete, by level and index."""
    found: dict[tuple[int, int], bytes] = {}
    level = 1
    with reader() as connection:
        while (last + 1) >> level:
            inside = (log_node.c.node_index >= first >> level) & (log_node.c.node_index < (last + 1) >> level)
            query = select(log_node.c.node_index, log_node.c.hash).where(log_node.c.level == level, inside)
            found |= {(level, index): bytes(value) for index, value in connection.execute(query)}
            level += 1
    return found
