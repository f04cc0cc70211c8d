"""What one document can be checked for alone, beyond its model: zones, references within it, periods that contradict.

Each check returns faults whose path leads to the value that is wrong. Nothing here reads another document.
"""

from __future__ import annotations

import base64
import difflib
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import assert_never
from zoneinfo import available_timezones

from lifecycle.core.agreement import Agreement, ByParameter, EventStart, Rule, Term
from lifecycle.core.inventory import Inventory, Logs
from lifecycle.core.operator import OperatorDocument, OperatorsFile
from lifecycle.core.period import Period
from lifecycle.core.settings import Settings
from lifecycle.core.statute import Statutes
from lifecycle.core.tenant import Tenants
from lifecycle.documents.kinds import Document

Found = tuple[tuple[str | int, ...], str, str]

FEDERAL_STATES = frozenset(
    ("BB", "BE", "BW", "BY", "HB", "HE", "HH", "MV", "NI", "NW", "RP", "SH", "SL", "SN", "ST", "TH")
)
_NO_ZONES = frozenset({"localtime", "Factory", "posixrules"})
_SAMPLE = tuple(date(2023, 1, 1) + timedelta(days=day) for day in range(4 * 365 + 1))
"""Four years of start dates, a leap day among them: months and years differ in length by where they begin."""


def faults_of(document: Document) -> list[Found]:
    """Return what is wrong with a document that its model accepted."""
    match document:
        case Agreement():
            return [*_agreement(document)]
        case Inventory():
            return [*_inventory(document)]
        case Statutes():
            return [*_twice("floors", document.floors), *_twice("retrieval", document.retrieval)]
        case OperatorDocument():
            return [*_state(("federal_state",), document.federal_state)]
        case Tenants():
            numbered = enumerate(document.tenants)
            return [
                fault
                for i, tenant in numbered
                for fault in _state(("tenants", i, "federal_state"), tenant.federal_state)
            ]
        case OperatorsFile():
            return [*_operators(document)]
        case Settings():
            return []
        case _:
            assert_never(document)


def warnings_of(document: Document) -> list[Found]:
    """Return what is allowed and still worth knowing."""
    if isinstance(document, Agreement):
        return [*_agreement_warnings(document)]
    if isinstance(document, Inventory) and not document.reviewed:
        return [(("reviewed",), "this inventory is a draft", "nothing is planned from it until it says reviewed: true")]
    return []


@lru_cache(maxsize=4096)
def exceeds(longer: Period, other: Period, days: int = 0) -> bool:
    """Tell whether `longer` plus `days` leads beyond `other` from any start date, leap years included."""
    return any(longer.after(day) + timedelta(days=days) > other.after(day) for day in _SAMPLE)


def crowded(rule: Rule, margin_days: int, readings: dict[str, Period] | None = None) -> bool:
    """Tell whether a rule's floor leaves less than the margin before its ceiling.

    At least two days are needed whatever the margin: the floor ends with its last day, the ceiling is met before its
    day begins, and one day lies between. A period that only the tenant knows is judged by what the two have in common.
    """
    if rule.keep is None or rule.gone_by is None:
        return False
    keep, gone_by = _known(rule.keep, readings), _known(rule.gone_by, readings)
    if keep is None or gone_by is None or keep[0] != gone_by[0]:
        return False
    return _crowded(keep[1], gone_by[1], max(margin_days, 2))


@cache
def _crowded(keep: Period | None, gone_by: Period | None, days: int) -> bool:
    if keep is None and gone_by is None:
        return True
    if keep is None or gone_by is None:
        least = timedelta(days=days)
        return keep is not None or any(gone_by is not None and day + least > gone_by.after(day) for day in _SAMPLE)
    return exceeds(keep, gone_by, days)


def _known(term: Term, readings: dict[str, Period] | None) -> tuple[str | None, Period | None] | None:
    """Return a term as (parameter, fixed part); None when a reading is needed and not at hand."""
    if isinstance(term, Period):
        return None, term
    if isinstance(term, ByParameter):
        if term.plus is None:
            return term.parameter, None
        return None if readings is None else (term.parameter, readings[term.plus.operator])
    return None if readings is None else (None, readings[term.operator])


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _NO_ZONES


