"""Two seams for rows that reference objects: what a store of rows can tell, and what a store of objects can do.

Neither knows the other; a store around the store of objects asks both. Values and keys stay in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from lifecycle.core.selection import Bound
from lifecycle.ports.store import Cut, Json, Register, Rows


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a referencing column, byte-exact, and how many of the asked rows have it."""

    value: str = field(repr=False)
    rows: int


class LinkedRows(Protocol):
    """A store whose rows reference objects. Values that are NULL or empty reference nothing and are left out."""

    def linked(self, bound: Bound, column: str, after: str | None, limit: int) -> Sequence[Value]:
        """Return the values of the selected rows in the order of their bytes, after one of them, at most `limit`."""

    def linking(
        self, dataset: str, column: str, values: Collection[str], bound: Bound | None = None
    ) -> Mapping[str, int]:
        """Count the table's rows of each value, whoever they belong to; with `bound` only those it selects."""

    def linked_in(self, bound: Bound, column: str, after: Json, upto: Json) -> frozenset[str]:
        """Return the values of the changeable rows within a cut's bounds."""

    def linked_anew(self, bound: Bound, column: str, register: Register | None = None) -> Mapping[str, int]:
        """Count the selected rows of each value as `residue` does: by another connection and query builder."""

    def linking_anew(self, dataset: str, column: str, values: Collection[str]) -> Mapping[str, int]:
        """Count the table's rows of each value, by another connection and query builder."""


@dataclass(frozen=True, slots=True)
class Object:
    """One object by its key; when it was last written."""

    key: str = field(repr=False)
    modified: datetime


class Objects(Protocol):
    """A store of objects, by key. A key is text below the dataset's table; one that cannot exist is of no object."""

    def pick(self, bound: Bound, keys: Sequence[str]) -> Cut | None:
        """List those objects that are there and can be deleted, as `cut` does; None when there are none.

        The bounds of the cut are of this piece alone: `apply` gets them back with the list.
        """

    def there(self, dataset: str, keys: Collection[str]) -> frozenset[str]:
        """Return the keys under which anything is."""

    def there_anew(self, dataset: str, keys: Collection[str]) -> frozenset[str]:
        """Return the same, by the verifier's own code."""

    def objects(self, dataset: str) -> Iterator[Object]:
        """Yield every object of the dataset."""

    def export_keys(self, dataset: str, keys: Iterable[str], tenant: str) -> AbstractContextManager[Rows]:
        """Stream these objects with their contents as rows of the tenant."""
