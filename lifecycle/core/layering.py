"""What an agreement says for one tenant: its layers in their own order of precedence, its parameters within bounds.

An individual layer amends the agreement rule by rule and window by window, or replaces it; which of two layers wins is
for the agreement's own order to say. An unknown order is no obstacle until two layers contradict each other (nexcore
"Geltung und Rangfolge"; parking reminder 9.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Generic, TypeVar

from lifecycle.core.agreement import (
    Agreement,
    ByParameter,
    ByReading,
    EventStart,
    ExportWindow,
    Parameter,
    Rule,
    Term,
)
from lifecycle.core.effective import Effective, EffectiveRule, EffectiveWindow, Figure, Lost, Part
from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.operator import Readings
from lifecycle.core.period import ONE_DAY, Period
from lifecycle.core.policy import Policy
from lifecycle.core.tenant import Tenant

__all__ = ["Effective", "EffectiveRule", "EffectiveWindow", "Figure", "Lost", "Part", "effective"]

_T = TypeVar("_T")
_PLACES = frozenset({"clause", "note", "statute", "description"})
_SINGLES = ("zone", "choice", "data_act", "proof", "backups", "on_doubt")


@dataclass(frozen=True, slots=True)
class _Won(Generic[_T]):
    """An item that stands, and the document it stands in."""

    name: str
    item: _T
    by: Agreement


@dataclass(frozen=True, slots=True)
class _Layers:
    """The agreement and the tenant's individual layer, with the order that the agreement gives them."""

    base: Agreement
    individual: Agreement | None

    @property
    def documents(self) -> tuple[Agreement, ...]:
        """Return the agreement and, where there is one, the individual layer."""
        return (self.base,) if self.individual is None else (self.base, self.individual)

    @property
    def replaces(self) -> bool:
        """Tell whether the individual layer stands in place of the whole agreement."""
        if self.individual is None:
            return False
        mode = self.individual.precedence.individual or self.base.precedence.individual
        return mode == "replaces"

    def ranked(self, what: str) -> tuple[Agreement, Agreement]:
        """Return (winner, loser) for a contradiction. Raises Refused (guard `precedence-unknown`) without an order."""
        own, order = self.individual, self.base.precedence.order
        if own is None or order == "unknown" or own.layer not in order or self.base.layer not in order:
            raise Refused(
                f"agreement {self.base.id}: two layers contradict each other on {what}, and no order decides",
                guard="precedence-unknown",
                advice="Settle with the controller which document prevails and write it into `precedence.order`.",
            )
        return (own, self.base) if order.index(own.layer) < order.index(self.base.layer) else (self.base, own)

    def merge(
        self, what: str, of: Callable[[Agreement], Mapping[str, _T]], content: Callable[[_T], object]
    ) -> tuple[list[_Won[_T]], list[tuple[str, _T, Agreement, Agreement]]]:
        """Return what stands and what lost (id, item, its document, the winning document), in document order."""
        won: list[_Won[_T]] = []
        lost: list[tuple[str, _T, Agreement, Agreement]] = []
        for name in dict.fromkeys(name for document in self.documents for name in of(document)):
            said = [(document, of(document)[name]) for document in self.documents if name in of(document)]
            contents = [content(item) for _, item in said]
            if (len(said) == 1 and not self.replaces) or contents[1:] == contents[:1]:
                won.append(_Won(name, said[0][1], said[0][0]))
                continue
            winner, loser = self.ranked(f"{what} {name}")
            won.extend(_Won(name, item, document) for document, item in said if document is winner)
            lost.extend((name, item, loser, winner) for document, item in said if document is loser)
        return won, lost

    def single(self, field: str) -> tuple[Any, list[Lost]]:
        """Return the one value of a field that an agreement states once; an individual layer may be silent."""
        value = getattr(self.base, field)
        if self.individual is None or field not in self.individual.model_fields_set:
            return value, []
        own = getattr(self.individual, field)
        if _plain(own) == _plain(value):
            return value, []
        winner, loser = self.ranked(field)
        return getattr(winner, field), [Lost(field, field, loser.layer, _where(loser), winner.layer)]


