"""What changes between two sets of documents: which rows go earlier or later, what is new, what is removed. Pure.

Whatever lets a row go earlier widens deletion; so does what nobody can order (another start, another scope): both are
marked for the second pair of eyes. A rule that is removed deletes nothing: its rows stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lifecycle.core.agreement import Agreement, Rule
from lifecycle.core.inventory import Dataset
from lifecycle.core.operator import Readings
from lifecycle.core.period import Period
from lifecycle.core.statute import Statutes
from lifecycle.core.terms import ByReading, EventStart, Term

Effect = Literal["earlier", "later", "none", "unclear"]
Kind = Literal["new", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Documents:
    """One side of a comparison; `readings` are the operator's, None where no operator document is among them."""

    agreements: Sequence[Agreement] = ()
    statutes: Sequence[Statutes] = ()
    readings: Readings | None = None
    datasets: Sequence[Dataset] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: where, what it was and is (texts of the documents), and in which direction rows move."""

    kind: Kind
    subject: str
    field: str | None
    old: str | None
    new: str | None
    effect: Effect
    datasets: tuple[str, ...] = ()

    @property
    def widens(self) -> bool:
        """Tell whether a row may go earlier than before."""
        return self.effect in {"earlier", "unclear"}


@dataclass(frozen=True, slots=True)
class _Fact:
    """One statement: its text, and how it is ordered against another one of the same `base`."""

    text: str
    base: str = ""
    days: int | None = None
    members: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class _Subject:
    """Something that documents state: what a new and a removed one do to rows, and its statements by field."""

    name: str
    new: Effect
    removed: Effect
    facts: Mapping[str, _Fact]
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Order:
    """What a field's changes do: when it appears, vanishes, grows or shrinks; None: nobody can order it."""

    appears: Effect = "unclear"
    vanishes: Effect = "unclear"
    more: Effect = "unclear"
    less: Effect = "unclear"
    differs: Effect = "unclear"


_KEEP = _Order("later", "earlier", "later", "earlier")
_ORDERS: Mapping[str, _Order] = {
    "keep": _KEEP,
    "period": _KEEP,
    "gone_by": _Order("earlier", "later", "later", "earlier"),
    "category": _Order(more="earlier", less="later"),
    "statutory": _Order("later", "earlier", "later", "earlier"),
    "clause": _Order("none", "none", differs="none"),
    "own": _Order("none", "none", differs="none"),
}
_UNORDERED = _Order()


def compare(old: Documents, new: Documents) -> tuple[Change, ...]:
    """Return every difference, what widens first, then by subject and field."""
    before, after = _subjects(old), _subjects(new)
    found: list[Change] = []
    for name in sorted({*before, *after}):
        if name not in before:
            found.append(Change("new", name, None, None, _told(after[name]), after[name].new, after[name].datasets))
        elif name not in after:
            gone = before[name]
            found.append(Change("removed", name, None, _told(gone), None, gone.removed, gone.datasets))
        else:
            found.extend(_changed(before[name], after[name]))
    return tuple(sorted(found, key=lambda c: (not c.widens, c.subject, c.field or "")))


def _told(subject: _Subject) -> str:
    return ", ".join(f"{name} {fact.text}" for name, fact in subject.facts.items())


def _changed(was: _Subject, is_: _Subject) -> Iterator[Change]:
    touched = tuple(sorted({*was.datasets, *is_.datasets}))
    for name in dict.fromkeys([*was.facts, *is_.facts]):
        old, new = was.facts.get(name), is_.facts.get(name)
        if old != new:
            effect = _effect(_ORDERS.get(name, _UNORDERED), old, new)
            texts = [fact.text if fact is not None else None for fact in (old, new)]
            yield Change("changed", was.name, name, texts[0], texts[1], effect, touched)


def _effect(order: _Order, old: _Fact | None, new: _Fact | None) -> Effect:
    if old is None or new is None:
        return order.appears if old is None else order.vanishes
    if old.members is not None and new.members is not None:
        if old.members < new.members:
            return order.more
        return order.less if new.members < old.members else "unclear"
    if old.days is not None and new.days is not None and old.base == new.base:
        return "none" if old.days == new.days else order.more if new.days > old.days else order.less
    return order.differs


# ---- what documents state --------------------------------------------------------------------------------------------


def _subjects(side: Documents) -> dict[str, _Subject]:
    found = [*_of_agreements(side), *_of_statutes(side), *(_of_dataset(dataset) for dataset in side.datasets)]
    return {subject.name: subject for subject in found}


