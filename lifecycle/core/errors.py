"""The one tree of errors. The docstring of a class is its message's first half; `advice()` is the next step.

Messages never hold row values, row keys, names of persons or addresses (I23).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


class LifecycleError(Exception):
    """Something stopped; nothing is half done."""

    exit_code = 1
    default_advice = "Read the message, mend the cause, run the command again: repeating is safe."

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        """Keep what happened and, where the caller knows better than the class, what to do."""
        super().__init__(message)
        self.message = message
        self._advice = advice

    def advice(self) -> str:
        """Return the next step for the person on call."""
        return self._advice or self.default_advice


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault of a document: where, what, and what to do. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    what: str
    fix: str

    def __str__(self) -> str:
        """Render as `file:line:col: what; what to do`."""
        return f"{self.file}:{self.line}:{self.column}: {self.what}; {self.fix}"


class InvalidDocument(LifecycleError):
    """A document or an argument is wrong; nothing was touched."""

    exit_code = 2
    default_advice = "Correct the document at the position shown and run `lifecycle validate`."

    def __init__(self, message: str, *, problems: tuple[Problem, ...] = (), advice: str | None = None) -> None:
        """Keep all problems of the document, in the order of their positions."""
        super().__init__(message, advice=advice)
        self.problems = tuple(sorted(problems))


class Refused(LifecycleError):
    """A guard said no; nothing was changed by the refused step."""

    exit_code = 4
    default_advice = "docs/runbooks/GuardRefused.md says what to do about each guard; none is ever switched off."

    def __init__(self, message: str, *, guard: str, advice: str | None = None) -> None:
        """Name the guard: an identifier that status, log and metric share."""
        super().__init__(message, advice=advice)
        self.guard = guard


class Paused(Refused):
    """A job waits, and goes on by itself: a throttle or a night's budget. Nothing is wrong, nothing is half done."""

    exit_code = 3
    default_advice = "Nothing: it goes on by itself with a later tick (`daemon`, `run`), under its approval."

    def __init__(self, message: str, *, guard: str, until: datetime | None = None, advice: str | None = None) -> None:
        """Name what holds it back (`budget`, or a throttle's cause), and until when where that is known."""
        super().__init__(message, guard=guard, advice=advice)
        self.until = until


class Transient(LifecycleError):
    """A store or a server did not answer as it should; the transaction was rolled back."""

    default_advice = "Run again; the batch that failed left nothing behind. If it repeats, run `lifecycle doctor`."


class Unknown(LifecycleError):
    """It is not known whether a batch took effect; reading must decide, never a retry (I18)."""

    exit_code = 3
    default_advice = "Run `lifecycle run` or `lifecycle apply` again: recovery reads the receipt and closes the batch."


class Corrupt(LifecycleError):
    """Own state or evidence contradicts itself; the process must not go on."""

    default_advice = (
        "Stop. Keep state and checkpoint as they are, restore the state from backup, and find out who wrote."
    )


class CeilingBreached(LifecycleError):
    """A datum outlived its ceiling."""

    exit_code = 5
    default_advice = "Run `lifecycle status`, then `lifecycle run`; the violation is recorded with its cause."