def effective(policy: Policy, tenant: Tenant) -> Effective:
    """Return what the tenant's agreement and its individual layer say together.

    Raises InvalidDocument when agreement, version or layer is not there, or a parameter is undeclared or out of bounds;
    Refused (guard `precedence-unknown`) when two layers contradict each other and no order decides; Refused (guard
    `parameter-missing`) when a required parameter is not set.
    """
    base = _document(policy, tenant.agreement, tenant.agreement_version)
    layers = _Layers(base, _individual(policy, base, tenant))
    declared, _ = layers.merge("parameter", lambda a: a.parameters, _plain)
    terms = _Terms(base.id, {won.name: won.item for won in declared}, tenant.parameters, policy.operator.readings)
    terms.check()
    categories = _categories(layers)
    rules, lost_rules, unset = _rules(layers, terms, categories)
    windows, lost_windows = _windows(layers)
    singles = {field: layers.single(field) for field in _SINGLES}
    individual = layers.individual
    return Effective(
        agreement=base.id,
        version=base.version,
        individual=None if individual is None else f"{individual.id}@{individual.version}",
        categories=categories,
        rules=rules,
        windows=windows,
        parameters=tuple(sorted((name, str(value)) for name, value in tenant.parameters.items())),
        overridden=(*lost_rules, *lost_windows, *(lost for _, found in singles.values() for lost in found)),
        unset=unset,
        **{field: value for field, (value, _) in singles.items()},
    )


@dataclass(frozen=True, slots=True)
class _Terms:
    """Turns terms into figures: parameters of the tenant, readings of the operator."""

    agreement: str
    declared: Mapping[str, Parameter]
    values: Mapping[str, Period]
    readings: Readings

    def check(self) -> None:
        """Raise for parameters that are undeclared, missing though required, or out of bounds."""
        for name in self.values:
            if name not in self.declared:
                raise InvalidDocument(
                    f"agreement {self.agreement} declares no parameter {name!r}",
                    advice="Correct the parameter's name in the tenants document.",
                )
        for name, parameter in self.declared.items():
            value = self.values.get(name)
            if value is None and parameter.required:
                raise Refused(
                    f"agreement {self.agreement}: the parameter {name!r} of clause {parameter.clause} is not set",
                    guard="parameter-missing",
                    advice="Ask the controller for the period and record it for the tenant; there is no default.",
                )
            if value is not None:
                _check_bounds(name, value, parameter)

    def figure(self, term: Term, source: str, *, own: bool) -> Figure | None:
        """Return the figure of a term, or None when its optional parameter is not set."""
        if isinstance(term, Period):
            return Figure((Part(term, "reading" if own else "clause", source),))
        if isinstance(term, ByReading):
            return Figure((self._reading(term),))
        if term.parameter not in self.declared:
            raise InvalidDocument(
                f"agreement {self.agreement}: a rule uses the parameter {term.parameter!r}, which is not declared",
                advice="Declare it under `parameters`, with its clause.",
            )
        value = self.values.get(term.parameter)
        if value is None:
            return None
        clause = self.declared[term.parameter].clause
        first = Part(value, "controller", f"{term.parameter} ({clause})")
        return Figure((first,) if term.plus is None else (first, self._reading(term.plus)))

    def _reading(self, term: ByReading) -> Part:
        return Part(self.readings.of(term.operator), "reading", term.operator)


def _rules(
    layers: _Layers, terms: _Terms, categories: tuple[str, ...]
) -> tuple[tuple[EffectiveRule, ...], list[Lost], tuple[str, ...]]:
    won, lost = layers.merge("rule", lambda a: {rule.id: rule for rule in a.rules}, _rule_content)
    losses = [_lost_rule(rule, loser, winner, categories) for _, rule, loser, winner in lost]
    rules, unset = [], []
    for standing in won:
        rule = standing.item
        source = rule.clause or "the operator's own rule"
        keep, gone_by = (
            None if term is None else terms.figure(term, source, own=rule.own is not None)
            for term in (rule.keep, rule.gone_by)
        )
        if (keep is None) != (rule.keep is None) or (gone_by is None) != (rule.gone_by is None):
            unset.append(rule.id)
            continue
        rules.append(
            EffectiveRule(
                id=rule.id,
                layer=standing.by.layer,
                clause=rule.clause,
                own=rule.own,
                category=_named(rule, categories),
                start=_start(rule),
                keep=keep,
                gone_by=gone_by,
                action=rule.action,
                anonymise_clause=rule.anonymise_clause,
                note=rule.note,
                overridden=tuple(loss for loss in losses if loss.id == rule.id),
            )
        )
    return tuple(rules), losses, tuple(unset)


