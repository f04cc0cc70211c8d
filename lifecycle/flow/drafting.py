"""Drafting an inventory from a live catalogue: every guess with the counts that speak for and against it.

What a draft leaves to the reviewer, and why:

* `reviewed: false`: nothing is planned from a draft, whatever else it says.
* `category: unreviewed` on every dataset. What a table is *for* stands in no catalogue, and a wrong category is a wrong
  period. No agreement has that category, so the document is well-formed (`validate FILE` accepts it alone) while
  `validate DIR` and every command that opens the deployment name each line that is still undecided. Setting
  `reviewed: true` is therefore not enough, and no dataset is forgotten.
* the owning path is proposed: the one that reaches most rows, then the shortest. What it leaves out or contests is
  counted beside it; equally good paths are marked as a tie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date

from lifecycle.core.drafting import (
    Backwards,
    Candidate,
    Disagreement,
    Draft,
    Edge,
    Evidence,
    Place,
    Route,
    TableDraft,
    candidates,
    choose,
    cycles,
    routes,
)
from lifecycle.core.errors import InvalidDocument
from lifecycle.core.guesses import Holds, person_kind
from lifecycle.core.undeclared import references
from lifecycle.flow.family_drafts import Families, place_of
from lifecycle.ports.reach import Survey
from lifecycle.ports.store import Catalogue, Table

_READABLE = ("table",)
_FREE_TEXT = ("text", "mediumtext", "longtext", "json", "jsonb", "clob", "xml")
_ADDRESSES = ("inet", "cidr", "macaddr")
_ID = re.compile(r"[^a-z0-9._-]+")


def _word(type: str) -> str:
    """Return a type's first word: a collation may follow it."""
    return type.lower().partition(" ")[0]


def propose(survey: Survey) -> tuple[Candidate, ...]:
    """Return the tables that may list the tenants, likeliest first."""
    catalogue = survey.catalogue()
    keys = {
        _place(survey, table): (table.primary_key[0], table.row_estimate)
        for table in catalogue.tables
        if len(table.primary_key) == 1
    }
    return candidates(_edges(survey, catalogue), keys)


def draft(survey: Survey, store: str, tenant: str | None, today: date) -> Draft:
    """Draft an inventory of one store.

    Args:
        survey: the store, seen at one moment.
        store: the id that the store gets in the inventory.
        tenant: `table.column` or `schema.table.column` of the tenant's id; None where rows have no tenants at all.
        today: parts past from future times.

    Raises:
        InvalidDocument: no such table or column, or no table at all. Transient: the server did not answer.
    """
    catalogue = survey.catalogue()
    known = {_place(survey, table): table for table in catalogue.tables}
    target = None if tenant is None else _target(survey, known, tenant)
    families = Families.among(survey, catalogue, target)
    edges = families.edges(_edges(survey, catalogue))
    lasting = {place: table for place, table in known.items() if not families.stood_for(place)}
    readable = {place: table for place, table in lasting.items() if _why_not(table) is None}
    names = _names({place: families.place(place) for place in readable})
    named = _by_name(readable, edges)
    looks = {place: None if place in families.of else target for place in readable}
    tables = [
        _table(survey, place, table, names[place], edges, looks[place], today, named)
        for place, table in readable.items()
    ]
    shown = families.shown(names)
    if not tables:
        msg = "the database shows our role no table with a primary key"
        raise InvalidDocument(msg, advice="Check the address, and what the role may read.")
    return Draft(
        store=store,
        tenant=target,
        tables=tuple(families.drafted(table) for table in _looking_back(survey, families.marked(tables), known, edges)),
        left_out=tuple(
            (shown(place), why + _consequence(place, table, edges))
            for place, table in lasting.items()
            if (why := _why_not(table)) is not None
        ),
        cycles=tuple(tuple(shown(place) for place in group) for group in cycles(e for e in edges if e.table != e.to)),
    )


# ---- the catalogue ----


def _place(survey: Survey, table: Table) -> Place:
    return place_of(survey, table.schema, table.name)


def _why_not(table: Table) -> str | None:
    if table.kind not in _READABLE:
        return f"it is a {table.kind} relation"
    return None if table.primary_key else "it has no primary key"


def _consequence(place: Place, table: Table, edges: tuple[Edge, ...]) -> str:
    """Say which rows a table without a key keeps: a foreign key holds what it references."""
    held = sorted({edge.to[1] for edge in edges if edge.table == place and edge.to != place})
    if table.kind not in _READABLE or not held:
        return ""
    return f", yet references {', '.join(held)}: give it one, or what it references cannot go"


def _edges(survey: Survey, catalogue: Catalogue) -> tuple[Edge, ...]:
    """Return the foreign keys of one column: a key of several columns cannot be a hop of a path."""
    default = survey.default_schema()
    return tuple(
        Edge(
            _place(survey, table),
            key.columns[0],
            (None if key.to_schema == default else key.to_schema, key.to_table),
            key.to_columns[0],
            required=any(column.name == key.columns[0] and not column.nullable for column in table.columns),
        )
        for table in catalogue.tables
        for key in table.foreign_keys
        if len(key.columns) == 1 and len(key.to_columns) == 1
    )


