"""What binds one tenant once layers and parameters are resolved: figures with label, source and layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lifecycle.core.agreement import BackupPromise, Choice, DataAct, Proof
from lifecycle.core.calendar import Periods
from lifecycle.core.period import Period
from lifecycle.core.reason import Label


@dataclass(frozen=True, slots=True)
class Part:
    """One period of a figure, where it comes from, and its source: clause, parameter or reading."""

    period: Period
    label: Label
    source: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A resolved term: its parts are added one after the other. The first part gives the label."""

    parts: tuple[Part, ...]

    @property
    def periods(self) -> Periods:
        """Return the periods in the order in which they are added."""
        return tuple(part.period for part in self.parts)

    @property
    def label(self) -> Label:
        """Return the label of the leading figure."""
        return self.parts[0].label

    @property
    def source(self) -> str:
        """Return all sources, in order."""
        return " + ".join(part.source for part in self.parts)

    def __str__(self) -> str:
        """Return the ISO texts, in order."""
        return " + ".join(str(part.period) for part in self.parts)

    def least_days(self) -> int:
        """Return the fewest days the figure can span."""
        return sum(part.period.least_days() for part in self.parts)


@dataclass(frozen=True, slots=True)
class Lost:
    """What one layer said and another overrode; figures as text, for `explain`."""

    what: str
    id: str
    layer: str
    source: str
    to_layer: str
    start: str | None = None
    keep: str | None = None
    gone_by: str | None = None
    category: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EffectiveRule:
    """One rule as it binds this tenant. `start` is a start time's name, `contract-end` or `window-end`."""

    id: str
    layer: str
    clause: str | None
    own: str | None
    category: tuple[str, ...]
    start: str
    keep: Figure | None
    gone_by: Figure | None
    action: Literal["delete", "anonymise"]
    anonymise_clause: str | None = None
    note: str | None = None
    overridden: tuple[Lost, ...] = ()

    @property
    def offboarding(self) -> bool:
        """Tell whether the rule counts from the contract's or the window's end."""
        return self.start in {"contract-end", "window-end"}

    @property
    def source(self) -> str:
        """Return the clause, or say that the rule is the operator's own."""
        return self.clause or "the operator's own rule"


@dataclass(frozen=True, slots=True)
class EffectiveWindow:
    """One contractual pick-up period as it binds this tenant."""

    id: str
    layer: str
    clause: str
    keep: Period
    licence: str | None = None
    formats: tuple[str, ...] = ()
    note: str | None = None
    overridden: tuple[Lost, ...] = ()


@dataclass(frozen=True, slots=True)
class Effective:
    """What binds one tenant, and every tenant with the same agreement, version, individual layer and parameters.

    `individual` is `id@version` or None; `parameters` are ISO texts by name; `unset` names the rules that do not bind
    because an optional parameter of theirs is not set.
    """

    agreement: str
    version: str
    individual: str | None
    zone: str
    categories: tuple[str, ...]
    rules: tuple[EffectiveRule, ...]
    windows: tuple[EffectiveWindow, ...]
    choice: Choice
    data_act: DataAct
    proof: Proof
    backups: BackupPromise
    on_doubt: Literal["inform", "suspend"]
    parameters: tuple[tuple[str, str], ...]
    overridden: tuple[Lost, ...] = ()
    unset: tuple[str, ...] = ()

    def record_rules(self, category: str) -> tuple[EffectiveRule, ...]:
        """Return the rules that count from a record's own time and bind this category."""
        return tuple(rule for rule in self.rules if not rule.offboarding and category in rule.category)

    def offboarding_rules(self, category: str) -> tuple[EffectiveRule, ...]:
        """Return the rules that count from the contract's or the window's end and bind this category."""
        return tuple(rule for rule in self.rules if rule.offboarding and category in rule.category)