def _windows(layers: _Layers) -> tuple[tuple[EffectiveWindow, ...], list[Lost]]:
    won, lost = layers.merge("window", lambda a: {window.id: window for window in a.windows}, _window_content)
    losses = [
        Lost("window", name, loser.layer, window.clause, winner.layer, "contract-end", keep=str(window.keep))
        for name, window, loser, winner in lost
    ]
    windows = tuple(
        EffectiveWindow(
            id=standing.item.id,
            layer=standing.by.layer,
            clause=standing.item.clause,
            keep=standing.item.keep,
            licence=standing.item.licence,
            formats=standing.item.formats,
            note=standing.item.note,
            overridden=tuple(loss for loss in losses if loss.id == standing.item.id),
        )
        for standing in won
    )
    return windows, losses


def _document(policy: Policy, name: str, version: str | None) -> Agreement:
    try:
        return policy.agreement(name, version)
    except KeyError:
        wanted = name if version is None else f"{name}@{version}"
        raise InvalidDocument(
            f"no agreement, or more than one, is {wanted}",
            advice="Bind the tenant to agreement and version as the policies directory has them.",
        ) from None


def _individual(policy: Policy, base: Agreement, tenant: Tenant) -> Agreement | None:
    if tenant.individual is None:
        return None
    own = _document(policy, tenant.individual, None)
    if own.layer != "individual" or own.amends != base.id:
        raise InvalidDocument(
            f"{own.id} is not an individual layer of the agreement {base.id}",
            advice=f"Write `layer: individual` and `amends: {base.id}`, or bind the tenant to another document.",
        )
    return own


def _categories(layers: _Layers) -> tuple[str, ...]:
    return tuple(dict.fromkeys(category.id for document in layers.documents for category in document.categories))


def _named(rule: Rule, categories: tuple[str, ...]) -> tuple[str, ...]:
    return categories if rule.category == "all" else tuple(rule.category)


def _start(rule: Rule) -> str:
    return rule.start.event if isinstance(rule.start, EventStart) else rule.start


def _rule_content(rule: Rule) -> object:
    category = rule.category if rule.category == "all" else frozenset(rule.category)
    return (category, _start(rule), rule.keep, rule.gone_by, rule.action)


def _window_content(window: ExportWindow) -> object:
    return (window.keep, window.licence, window.formats)


def _plain(value: object) -> object:
    """Return a value without the fields that say where it stands: they differ between documents by nature."""
    if isinstance(value, str):
        return value
    return {name: part for name, part in dict(value).items() if name not in _PLACES}  # type: ignore[call-overload]


def _where(document: Agreement) -> str:
    return f"{document.id}@{document.version}"


def _lost_rule(rule: Rule, loser: Agreement, winner: Agreement, categories: tuple[str, ...]) -> Lost:
    return Lost(
        "rule",
        rule.id,
        loser.layer,
        rule.clause or "the operator's own rule",
        winner.layer,
        _start(rule),
        _term_text(rule.keep),
        _term_text(rule.gone_by),
        _named(rule, categories),
    )


def _term_text(term: Term | None) -> str | None:
    if isinstance(term, ByParameter):
        return term.parameter if term.plus is None else f"{term.parameter} + {term.plus.operator}"
    if isinstance(term, ByReading):
        return term.operator
    return None if term is None else str(term)


def _check_bounds(name: str, value: Period, parameter: Parameter) -> None:
    low, high = parameter.at_least, parameter.at_most
    if (low is None or _never_shorter(value, low)) and (high is None or _never_shorter(high, value)):
        return
    bounds = " and ".join(f"at {word} {bound}" for word, bound in (("least", low), ("most", high)) if bound is not None)
    raise InvalidDocument(
        f"parameter {name!r} is {value}, and clause {parameter.clause} wants {bounds}",
        advice="Record a period within the bounds, or agree on other bounds with the controller.",
    )


def _never_shorter(one: Period, other: Period) -> bool:
    """Tell whether `one` ends no earlier than `other` from whatever day both are counted."""
    days = one.weeks * 7 + one.days - other.weeks * 7 - other.days
    return _least_between(other.years * 12 + other.months, one.years * 12 + one.months) + days >= 0


@lru_cache(maxsize=256)
def _least_between(fewer: int, more: int) -> int:
    """Return the least number of days by which `more` months end after `fewer` months; negative where they end before.

    Tried on every start day of eight years, among them the turn of 2100, which skips its leap day.
    """
    starts = (date(2096, 1, 1) + number * ONE_DAY for number in range(366 * 8))
    return min((Period(months=more).after(day) - Period(months=fewer).after(day)).days for day in starts)