def _by_name(tables: dict[Place, Table], edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    """Return the references that names alone suggest."""
    types = {place: {column.name: column.type for column in table.columns} for place, table in tables.items()}
    keys = {place: table.primary_key[0] for place, table in tables.items() if len(table.primary_key) == 1}
    return references(types, keys, edges)


def _target(survey: Survey, known: dict[Place, Table], tenant: str) -> tuple[Place, str]:
    """Read `table.column` against the catalogue: a name that is not there is never put into a query."""
    for place, table in known.items():
        for column in table.columns:
            if tenant in {f"{place[1]}.{column.name}", f"{table.schema}.{place[1]}.{column.name}"}:
                return place, column.name
    likely = ", ".join(f"{c.place[1]}.{c.key}" for c in propose(survey)[:5])
    msg = "there is no such tenant table and column"
    raise InvalidDocument(msg, advice=f"Write TABLE.COLUMN as the database spells it. Likely: {likely or 'none'}.")


def _names(places: Mapping[Place, Place]) -> dict[Place, str]:
    """Give every table an id of its own that documents, metrics and certificates can carry, after the place shown."""
    found: dict[Place, str] = {}
    taken: set[str] = set()
    for place, (schema, table) in places.items():
        plain = _ID.sub("-", (table if schema is None else f"{schema}.{table}").lower()).strip("-._")
        name, number = plain[:70] or "table", 1
        while name in taken:
            number += 1
            name = f"{plain[:70] or 'table'}-{number}"
        taken.add(name)
        found[place] = name
    return found


# ---- one table ----


def _table(
    survey: Survey,
    place: Place,
    table: Table,
    name: str,
    edges: tuple[Edge, ...],
    tenant: tuple[Place, str] | None,
    today: date,
    named: tuple[Edge, ...],
) -> TableDraft:
    found = () if tenant is None else routes(place, edges, tenant)
    if tenant is not None and not found:
        found = routes(place, (*edges, *(edge for edge in named if edge.table == place)), tenant)
    reached = [survey.reach(place, route) for route in found]
    evidence = tuple(Evidence(route, r.reached, r.tenants) for route, r in zip(found, reached, strict=True))
    chosen, tie = choose(evidence)
    columns = tuple(column.name for column in table.columns)
    referencing = {edge.column for edge in edges if edge.table == place}
    plain = [column for column in columns if column not in referencing and column not in table.primary_key]
    return TableDraft(
        id=name,
        place=place,
        key=table.primary_key,
        columns=columns,
        rows=reached[0].rows if reached else survey.rows(place),
        routes=evidence,
        chosen=chosen,
        tie=tie,
        disagreements=tuple(_disagreements(survey, place, found)),
        times=tuple(survey.times(place, plain, today)),
        persons=tuple(_persons(table, plain)),
        free_text=tuple(c.name for c in table.columns if c.name in plain and _word(c.type) in _FREE_TEXT),
        inside=tuple(_inside(place, table, edges)),
        on_delete=tuple(_on_delete(survey, place)),
        triggers=table.triggers,
        hides_rows=table.row_security == "may-hide",
    )


def _disagreements(survey: Survey, place: Place, found: tuple[Route, ...]) -> Iterator[Disagreement]:
    for one in range(len(found)):
        for other in range(one + 1, len(found)):
            rows = survey.disagreement(place, found[one], found[other])
            if rows:
                yield Disagreement(one, other, rows)


def _persons(table: Table, plain: list[str]) -> Iterator[tuple[str, Holds]]:
    for column in table.columns:
        if column.name in plain:
            kind = person_kind(column.name, table.name)
            if kind is None and _word(column.type) in _ADDRESSES:
                kind = "other"
            if kind is not None:
                yield column.name, kind


def _inside(place: Place, table: Table, edges: tuple[Edge, ...]) -> Iterator[tuple[str, bool]]:
    nullable = {column.name for column in table.columns if column.nullable}
    for edge in edges:
        if edge.table == place == edge.to:
            yield edge.column, edge.column in nullable


def _on_delete(survey: Survey, place: Place) -> Iterator[tuple[str, str, str]]:
    default = survey.default_schema()
    for other in survey.catalogue().tables:
        for key in other.foreign_keys:
            to = (None if key.to_schema == default else key.to_schema, key.to_table)
            if to == place and key.on_delete not in {"NO ACTION", "RESTRICT"}:
                yield other.name, ", ".join(key.columns), key.on_delete


# ---- tables without a path ----


def _looking_back(
    survey: Survey, tables: list[TableDraft], known: dict[Place, Table], edges: tuple[Edge, ...]
) -> Iterator[TableDraft]:
    """Say of each table without a path which tables with one reference it: link tables tie its rows to tenants."""
    by_place = {table.place: table for table in tables}
    for table in tables:
        if table.tenanted or len(table.key) != 1:
            yield table
            continue
        referring = [e for e in edges if e.to == table.place and e.key == table.key[0] and e.table in by_place]
        bound = [edge for edge in referring if by_place[edge.table].tenanted]
        only_links = all(
            by_place[edge.table].family is None and _is_link(known[edge.table], edges, edge.table) for edge in bound
        )
        links = tuple(_tied(survey, by_place, edge) for edge in bound) if only_links else ()
        names = tuple(sorted({by_place[edge.table].id for edge in bound}))
        yield replace(table, backwards=links, referenced_by=names)


def _tied(survey: Survey, by_place: dict[Place, TableDraft], edge: Edge) -> Backwards:
    link = by_place[edge.table]
    return survey.backwards(edge.to, edge.key, edge.table, edge.column, link.routes[link.chosen or 0].route)


def _is_link(table: Table, edges: tuple[Edge, ...], place: Place) -> bool:
    """A link table holds nothing but its key and references."""
    referencing = {edge.column for edge in edges if edge.table == place}
    return len(referencing) > 1 and all(c.name in referencing or c.name in table.primary_key for c in table.columns)
