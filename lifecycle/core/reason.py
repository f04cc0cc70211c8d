"""Why a datum stays or goes: one reason with its figure, its label and its source, as `explain` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Label = Literal["clause", "controller", "statute", "reading", "hold"]
"""Where a figure comes from: the text, the tenant's parameter, the law, the operator's reading, or a hold."""

DutyHolder = Literal["processor", "controller"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One floor, ceiling or hold of a datum.

    `day` of a floor: the first day it no longer binds; of a ceiling: the day before whose beginning the datum must be
    gone; None for a hold, for a start that is not known (yet) and for a figure of a layer that lost.
    `period`: ISO text, several joined by " + ". `start`: the start time's name. `binds`: False for what is only
    mentioned, with the cause in `note`.
    """

    kind: Literal["floor", "ceiling", "hold"]
    day: date | None
    period: str | None
    start: str | None
    label: Label
    source: str
    duty_holder: DutyHolder | None = None
    rule: str | None = None
    layer: str | None = None
    note: str | None = None
    binds: bool = True
