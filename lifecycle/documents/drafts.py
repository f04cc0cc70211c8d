"""Writing a draft inventory as YAML that the strict loader reads, every guess with its evidence as a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from lifecycle.core.agreement import Agreement
from lifecycle.core.drafting import UNREVIEWED, Backwards, Draft, Evidence, TableDraft, TimeGuess, decisions, time_rank
from lifecycle.core.inventory import Hop, Secret
from lifecycle.documents.load import load

_PLAIN = re.compile(r"[a-z_][a-z0-9_-]*")
_NOT_PLAIN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
_WIDTH = 116
_NAME = re.compile(r"[^a-z0-9._-]+")
_TENANT_LIKE = re.compile(
    r"(tenant|mandant|mandate|organi[sz]ation|org|company|account|workspace)_?(id|key|no|nr)?", re.IGNORECASE
)
COLLECTION = "collection"


def write_draft(draft: Draft, *, id: str, address: Secret, country: str, agreements: Sequence[Agreement] = ()) -> str:
    """Return the inventory as YAML, `reviewed: false`.

    Args:
        draft: what was found.
        id: the inventory's id.
        address: where the store's address will be read from; the address itself is never written.
        country: where the server lies, as the operator says; marked as a guess.
        agreements: the agreements it shall serve; their categories are offered in a comment.

    Raises:
        InvalidDocument: what was found makes no valid document, such as more tables than one document may hold.
    """
    lines = [*_head(draft, agreements), *_store(draft, id, address, country, agreements), "datasets:"]
    for table in draft.tables:
        lines += [f"  {line}".rstrip() for line in _dataset(draft.store, table)]
    text = "\n".join(lines) + "\n"
    load(text.encode(), "inventory", file="inventory.yaml")
    return text


def _head(draft: Draft, agreements: Sequence[Agreement]) -> Iterator[str]:
    yield "# A draft from the live catalogue: nobody has reviewed it, and nothing is planned from it."
    yield "# Comments hold counts of rows at that moment, never values. To be decided:"
    for line in decisions(draft):
        yield from _comment(f"* {line}", "#   ")
    for agreement in agreements:
        names = ", ".join(category.id for category in agreement.categories)
        yield from _comment(f"Categories of {agreement.id}: {names}.", "# ")


def _store(draft: Draft, id: str, address: Secret, country: str, agreements: Sequence[Agreement]) -> Iterator[str]:
    source = next((k, v) for k, v in address.model_dump(exclude_none=True).items())
    yield "lifecycle: inventory/v1"
    yield f"id: {_scalar(id)}"
    yield "reviewed: false"
    if agreements:
        yield f"agreements: {_flow(agreement.id for agreement in agreements)}"
    yield "stores:"
    yield f"  - id: {_scalar(draft.store)}"
    yield "    kind: sql"
    yield f"    address: {{{source[0]}: {_scalar(source[1])}}}"
    yield f"    place: {{country: {_scalar(country)}}}  # the database does not know where it lies: check"
    yield "    environment: production  # check; name sub-processor, backups and replicas too"


def _dataset(store: str, table: TableDraft) -> Iterator[str]:
    yield ""
    where = "" if table.family is None else " in the one of its tables that was looked at"
    yield f"- id: {_scalar(table.id)}  # {table.rows:,} {'row' if table.rows == 1 else 'rows'}{where}"
    yield f"  store: {_scalar(store)}"
    if table.place[0] is not None:
        yield f"  schema: {_scalar(table.place[0])}"
    yield f"  table: {_scalar(table.place[1])}"
    yield f"  category: {UNREVIEWED}  # decide"
    yield f"  key: {_flow(table.key)}"
    yield from _tenant(table)
    yield from _times(table)
    yield from _persons(table)
    yield from _dangers(table)
    yield f"  columns: {_flow(table.columns)}"


# ---- whose rows ----


def _tenant(table: TableDraft) -> Iterator[str]:
    if table.family is not None:
        yield from _comment(f"decide: {_plain(table.family.words())}", "  # ")
        yield f"  tenant: {{by: {table.family.by}, pattern: {_scalar(table.family.pattern)}}}"
        return
    for number, found in enumerate(table.routes):
        yield from _comment(_route_words(table, number, found), "  # ")
    for clash in table.disagreements:
        what = f"paths {clash.one + 1} and {clash.other + 1} name different tenants for {clash.rows} rows (contested)"
        yield from _comment(what, "  # ")
    if table.tie:
        yield from _comment("decide: another path is as good; this one is only the first by name", "  # ")
    if table.without_tenant:
        words = f"{table.without_tenant} rows reach no tenant: refuse stops a run, processor keeps them"
        yield from _comment(words, "  # ")
    if table.chosen is None:
        for back in table.backwards:
            yield from _comment(_back_words(back), "  # ")
        if table.referenced_by and not table.backwards:
            yield from _comment(f"decide: rows of tenants reference it, in {', '.join(table.referenced_by)}", "  # ")
        for column in filter(_TENANT_LIKE.fullmatch, table.columns):
            yield from _comment(f"decide: {_plain(column)} is named like a tenant's id: is it by column?", "  # ")
        yield "  tenant: {by: none}  # decide: no foreign-key path from its rows to a tenant"
        return
    route = table.routes[table.chosen].route
    nulls = ", nulls: refuse" if table.without_tenant else ""
    if not route.hops:
        yield f"  tenant: {{by: column, column: {_scalar(route.column)}{nulls}}}"
        return
    yield "  tenant:"
    yield "    by: path"
    yield "    path:"
    yield from (f"      - {_hop(hop)}" for hop in route.hops)
    yield f"    column: {_scalar(route.column)}"
    if nulls:
        yield "    nulls: refuse"


def _route_words(table: TableDraft, number: int, found: Evidence) -> str:
    words = f"path {number + 1}: {_plain(found.route.words())} reaches {found.reached} of {table.rows} rows"
    words += f", {found.tenants} tenants"
    words += ", though no foreign key says so: by name only" if found.route.by_name else ""
    return words + (" (proposed)" if number == table.chosen else "")


def _back_words(back: Backwards) -> str:
    return (
        f"decide: tied to tenants only through {_plain(back.link)}: {back.one} rows to one tenant, {back.several} to "
        f"several, {back.none} to none. What becomes of a row whose last tenant leaves?"
    )


def _hop(hop: Hop) -> str:
    parts = [f"column: {_scalar(hop.column)}"]
    parts += [f"schema: {_scalar(hop.schema_)}"] if hop.schema_ is not None else []
    parts += [f"table: {_scalar(hop.table)}", f"key: {_scalar(hop.key)}"]
    return "{" + ", ".join(parts) + "}"


# ---- since when, and about whom ----


def _times(table: TableDraft) -> Iterator[str]:
    ranked = sorted(table.times, key=time_rank)
    if not ranked:
        return
    yield "  times:"
    # A column without a single past value cannot say when anything was collected.
    first = ranked[0] if ranked[0].filled > ranked[0].future else None
    names: set[str] = set()
    for guess in ranked:
        name = COLLECTION if guess is first else _time_name(guess.column, names)
        names.add(name)
        column = f"{{column: {_scalar(guess.column)}, encoding: {guess.encoding}}}"
        yield f"    {_scalar(name)}: {column}  # {_seen(table, guess)}"


def _time_name(column: str, taken: set[str]) -> str:
    name = _NAME.sub("-", column.lower()).strip("-._")[:70] or "time"
    while name in taken or name == COLLECTION:
        name += "-column"
    return name


def _seen(table: TableDraft, guess: TimeGuess) -> str:
    words = [f"{guess.filled} of {table.rows} filled"]
    if guess.future:
        words.append(f"{guess.future} in the future")
    if guess.naive:
        words.append("without a zone: utc or local?")
    if guess.sampled is not None:
        words.append(f"by a sample: {guess.fits} of {guess.sampled} values fit")
    return ", ".join(words)


def _persons(table: TableDraft) -> Iterator[str]:
    if table.persons:
        yield "  persons:  # by name only"
        yield from (f"    - {{column: {_scalar(column)}, holds: {holds}}}" for column, holds in table.persons)
    if table.free_text:
        names = ", ".join(_plain(column) for column in table.free_text)
        yield from _comment(f"free text that may name persons: {names}", "  # ")


# ---- what a deletion could set off ----


def _dangers(table: TableDraft) -> Iterator[str]:
    for column, nullable in table.inside:
        advice = f"; detach: [{_scalar(column)}] would loosen it first" if nullable else ""
        yield from _comment(f"{_plain(column)} references rows of the same table{advice}", "  # ")
    for child, column, effect in table.on_delete:
        what = f"ON DELETE {effect} reaches {_plain(child)}.{_plain(column)}: declare it under cascades"
        yield from _comment(what, "  # ")
    for trigger in table.triggers:
        yield from _comment(f"trigger {_plain(trigger)}: declare it with its effect, or plans are refused", "  # ")
    if table.hides_rows:
        yield from _comment("row security may hide rows from our role: plans are refused until it cannot", "  # ")


# ---- scalars and comments ----


def _scalar(value: str) -> str:
    """Write a text so that no reader takes it for anything else."""
    return value if _PLAIN.fullmatch(value) and value not in _NOT_PLAIN else json.dumps(value)


def _flow(values: Iterable[str]) -> str:
    return "[" + ", ".join(_scalar(value) for value in values) + "]"


def _plain(name: str) -> str:
    """Show a name of the catalogue in a comment: a line break or a hidden character in it is escaped."""
    return json.dumps(name)[1:-1]


def _comment(words: str, start: str) -> Iterator[str]:
    line = start
    for word in words.split():
        if len(line) + len(word) > _WIDTH and line.strip("# "):
            yield line.rstrip()
            line = f"{start}  "
        line += f"{word} "
    yield line.rstrip()
