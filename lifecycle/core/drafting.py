"""What a draft inventory is made of: paths to the tenant, guesses by name and by shape, and the evidence for each.

A guess is never a decision: a draft plans nothing until a person has reviewed it. Source: architecture.md "Which path,
and contested rows".
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lifecycle.core.guesses import Holds, names_tenant, nature
from lifecycle.core.inventory import Encoding, Hop

Place = tuple[str | None, str]
"""Schema (None: the database's default one) and name of a table."""

MOST_ROUTES = 6
MOST_HOPS = 6
_MOST_STEPS = 2_000

UNREVIEWED = "unreviewed"
"""The category of every drafted dataset. No agreement has it, so `validate` names each line still to be decided."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A foreign key of one column: `table`.`column` references `to`.`key`. `required`: the column is never NULL.

    Not `declared`: only names suggest it.
    """

    table: Place
    column: str
    to: Place
    key: str
    required: bool = False
    declared: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """A chain of foreign keys from a table to the column that names the tenant.

    `certain`: none of its references may be NULL. `by_name`: one of them is no foreign key, only named like one.
    """

    hops: tuple[Hop, ...]
    column: str
    certain: bool = False
    by_name: bool = False

    def words(self) -> str:
        """Return the route for readers: `ticket_id > ticket.queue_id`."""
        parts = [self.hops[0].column] if self.hops else []
        parts += [f"{hop.table}.{after.column}" for hop, after in zip(self.hops, self.hops[1:], strict=False)]
        return " > ".join([*parts, f"{self.hops[-1].table}.{self.column}" if self.hops else self.column])


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a route reaches now: rows with a tenant at its end, and how many different tenants."""

    route: Route
    reached: int
    tenants: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two routes (by position) name different tenants for so many rows."""

    one: int
    other: int
    rows: int


@dataclass(frozen=True, slots=True)
class TimeGuess:
    """A column that holds times. `fits` of `sampled` values fit; nothing was sampled where the type says it all."""

    column: str
    encoding: Encoding
    filled: int
    future: int
    naive: bool = False
    sampled: int | None = None
    fits: int | None = None


@dataclass(frozen=True, slots=True)
class Backwards:
    """Rows that hang on tenants only through a link table: how many reach none, one, or several tenants."""

    link: str
    none: int
    one: int
    several: int


@dataclass(frozen=True, slots=True)
class FamilyDraft:
    """Like tables that are drafted as one dataset: so many members, so many whose name fits and whose shape does not.

    `known`: how many of them are named after a row of the tenants' table; None where nobody said which one that is.
    """

    by: Literal["table", "schema"]
    pattern: str
    members: int
    odd: int = 0
    known: int | None = None

    def words(self) -> str:
        """Return the evidence for readers."""
        told = f"{self.members} like tables fit {self.pattern}"
        told += f", {self.odd} more fit it and have another shape" if self.odd else ""
        if self.known is None:
            return f"{told}; nobody said which tenants there are"
        return f"{told}; {self.known} of {self.members + self.odd} are named after a known tenant"


@dataclass(frozen=True, slots=True)
class TableDraft:
    """One table: what is there, what is guessed, and why. `chosen` is a position in `routes`, None for no tenant.

    Of a family it is one member that stands for all; its tenants stand in the names.

    `tie`: another route is as long and reaches as many rows, so the choice is nobody's yet.
    """

    id: str
    place: Place
    key: tuple[str, ...]
    columns: tuple[str, ...]
    rows: int
    routes: tuple[Evidence, ...] = ()
    chosen: int | None = None
    tie: bool = False
    disagreements: tuple[Disagreement, ...] = ()
    times: tuple[TimeGuess, ...] = ()
    persons: tuple[tuple[str, Holds], ...] = ()
    free_text: tuple[str, ...] = ()
    inside: tuple[tuple[str, bool], ...] = ()
    """Columns that reference rows of the same table, and whether each may be NULL."""
    on_delete: tuple[tuple[str, str, str], ...] = ()
    """ON DELETE paths out of this table: child table, its column, the effect in the database's words."""
    triggers: tuple[str, ...] = ()
    hides_rows: bool = False
    backwards: tuple[Backwards, ...] = ()
    referenced_by: tuple[str, ...] = ()
    """Tables with a tenant that reference this one, which has none."""
    family: FamilyDraft | None = None

    @property
    def tenanted(self) -> bool:
        """Return whether rows belong to tenants, by a path or by the table's name."""
        return self.chosen is not None or self.family is not None

    @property
    def contested(self) -> int:
        """Rows for which a route names another tenant than the chosen one: at least the greatest single count."""
        return max((d.rows for d in self.disagreements if self.chosen in {d.one, d.other}), default=0)

    @property
    def without_tenant(self) -> int:
        """Rows for which the chosen route finds no tenant; 0 where none is chosen."""
        return self.rows - self.routes[self.chosen].reached if self.chosen is not None else 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft inventory of one store. `left_out`: relations that no dataset can name, with the reason."""

    store: str
    tenant: tuple[Place, str] | None
    tables: tuple[TableDraft, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    cycles: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A table that may list the tenants: `below` tables reach it over foreign keys."""

    place: Place
    key: str
    below: int
    estimate: int


def routes(start: Place, edges: Collection[Edge], tenant: tuple[Place, str]) -> tuple[Route, ...]:
    """Return the shortest routes from a table to the tenant's column, at most `MOST_ROUTES`, shortest first.

    No table is visited twice, but that a row may first reference one of its own table. Where the last foreign key
    holds the tenant's id itself, the route ends there. Ties stand in the order of column names.
    """
    target, column = tenant
    if start == target:
        return (Route((), column, certain=True),)
    far = _distances(_incoming(edges), target)
    outgoing: dict[Place, list[Edge]] = defaultdict(list)
    for edge in edges:
        if edge.to in far:
            outgoing[edge.table].append(edge)
    found: list[Route] = []
    waiting: list[tuple[int, tuple[tuple[str, str], ...], tuple[Edge, ...]]] = [(far.get(start, 0), (), ())]
    steps = 0
    while waiting and len(found) < MOST_ROUTES and steps < _MOST_STEPS:
        steps += 1
        _, names, taken = heapq.heappop(waiting)
        here = taken[-1].to if taken else start
        if taken and here == target:
            found.append(_route(taken, column))
            continue
        for edge in outgoing[here]:
            length = len(taken) + 1 + far[edge.to]
            if length <= MOST_HOPS and _may_follow(edge, taken, start):
                step = (*names, (edge.column, edge.to[1]))
                heapq.heappush(waiting, (length, step, (*taken, edge)))
    return tuple(dict.fromkeys(found))


def _may_follow(edge: Edge, taken: tuple[Edge, ...], start: Place) -> bool:
    if edge.to == start:
        return not taken and edge.table == start
    return edge.to not in {before.to for before in taken}


def _route(taken: tuple[Edge, ...], column: str) -> Route:
    last = taken[-1]
    kept, end = (taken[:-1], last.column) if last.key == column else (taken, column)
    hops = tuple(
        Hop.model_validate({"column": e.column, "table": e.to[1], "key": e.key, "schema": e.to[0]}) for e in kept
    )
    certain, by_name = all(edge.required for edge in taken), not all(edge.declared for edge in taken)
    return Route(hops, end, certain=certain, by_name=by_name)


def _incoming(edges: Iterable[Edge]) -> dict[Place, list[Place]]:
    """Return which tables reference each table."""
    incoming: dict[Place, list[Place]] = defaultdict(list)
    for edge in edges:
        incoming[edge.to].append(edge.table)
    return dict(incoming)


def _distances(incoming: Mapping[Place, Sequence[Place]], target: Place) -> dict[Place, int]:
    """Return how many foreign keys lie between each table and the target."""
    far, border = {target: 0}, [target]
    while border:
        beyond = [table for place in border for table in incoming.get(place, ()) if table not in far]
        for place in border:
            far.update((table, far[place] + 1) for table in incoming.get(place, ()) if table not in far)
        border = list(dict.fromkeys(beyond))
    return far


def candidates(edges: Collection[Edge], keys: Mapping[Place, tuple[str, int]]) -> tuple[Candidate, ...]:
    """Return the tables that may list the tenants, likeliest first.

    Args:
        edges: the foreign keys.
        keys: for each table with a key of one column: that column, and an estimate of the rows.

    The name counts first, then how many tables reach it over foreign keys, then few rows.
    """
    found, incoming = [], _incoming(edges)
    for place, (key, estimate) in keys.items():
        below = len(_distances(incoming, place)) - 1
        if below:
            found.append(Candidate(place, key, below, estimate))
    return tuple(sorted(found, key=lambda c: (not names_tenant(c.place[1]), -c.below, c.estimate, c.place[1])))


def choose(found: tuple[Evidence, ...]) -> tuple[int | None, bool]:
    """Return the proposed route and whether another one is as good: most rows, the shortest, then a certain one.

    None where there is no route. Where no row speaks, a path whose references may be NULL yields to a longer one whose
    references may not: the next row may have none.
    """
    if not found:
        return None, False
    ranked = sorted(range(len(found)), key=lambda n: (_rank(found[n]), n))
    return ranked[0], sum(_rank(each) == _rank(found[ranked[0]]) for each in found) > 1


def _rank(found: Evidence) -> tuple[int, bool, int, bool]:
    route = found.route
    doubtful = not found.reached and bool(route.hops) and not route.certain
    return -found.reached, doubtful, len(route.hops), not route.certain


def cycles(edges: Iterable[Edge]) -> tuple[tuple[Place, ...], ...]:
    """Return the groups of two or more tables that reference each other in a circle, each sorted."""
    outgoing: dict[Place, set[Place]] = defaultdict(set)
    for edge in edges:
        outgoing[edge.table].add(edge.to)
    reach = {place: _reachable(place, outgoing) for place in list(outgoing)}
    groups = {
        tuple(sorted((other for other in found if place in reach.get(other, ())), key=_in_order))
        for place, found in reach.items()
        if place in found
    }
    return tuple(sorted((group for group in groups if len(group) > 1), key=lambda g: [_in_order(p) for p in g]))


def _reachable(start: Place, outgoing: Mapping[Place, set[Place]]) -> set[Place]:
    seen: set[Place] = set()
    border = [start]
    while border:
        for place in outgoing.get(border.pop(), ()):
            if place not in seen:
                seen.add(place)
                border.append(place)
    return seen


def _in_order(place: Place) -> tuple[str, str]:
    return place[0] or "", place[1]


def time_rank(guess: TimeGuess) -> tuple[int, int, int, str]:
    """Order time columns by how likely each is the day of collection: filled ones, creation first, the future last."""
    return (not guess.filled, bool(guess.future), nature(guess.column), guess.column)


# ---- what is left to a person ----


def decisions(draft: Draft) -> Iterator[str]:
    """Yield what the reviewer must decide, the dangerous first: one line each, without a value of any row."""
    asked = [question for table in draft.tables for question in _questions(table)]
    yield from (words for _, words in sorted(asked, key=lambda question: question[0]))
    for group in draft.cycles:
        yield f"{', '.join(group)}: these tables reference each other in a cycle; name nullable columns under detach"
    for name, why in draft.left_out:
        yield f"{name}: left out, {why}"
    if alone := sum(not table.tenanted for table in draft.tables):
        yield f"{alone} tables have no path to a tenant: keep tenant none, or move them to not_personal with the reason"
    yield f"{len(draft.tables)} datasets have the category `{UNREVIEWED}`: give each a category of an agreement"
    yield "the store's country, sub-processor, backups and environment: the database does not know them"


def _questions(table: TableDraft) -> Iterator[tuple[int, str]]:
    """Yield what one table leaves open, each with its rank: 0 is the most dangerous."""
    if table.family is not None:
        yield 0, f"{table.id}: {table.family.words()}; say whether the name tells the tenant"
    if table.tie:
        yield 0, f"{table.id}: two paths are equally long and reach as many rows; say which one owns the row"
    if table.chosen is not None and table.routes[table.chosen].route.by_name:
        yield 0, f"{table.id}: no foreign key leads to a tenant; the proposed path rests on names alone"
    if table.contested:
        yield 1, f"{table.id}: {table.contested} rows are contested: two paths name different tenants"
    if table.without_tenant:
        count = f"{table.without_tenant} of {table.rows} rows"
        yield 2, f"{table.id}: {count} reach no tenant; write nulls: refuse or processor"
    for back in table.backwards:
        counts = f"{back.one} rows to one, {back.several} to several, {back.none} to none"
        tied = f"{table.id}: tied to tenants only through {back.link} ({counts})"
        yield 3, f"{tied}; say what becomes of a row whose last tenant leaves"
    if table.referenced_by and table.persons and not table.backwards:
        count = f"{len(table.referenced_by)} tables of tenants"
        yield 4, f"{table.id}: no path to a tenant, but it holds persons whom {count} reference"
    if table.on_delete or table.triggers or table.hides_rows:
        yield 5, f"{table.id}: ON DELETE paths, triggers or row security; declare them, or plans are refused"