def _zone(path: tuple[str | int, ...], name: str | None) -> Iterator[Found]:
    if name is not None and name not in _zones():
        close = difflib.get_close_matches(name, sorted(_zones()), n=1)
        fix = f"did you mean {close[0]}?" if close else "write an IANA zone, for example Europe/Berlin"
        yield path, "this time zone is unknown", fix


def _state(path: tuple[str | int, ...], name: str | None) -> Iterator[Found]:
    if name is not None and name not in FEDERAL_STATES:
        yield path, "this federal state is unknown", f"write one of {', '.join(sorted(FEDERAL_STATES))}"


def _twice(field: str, entries: Iterable[object]) -> Iterator[Found]:
    """Yield a fault for each entry of a list whose id was used before."""
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        name = str(getattr(entry, "id", ""))
        if name in seen:
            yield (field, index, "id"), f"{name!r} stands twice", "give each its own id"
        seen.add(name)


def _agreement(agreement: Agreement) -> Iterator[Found]:
    yield from _zone(("zone",), agreement.zone)
    yield from _twice("categories", agreement.categories)
    yield from _twice("rules", agreement.rules)
    yield from _twice("windows", agreement.windows)
    yield from _twice("subprocessors", agreement.subprocessors)
    yield from _layers(agreement)
    for name, parameter in agreement.parameters.items():
        if parameter.at_least and parameter.at_most and exceeds(parameter.at_least, parameter.at_most):
            yield ("parameters", name, "at_least"), "at_least is longer than at_most", "correct one of the two"
    if agreement.amends is None:
        categories = {category.id for category in agreement.categories}
        yield from names_used(agreement, categories, set(agreement.parameters))
    for index, rule in enumerate(agreement.rules):
        yield from period_faults(agreement, index, rule, 0)
    yield from _conflicts(agreement)


def names_used(agreement: Agreement, categories: set[str], parameters: set[str]) -> Iterator[Found]:
    """Yield a fault for each category or parameter that a rule names and nobody declares."""
    for index, rule in enumerate(agreement.rules):
        if rule.category == "all":
            if not categories:
                yield ("rules", index, "category"), "all of no categories selects nothing", "declare the categories"
        else:
            for place, name in enumerate(rule.category):
                if name not in categories:
                    fix = _near(name, categories) or "declare it under categories, or correct the name"
                    yield ("rules", index, "category", place), f"the category {name!r} is not declared", fix
        for field in ("keep", "gone_by"):
            term = getattr(rule, field)
            if isinstance(term, ByParameter) and term.parameter not in parameters:
                fix = _near(term.parameter, parameters) or "declare it under parameters, or correct the name"
                yield ("rules", index, field, "parameter"), f"the parameter {term.parameter!r} is not declared", fix


