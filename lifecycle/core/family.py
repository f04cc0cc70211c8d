"""Families: one dataset whose rows lie in a table, a schema or a database per tenant, told apart by name alone.

A name is read byte by byte: `booking_{tenant}` finds the tenant `1` in `booking_1` and never in `booking_10`, and
`acme` never in `booking_Acme`. Nothing is folded, trimmed or matched as a pattern of characters.
"""

from __future__ import annotations

from collections.abc import Iterable

from lifecycle.core.inventory import FAMILIES, PLACEHOLDER, Dataset

Name = tuple[str | None, str]
"""Schema and name of a table."""


def is_family(dataset: Dataset) -> bool:
    """Tell whether the tenant of a row stands in the name of its table, schema or database."""
    return dataset.tenant.by in FAMILIES


def tenant_in(pattern: str, name: str) -> str | None:
    """Return what stands in the tenant's place of a name; None when the name is none of the pattern's."""
    before, _, behind = pattern.partition(PLACEHOLDER)
    fits = len(name) > len(before) + len(behind) and name.startswith(before) and name.endswith(behind)
    return name[len(before) : len(name) - len(behind)] if fits else None


def reading(dataset: Dataset, place: Name, *, default: str | None = None, database: str | None = None) -> str | None:
    """Return the tenant whose table this would be; None when it is no member of the family.

    `default`: the schema of a dataset that names none; without it any schema will do. `database`: the name of the
    database that was connected to.
    """
    schema, table = place
    pattern = dataset.tenant.pattern or ""
    if dataset.tenant.by == "schema":
        return tenant_in(pattern, schema) if schema is not None and table == dataset.table else None
    if (dataset.schema_ or default or schema) != schema:
        return None
    if dataset.tenant.by == "table":
        return tenant_in(pattern, table)
    return tenant_in(pattern, database) if database is not None and table == dataset.table else None


def precision(dataset: Dataset) -> int:
    """Return how much of a member's name a pattern spells out: of several patterns that fit, the longest owns it."""
    return len(dataset.tenant.pattern or "")


def owners(
    datasets: Iterable[Dataset], place: Name, *, default: str | None = None, database: str | None = None
) -> tuple[list[tuple[Dataset, str]], list[str]]:
    """Return the families that own a table, each with the tenant, and the tenants that other patterns would read.

    Families of the same pattern share their tables. Two different patterns of the same length own nothing: the name
    says two things, and nobody can tell which.
    """
    read = [(d, t) for d in datasets if (t := reading(d, place, default=default, database=database)) is not None]
    if not read:
        return [], []
    most = max(precision(dataset) for dataset, _ in read)
    mine = [(dataset, tenant) for dataset, tenant in read if precision(dataset) == most]
    tenants = {tenant for _, tenant in mine}
    others = sorted({tenant for _, tenant in read} - tenants)
    return (mine, others) if len(tenants) == 1 else ([], sorted(tenants) + others)
