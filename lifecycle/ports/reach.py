"""The seam for drafting an inventory: what foreign-key paths reach and which columns hold times. Reads only.

Promises: one moment is seen by all methods of one survey; nothing is changed; results are counts and names of the
catalogue, never a value of a row. `Transient` when the server did not answer, `Refused` when our role may not read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from lifecycle.core.drafting import Backwards, Place, Route, TimeGuess
from lifecycle.ports.store import Catalogue


@dataclass(frozen=True, slots=True)
class Reached:
    """How many rows a table has, how many of them reach a tenant by one route, and how many tenants they name."""

    rows: int
    reached: int
    tenants: int


class Survey(Protocol):
    """A store as the drafting sees it. Tables, columns and routes are those of the survey's own catalogue."""

    def catalogue(self) -> Catalogue:
        """Return what exists, our own tables left out."""

    def default_schema(self) -> str | None:
        """Return the schema in which a table without one lies, None where the database has no schemas."""

    def rows(self, table: Place) -> int:
        """Count the rows of a table."""

    def reach(self, table: Place, route: Route) -> Reached:
        """Count what one route reaches: one query."""

    def disagreement(self, table: Place, one: Route, other: Route) -> int:
        """Count the rows for which two routes both reach a tenant, and not the same."""

    def named(self, table: Place, column: str, among: Collection[str]) -> set[str]:
        """Return which of these names of the catalogue a column holds as texts; no other value is kept."""

    def times(self, table: Place, columns: Sequence[str], today: date) -> list[TimeGuess]:
        """Return the columns that hold times: by their type, or by a sample where the type does not tell.

        `today` (UTC) parts the past from the future. Columns without a time are left out.
        """

    def backwards(self, table: Place, key: str, link: Place, column: str, route: Route) -> Backwards:
        """Count rows of `table` by how many tenants they reach through the rows of `link` whose `column` names them."""
