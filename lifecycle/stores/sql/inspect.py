"""What forbids or endangers a plan over a dataset (I11)."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.ports.store import Finding
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.dialects import Dialect, Facts


def findings(store: str, dialect: Dialect, world: World, facts: Facts, datasets: Sequence[str]) -> list[Finding]:
    """Return the findings."""
    del store, dialect, world, facts, datasets
    return []