def _near(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else None


def period_faults(
    agreement: Agreement, index: int, rule: Rule, margin_days: int, readings: dict[str, Period] | None = None
) -> Iterator[Found]:
    """Yield the contradictions between a rule's floor and its ceiling, and between its ceiling and a window."""
    if crowded(rule, margin_days, readings):
        what = f"keep leaves less than {max(margin_days, 2)} days before gone_by (floor above ceiling, margin included)"
        yield ("rules", index, "keep"), what, "shorten keep or lengthen gone_by"
    ceiling = _known(rule.gone_by, readings) if rule.gone_by is not None else None
    if rule.start == "contract-end" and ceiling is not None and ceiling[0] is None and ceiling[1] is not None:
        for window in agreement.windows:
            if exceeds(window.keep, ceiling[1]):
                what = f"this ceiling lies within the window {window.id!r}, which promises {window.keep}"
                yield ("rules", index, "gone_by"), what, "count from window-end, or correct one of the two periods"


def _layers(agreement: Agreement) -> Iterator[Found]:
    if (agreement.layer == "individual") != (agreement.amends is not None):
        fix = "write layer: individual together with amends: ID of the agreement"
        yield ("layer",), "an individual agreement amends another one, and only an individual one does", fix
    if agreement.amends == agreement.id:
        yield ("amends",), "the agreement amends itself", "name the standard agreement, and give this one its own id"
    order = agreement.precedence.order
    if order != "unknown" and agreement.layer not in order:
        yield ("precedence", "order"), f"the order leaves out this document's own layer {agreement.layer}", "add it"


def _conflicts(agreement: Agreement) -> Iterator[Found]:
    """Yield each pair of rules of this layer that cannot both be kept: same category, same start, other promise."""
    for later, second in enumerate(agreement.rules):
        for earlier, first in enumerate(agreement.rules[:later]):
            shared = first.category == "all" or second.category == "all" or set(first.category) & set(second.category)
            if shared and _start(first) == _start(second) and (why := _contradiction(first, second)):
                what = f"the rules {first.id!r} and {second.id!r} conflict at equal rank: {why}"
                fix = "merge them, split their categories, or put one into another layer"
                yield from ((("rules", place), what, fix) for place in (earlier, later))


def _start(rule: Rule) -> str:
    return f"event {rule.start.event}" if isinstance(rule.start, EventStart) else rule.start


def _contradiction(first: Rule, second: Rule) -> str | None:
    if first.action != second.action:
        return "one deletes, the other anonymises"
    for field in ("keep", "gone_by"):
        one, other = getattr(first, field), getattr(second, field)
        if one is not None and other is not None and one != other:
            return f"two different figures for {field}"
    for floor, ceiling in ((first.keep, second.gone_by), (second.keep, first.gone_by)):
        if isinstance(floor, Period) and isinstance(ceiling, Period) and exceeds(floor, ceiling, 2):
            return "the floor of one lies above the ceiling of the other"
    return None


def _agreement_warnings(agreement: Agreement) -> Iterator[Found]:
    if not agreement.backups.delay_agreed:
        fix = "agree one: until then a deletion counts as complete only when the backups are clean"
        yield ("backups",), "backup cycle not agreed", fix
    used = {
        term.parameter
        for rule in agreement.rules
        for term in (rule.keep, rule.gone_by)
        if isinstance(term, ByParameter)
    }
    for name in agreement.parameters:
        if name not in used:
            yield ("parameters", name), f"no rule of this document uses the parameter {name!r}", "use it, or remove it"
    if agreement.amends is None and not any(rule.start in {"contract-end", "window-end"} for rule in agreement.rules):
        fix = "add a rule that starts at window-end (Art. 28(3)(g) GDPR)"
        yield ("rules",), "no rule deletes after the contract's end", fix
    assumed = [index for index, category in enumerate(agreement.categories) if category.assumed]
    if assumed:
        what = f"{len(assumed)} categories are assumptions: the annex that names them is not at hand"
        yield ("categories", assumed[0]), what, "check them against the annex and remove assumed"


def _inventory(inventory: Inventory) -> Iterator[Found]:
    tables: set[tuple[str, str | None, str, str | None]] = set()
    for index, dataset in enumerate(inventory.datasets):
        for name, time in dataset.times.items():
            yield from _zone(("datasets", index, "times", name, "zone"), time.zone)
        if isinstance(dataset.files, Logs):
            yield from _zone(("datasets", index, "files", "zone"), dataset.files.zone)
        table = (dataset.store, dataset.schema_, dataset.table, dataset.tenant.pattern)
        if table in tables and not dataset.only:
            fix = "declare it once, or restrict each with only"
            yield ("datasets", index, "table"), "another dataset already covers this table", fix
        tables.add(table)
        for place, link in enumerate(dataset.references):
            if link.key_template.count("{value}") != 1:
                fix = "write {value} once, where the column's value stands"
                yield (
                    ("datasets", index, "references", place, "key_template"),
                    "every row would reference one object",
                    fix,
                )
    for index, entry in enumerate(inventory.not_personal):
        if (entry.store, entry.schema_, entry.table, None) in tables:
            fix = "keep it as a dataset, or remove the dataset"
            yield ("not_personal", index, "table"), "this table is a dataset with a category, so it is personal", fix
    yield from _addresses(inventory)


def _addresses(inventory: Inventory) -> Iterator[Found]:
    """Yield a fault where production and test are reached by the same secret."""
    seen: dict[object, str] = {}
    for index, store in enumerate(inventory.stores):
        other = seen.setdefault(store.address, store.environment)
        if other != store.environment:
            fix = "give each environment its own credential"
            yield ("stores", index, "address"), "production and test are reached by the same credential", fix


def _operators(document: OperatorsFile) -> Iterator[Found]:
    for index, operator in enumerate(document.operators):
        if base64.b64encode(base64.b64decode(operator.public_key)).decode() != operator.public_key:
            yield ("operators", index, "public_key"), "the key is not base64 of 32 bytes", "copy it again, whole"
        if operator.removed_on is not None and operator.removed_on < operator.added_on:
            yield ("operators", index, "removed_on"), "the operator is removed before being added", "correct one day"
