"""Recognising families: like tables, or schemas, whose names differ in one part. Guesses for a reviewer, no decisions.

A pattern is cut at separators only, so that it ends where a word does. Where the tenants' ids are known, most members
must be named after one; where they are not, parts that are all numbers or dates are taken for partitions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from lifecycle.core.family import Name, tenant_in
from lifecycle.core.inventory import PLACEHOLDER

LEAST = 3
"""Two like tables are no family yet."""
_MOST_CUTS = 3
_SEPARATORS = "_-.$"
_NUMBERED = re.compile(r"[a-z]?[0-9]+([-_.$]?[0-9]+)*")

Known = Callable[[Collection[str]], Collection[str]]
"""Says which of these names are tenants' ids."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """One family: its pattern and the tables that fit it; `odd` ones have another shape.

    `table`: the name that the members share; by table what is left of the pattern. `known`: how many members are named
    after a known tenant, None where nobody said who the tenants are.
    """

    by: Literal["table", "schema"]
    pattern: str
    schema: str | None
    table: str
    members: tuple[Name, ...]
    odd: tuple[Name, ...]
    known: int | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    by: Literal["table", "schema"]
    pattern: str
    beside: str | None
    """The schema of a pattern of tables, the table of a pattern of schemas."""
    shape: Hashable
    members: Mapping[Name, str]

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What tells two patterns apart, whatever the shape."""
        return self.by, self.pattern, self.beside

    def tenant(self, place: Name) -> str | None:
        """Return the tenant in a table's name, or its schema's; None where it does not fit."""
        schema, table = place
        read, beside = (table, schema) if self.by == "table" else (schema, table)
        return None if beside != self.beside or read is None else tenant_in(self.pattern, read)


def recognise(shapes: Mapping[Name, Hashable], known: Known | None) -> tuple[Recognised, ...]:
    """Return the families among these tables, by pattern; no table is in two.

    Args:
        shapes: every table with what must be the same in all members.
        known: which names are tenants' ids; None where nobody said.
    """
    found = [candidate for candidate in _candidates(shapes) if len(candidate.members) >= LEAST]
    ids = None if known is None else set(known({part for one in found for part in one.members.values()}))
    chosen: dict[tuple[str, str, str | None], _Candidate] = {}
    taken: set[Name] = set()
    for one in sorted(found, key=lambda candidate: _rank(candidate, ids)):
        free = {place: part for place, part in one.members.items() if place not in taken}
        # A second shape under one pattern is no second family: its tables are the odd ones of the first.
        if one.key not in chosen and len(free) >= LEAST and _plausible(free.values(), ids):
            chosen[one.key] = one
            taken |= free.keys()
    return tuple(_settled(shapes, list(chosen.values()), ids))


def _candidates(shapes: Mapping[Name, Hashable]) -> Iterator[_Candidate]:
    tables: dict[tuple[str | None, Hashable], list[Name]] = defaultdict(list)
    schemas: dict[tuple[str, Hashable], list[Name]] = defaultdict(list)
    for place, shape in shapes.items():
        tables[place[0], shape].append(place)
        if place[0] is not None:
            schemas[place[1], shape].append(place)
    for (schema, shape), places in tables.items():
        for pattern, members in _patterns({place: place[1] for place in places}, bare=False).items():
            yield _Candidate("table", pattern, schema, shape, members)
    for (table, shape), places in schemas.items():
        for pattern, members in _patterns({place: place[0] or "" for place in places}, bare=True).items():
            yield _Candidate("schema", pattern, table, shape, members)


def _patterns(names: Mapping[Name, str], *, bare: bool) -> dict[str, dict[Name, str]]:
    found: dict[str, dict[Name, str]] = defaultdict(dict)
    for place, name in names.items() if len(names) >= LEAST else ():
        for begin, end in _cuts(name):
            if PLACEHOLDER not in name and (bare or end - begin < len(name)):
                found[f"{name[:begin]}{PLACEHOLDER}{name[end:]}"][place] = name[begin:end]
    return found


def _cuts(name: str) -> Iterator[tuple[int, int]]:
    """Yield where the varying part may begin and end: behind and before the outermost separators."""
    at = [number for number, letter in enumerate(name) if letter in _SEPARATORS]
    for begin in (0, *(number + 1 for number in at[:_MOST_CUTS])):
        for end in (len(name), *at[-_MOST_CUTS:]):
            if begin < end:
                yield begin, end


def _rank(one: _Candidate, ids: set[str] | None) -> tuple[int, int, int, str]:
    """Order by known tenants, then by members, then by how much the pattern spells out."""
    named = 0 if ids is None else sum(part in ids for part in one.members.values())
    return -named, -len(one.members), -len(one.pattern), one.pattern


def _plausible(parts: Collection[str], ids: set[str] | None) -> bool:
    if ids is None:
        return not all(_NUMBERED.fullmatch(part) for part in parts)
    return 2 * sum(part in ids for part in parts) >= len(parts)


def _settled(shapes: Mapping[Name, Hashable], chosen: list[_Candidate], ids: set[str] | None) -> Iterator[Recognised]:
    """Give each table to the longest pattern that fits it, as the store will; a pattern left with too few is none."""
    fitting: dict[str | None, list[_Candidate]] = defaultdict(list)
    for one in sorted(chosen, key=lambda candidate: -len(candidate.pattern)):
        fitting[one.beside].append(one)
    mine: dict[tuple[str, str, str | None], list[Name]] = defaultdict(list)
    for place in shapes:
        both = [*fitting.get(place[0], ()), *fitting.get(place[1], ())]
        owners = [one for one in both if one.tenant(place) is not None]
        if owners:
            mine[max(owners, key=lambda one: len(one.pattern)).key].append(place)
    for one in sorted(chosen, key=lambda candidate: (candidate.pattern, candidate.beside or "")):
        like = tuple(place for place in mine[one.key] if shapes[place] == one.shape)
        odd = tuple(place for place in mine[one.key] if shapes[place] != one.shape)
        if len(like) >= LEAST:
            named = None if ids is None else sum(one.tenant(place) in ids for place in (*like, *odd))
            spelled = "_".join(part for part in (p.strip(_SEPARATORS) for p in one.pattern.split(PLACEHOLDER)) if part)
            yield Recognised(
                by=one.by,
                pattern=one.pattern,
                schema=one.beside if one.by == "table" else None,
                table=(one.beside or "") if one.by == "schema" else spelled,
                members=like,
                odd=odd,
                known=named,
            )
