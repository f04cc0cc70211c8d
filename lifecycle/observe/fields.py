"""What a log line may say: a closed list of keys, and for each the shapes that no personal data has (I23).

Names that people choose (rules, stores, datasets, operators …) pass only if the deployment's documents declare them;
ids of ours pass by their generated form; everything else is a count, a digest, a date, or a word of the code's own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

from lifecycle.core.errors import LifecycleError
from lifecycle.evidence import schema
from lifecycle.evidence.entry import TYPES
from lifecycle.evidence.errors import Malformed

Plain = bool | int | float | str
Reading = Callable[[object], Plain | None]

EVENTS: Final = frozenset(TYPES) | {
    "daemon.started",
    "daemon.stopped",
    "leader.gained",
    "leader.lost",
    "tick.finished",
    "tick.skipped",
    "tick.missed",
    "tick.failed",
    "look.done",
    "look.failed",
    "look.disagrees",
    "follow.failed",
    "control.failed",
    "alive.failed",
    "documents.reloaded",
    "reload.failed",
    "run.finished",
    "run.failed",
    "run.paused",
    "rule.parked",
    "rule.breached",
    "batch.done",
    "clock.spread",
    "http.started",
    "library.message",
}
"""Every event: those of the deployment's log, and what only the process' own log tells. A new one is added here.

Each has somebody who tells it: a test compares."""

# A word of the code (a guard, a state, an outcome): short, lower case, no digits in front.
_WORD: Final = re.compile(r"[a-z]{1,24}(?:-[a-z0-9]{1,16}){0,4}")
# One letter or word, then what a digest or a counter made: never a name.
_GENERATED: Final = re.compile(r"[a-z]{1,12}-(?:[0-9a-f]{12,64}|[0-9]{1,12}|[0-9]{4}-[0-9]{1,12})")
_VERSION: Final = re.compile(r"[0-9]{1,4}(?:[.-][0-9]{1,4}){0,3}(?:(?:a|b|rc|\.dev|\.post)[0-9]{1,3})?")
_STEP: Final = re.compile(r"s[0-9]{3}")
_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
_CLASS: Final = re.compile(r"[A-Z][A-Za-z0-9]{1,59}")
_LIBRARY: Final = re.compile(r"[a-z_]{1,30}")
# A place in the code itself.
_WHERE: Final = re.compile(r"[a-z_/]{1,80}\.py:[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Names:
    """Names that the deployment's documents declare, by key (`rule`, `store`, `dataset`, `category`, …)."""

    declared: Mapping[str, Collection[str]] = field(default_factory=dict)

    def has(self, key: str, name: object) -> bool:
        """Whether the documents declare this name."""
        return isinstance(name, str) and name in self.declared.get(key, ())


DECLARED: Final = ("rule", "store", "dataset", "category", "agreement", "operator", "author")


def read(key: str, value: object, names: Names) -> Plain | None:
    """Return the value as it may be written, or None when the key or the value's form is not on the list."""
    if key in DECLARED:
        return value if isinstance(value, str) and names.has(key, value) else None
    reading = _READINGS.get(key)
    return None if reading is None else reading(value)


def _shaped(expression: re.Pattern[str]) -> Reading:
    def reading(value: object) -> str | None:
        return value if isinstance(value, str) and expression.fullmatch(value) else None

    return reading


def _among(words: frozenset[str]) -> Reading:
    def reading(value: object) -> str | None:
        return value if isinstance(value, str) and value in words else None

    return reading


def _checked(check: schema.Check) -> Reading:
    def reading(value: object) -> Plain | None:
        try:
            check(value, "value")
        except Malformed:
            return None
        return value if isinstance(value, (bool, int, str)) else None

    return reading


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return round(float(value), 6)


def _day(value: object) -> Plain | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return _checked(schema.day)(value)


def _instant(value: object) -> Plain | None:
    if isinstance(value, datetime):
        return schema.format_instant(value.astimezone(UTC)) if value.tzinfo else None
    return _checked(schema.instant)(value)


def _why(value: object) -> str | None:
    """Read the message of an error of ours: it never holds values, keys, names or addresses (I23). No other's text."""
    return _line(value.message) if isinstance(value, LifecycleError) else None


def _advice(value: object) -> str | None:
    return _line(value.advice()) if isinstance(value, LifecycleError) else None


def _line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:_MOST_WORDS]


_MOST_WORDS: Final = 500
_COUNTS: Final = (
    "index",
    "number",
    "epoch",
    "expected",
    "limit",
    "planned",
    "done",
    "deleted",
    "kept",
    "late",
    "batches",
    "rows",
    "bytes",
    "items",
    "residue",
    "orphans",
    "undatable",
    "unattributed",
    "contested",
    "unknown",
    "held",
    "overdue",
    "unclassified",
    "size",
    "attempt",
    "port",
    "dropped",
)
_WORDS: Final = ("guard", "code", "verb")
"""Written in the code itself, next to what they name: their form is checked, not their list."""

_CLOSED: Final[Mapping[str, frozenset[str]]] = {
    "kind": frozenset({"rule", "offboarding", "person", "restore"}),
    "outcome": frozenset({"done", "partial", "refused", "stopped", "failed", "skipped", "missed"}),
    "result": frozenset(
        {"applied", "idle", "observing", "shadow", "partial", "paused", "refused", "failed", "waiting", "stopped"}
    ),
    "change": frozenset({"registered", "notice", "ended", "resumed", "closed", "choice"}),
    "choice": frozenset({"delete", "return"}),
    "reason": frozenset(
        {"operator", "file", "database", "fence", "signal", "unreadable", "guard", "overlap", "not-leader"}
    ),
    "basis": frozenset({"controller-instruction", "legal-order", "own-data", "person-restriction"}),
    "action": frozenset({"delete", "anonymise", "detach", "restrict", "export"}),
}
_READINGS: Final[Mapping[str, Reading]] = {
    **dict.fromkeys(_COUNTS, _checked(schema.count)),
    **dict.fromkeys(_WORDS, _shaped(_WORD)),
    **{key: _among(words) for key, words in _CLOSED.items()},
    **dict.fromkeys(("seconds", "spread_seconds", "age_seconds"), _number),
    **dict.fromkeys(("job", "batch", "plan", "mandate", "certificate", "export"), _shaped(_GENERATED)),
    **dict.fromkeys(("plan_hash", "policy_hash", "statement_hash", "manifest_hash"), _checked(schema.sha256)),
    **dict.fromkeys(("coverage_complete", "stopped", "leader"), _checked(schema.boolean)),
    **dict.fromkeys(("day", "effective_on", "expires_on"), _day),
    **dict.fromkeys(("effective_now", "deadline", "next_run"), _instant),
    "why": _why,
    "advice": _advice,
    "tenant": _checked(schema.alias),
    "step": _shaped(_STEP),
    "digest": _checked(schema.keyed),
    "sqlstate": _shaped(_SQLSTATE),
    "error": _shaped(_CLASS),
    "library": _shaped(_LIBRARY),
    "where": _shaped(_WHERE),
    **dict.fromkeys(("version", "tool_version", "agreement_version"), _shaped(_VERSION)),
}

KEYS: Final = frozenset(_READINGS) | frozenset(DECLARED)
"""Every key that a line may have, beside `at`, `level` and `event`."""