def _of_agreements(side: Documents) -> Iterator[_Subject]:
    for agreement in side.agreements:
        where = f"{agreement.id}@{agreement.version}"
        for rule in agreement.rules:
            yield _Subject(f"{where} rule {rule.id}", "earlier", "later", _rule(side, rule), _bound(side, rule))
        for window in agreement.windows:
            facts = {"keep": _period(window.keep), "clause": _Fact(window.clause)}
            yield _Subject(f"{where} window {window.id}", "later", "earlier", facts)
        for name, parameter in agreement.parameters.items():
            bounds = {"at_least": parameter.at_least, "at_most": parameter.at_most}
            facts = {bound: _period(period) for bound, period in bounds.items() if period is not None}
            yield _Subject(f"{where} parameter {name}", "none", "unclear", facts | {"clause": _Fact(parameter.clause)})
        terms = {"zone": _Fact(agreement.zone), "choice": _Fact(str(agreement.choice.default))}
        terms["data_act"] = _Fact(str(agreement.data_act.applies))
        yield _Subject(f"{where} terms", "none", "later", terms)


def _rule(side: Documents, rule: Rule) -> dict[str, _Fact]:
    categories = ["all"] if rule.category == "all" else sorted(rule.category)
    # A rule for all binds more than any list of categories.
    members = None if rule.category == "all" else frozenset(categories)
    start = rule.start.event if isinstance(rule.start, EventStart) else rule.start
    facts = {"category": _Fact(", ".join(categories), members=members), "start": _Fact(start)}
    for name, term in (("keep", rule.keep), ("gone_by", rule.gone_by)):
        if term is not None:
            facts[name] = _term(side.readings, term)
    facts["action"] = _Fact(rule.action)
    for name, text in (("clause", rule.clause), ("own", rule.own)):
        if text is not None:
            facts[name] = _Fact(text)
    return facts


def _bound(side: Documents, rule: Rule) -> tuple[str, ...]:
    return tuple(d.id for d in side.datasets if rule.category == "all" or d.category in rule.category)


def _term(readings: Readings | None, term: Term) -> _Fact:
    if isinstance(term, Period):
        return _period(term)
    if isinstance(term, ByReading):
        return _reading(readings, term)
    if term.plus is None:
        return _Fact(f"parameter {term.parameter}", term.parameter, 0)
    plus = _reading(readings, term.plus)
    return _Fact(f"parameter {term.parameter} + {plus.text}", f"{term.parameter}+{plus.base}", plus.days)


def _reading(readings: Readings | None, term: ByReading) -> _Fact:
    if readings is None:
        return _Fact(f"reading {term.operator}", term.operator, 0)
    period = readings.of(term.operator)
    return _Fact(f"{period} (reading {term.operator})", days=period.least_days())


def _period(period: Period) -> _Fact:
    return _Fact(str(period), days=period.least_days())


def _of_statutes(side: Documents) -> Iterator[_Subject]:
    for statutes in side.statutes:
        for floor in statutes.floors:
            facts = {
                "period": _period(floor.period),
                "kinds": _Fact(", ".join(floor.kinds)),
                "starts": _Fact(floor.starts),
                "valid": _Fact(f"{floor.valid_from or '…'} to {floor.valid_until or '…'}"),
                "citation": _Fact(floor.citation),
            }
            kept = tuple(d.id for d in side.datasets if any(record.kind in floor.kinds for record in d.statutory))
            yield _Subject(f"statute {statutes.id} {floor.id}", "later", "earlier", facts, kept)
        for right in statutes.retrieval:
            facts = {"period": _period(right.period), "valid": _Fact(f"from {right.valid_from}")}
            yield _Subject(f"statute {statutes.id} {right.id}", "later", "earlier", facts)


def _of_dataset(dataset: Dataset) -> _Subject:
    facts = {
        "store": _Fact(dataset.store),
        "table": _Fact(f"{dataset.schema_}.{dataset.table}" if dataset.schema_ else dataset.table),
        "category": _Fact(dataset.category),
        "tenant": _Fact(dataset.tenant.model_dump_json(by_alias=True, exclude_defaults=True)),
        "anonymise": _Fact("; ".join(one.model_dump_json() for one in dataset.anonymise) or "nothing"),
        "only": _Fact("; ".join(one.model_dump_json() for one in dataset.only) or "every row"),
    }
    facts |= {
        f"time {name}": _Fact(time.model_dump_json(exclude_defaults=True)) for name, time in dataset.times.items()
    }
    records = frozenset(f"{record.kind} by {record.holder} from {record.start}" for record in dataset.statutory)
    facts["statutory"] = _Fact(", ".join(sorted(records)) or "none", members=records)
    return _Subject(f"dataset {dataset.id}", "earlier", "later", facts, (dataset.id,))
