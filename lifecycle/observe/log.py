"""The process' log: JSON lines through a list of allowed fields; a readable form on a terminal."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

from lifecycle.core.errors import Refused
from lifecycle.evidence.schema import format_instant
from lifecycle.observe.fields import EVENTS, Names, Plain, read
from lifecycle.ports.clock import Clock

Log = FilteringBoundLogger

_UNNAMED: Final = "unnamed"
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_TROUBLE: Final = {"guard.refused": "warning", "control.stopped": "warning", "batch.void": "warning"}


def open_log(
    stream: TextIO,
    clock: Clock,
    *,
    names: Names | None = None,
    console: bool | None = None,
    level: str = "info",
    libraries: bool = True,
) -> Log:
    """Return a logger that writes to the stream and to nothing else.

    A line has `at`, `level`, `event`, the allowed fields, and `dropped`: how many fields were not allowed.
    Exceptions (`exc_info`) become `error` (the class), `sqlstate` and `guard`: no message, no traceback.

    Args:
        stream: where lines go, one write each.
        clock: gives `at`.
        names: names that the documents declare; without them no such name is written.
        console: readable lines instead of JSON; by default if the stream is a terminal.
        level: the least level that is written.
        libraries: also note warnings of libraries (logger's package and level, never their text).
    """
    readable = stream.isatty() if console is None else console
    filtered = _Filter(clock, names or Names())
    logger: Log = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[structlog.processors.add_log_level, filtered, _console if readable else _json],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    if libraries:
        _take_over(logger)
    return logger


def log_entry(log: Log, entry: Mapping[str, Any], index: int) -> None:
    """Write the line for an entry of the deployment's log: its type as the event, its allowed fields as they are."""
    kind = entry["type"]
    level = _TROUBLE.get(kind, "info")
    if kind == "job.finished" and entry["outcome"] != "done":
        level = "error"
    if kind == "verification.done" and (entry["unknown"] or any(c["residue"] or c["orphans"] for c in entry["checks"])):
        level = "error"
    # `at` is the entry's own; the line has the moment of its writing. Nested parts are for the log itself.
    shown = {
        name: value
        for name, value in entry.items()
        if value is not None and name not in _BOOKKEEPING and not isinstance(value, (list, dict))
    }
    log.log(_LEVELS[level], kind, index=index, **shown)


_BOOKKEEPING: Final = frozenset(
    {"v", "seq", "prev", "at", "type", "signature", "public_key", "reference_digest", "verifier"}
)


class _Filter:
    """Lets through what `lifecycle.observe.fields` allows, and counts the rest."""

    def __init__(self, clock: Clock, names: Names) -> None:
        self._clock = clock
        self._names = names

    def __call__(self, _logger: Any, _method: str, fields: MutableMapping[str, Any]) -> Mapping[str, Any]:
        event = fields.pop("event", None)
        level = fields.pop("level")
        named = isinstance(event, str) and event in EVENTS
        dropped = 0 if named else 1
        line: dict[str, Plain] = {
            "at": format_instant(self._clock.now()),
            "level": level,
            "event": str(event) if named else _UNNAMED,
        }
        error = _exception(fields.pop("exc_info", None))
        if error is not None:
            fields.update(_reduced(error))
        for key, value in fields.items():
            allowed = read(key, value, self._names)
            if allowed is not None:
                line[key] = allowed
            elif value is not None:
                dropped += 1
        if dropped:
            line["dropped"] = dropped
        return line


def _exception(given: Any) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return _exception(given[1])
    import sys  # noqa: PLC0415  # only inside an except block is there anything to ask

    return sys.exc_info()[1] if given else None


def _reduced(error: BaseException) -> dict[str, str]:
    """Return class, SQLSTATE and guard of an exception: what it says may quote a row, what it is does not."""
    found = {"error": type(error).__name__}
    for place in (error, getattr(error, "orig", None), error.__cause__):
        state = getattr(place, "sqlstate", None)
        if isinstance(state, str):
            found["sqlstate"] = state
            break
    if isinstance(error, Refused):
        found["guard"] = error.guard
    return found


def _json(_logger: Any, _method: str, line: Mapping[str, Any]) -> str:
    return json.dumps(line, separators=(",", ":"))


def _console(_logger: Any, _method: str, line: Mapping[str, Any]) -> str:
    """Return a line for people: what they need to read comes last and whole, digests as short as verbs take them."""
    head = f"{line['at']} {line['level']:<8} {line['event']}"
    fields = [f"{key}={_shown(value)}" for key, value in line.items() if key not in _FIRST | _WORDS]
    return " ".join([head, *fields, *(f'{key}="{line[key]}"' for key in ("why", "advice") if key in line)])


_FIRST: Final = frozenset({"at", "level", "event"})
_WORDS: Final = frozenset({"why", "advice"})
_DIGITS: Final = 8


def _shown(value: Plain) -> Plain:
    """Return a SHA-256 digest as the digits that a person types; everything else as it is."""
    if isinstance(value, str) and value.startswith("sha256:"):
        return value.removeprefix("sha256:")[:_DIGITS]
    return value


class _Libraries(logging.Handler):
    """Notes that a library warned, and which: its text may quote anything."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line for one record."""
        level = logging.ERROR if record.levelno >= logging.ERROR else logging.WARNING
        library = record.name.partition(".")[0]
        self._log.log(level, "library.message", library=library, exc_info=record.exc_info)


def _take_over(log: Log) -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Libraries):
            root.removeHandler(handler)
    root.addHandler(_Libraries(log))
