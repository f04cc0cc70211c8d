"""From an error to words and an exit code. No traceback, no values: what happened, and what to do."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.page import clean
from lifecycle.cli.session import Session, write

if TYPE_CHECKING:
    from lifecycle.core.errors import LifecycleError

ERROR, USAGE, PARTIAL, REFUSED, BREACHED, CHANGES, INTERRUPTED = 1, 2, 3, 4, 5, 10, 130
DEBUG = "LIFECYCLE_DEBUG"


def guarded(run: Callable[[], Any], session: Session) -> int:
    """Run a command and return its exit code, whatever happens inside."""
    try:
        code = run()
    except click.exceptions.NoArgsIsHelpError as error:
        write(error.format_message() + "\n", error=True)
        return USAGE
    except click.UsageError as error:
        return _usage(session, error)
    except click.ClickException as error:
        return _tell(session, "error", error.exit_code, error.format_message())
    except (click.Abort, KeyboardInterrupt):
        what = "interrupted; no batch is half done"
        return _tell(session, "interrupted", INTERRUPTED, what, advice="Run the command again: it goes on.")
    except Exception as error:  # noqa: BLE001 - nothing may end in a traceback: it could hold values
        return _of(session, error)
    return code if isinstance(code, int) else 0


def _of(session: Session, error: Exception) -> int:
    from lifecycle.core.errors import LifecycleError
    from lifecycle.evidence.errors import EvidenceError

    if isinstance(error, LifecycleError):
        return _known(session, error)
    if isinstance(error, EvidenceError):
        return _tell(session, "evidence", ERROR, str(error), advice=error.advice())
    if isinstance(error, OSError) and error.strerror:
        name = os.path.basename(error.filename) if isinstance(error.filename, str) else "a file"  # noqa: PTH119 - may be no path
        return _tell(session, "error", ERROR, f"{name}: {error.strerror}", advice="Check the path and its permissions.")
    if os.environ.get(DEBUG) == "1":
        frames = [f"  {f.filename}:{f.lineno} in {f.name}" for f in traceback.extract_tb(error.__traceback__)]
        write("\n".join(frames) + "\n", error=True)
    what = f"internal error ({type(error).__name__}); please report it as README.md says, with the command that you ran"
    return _tell(session, "internal", ERROR, what, advice=f"{DEBUG}=1 shows the places in the code, without values.")


def _known(session: Session, error: LifecycleError) -> int:
    from lifecycle.core.errors import InvalidDocument, Refused

    problems = error.problems if isinstance(error, InvalidDocument) else ()
    more: dict[str, Any] = {}
    if isinstance(error, Refused):
        more["guard"] = error.guard
    if problems:
        more["problems"] = [
            {"file": p.file, "line": p.line, "column": p.column, "what": p.what, "fix": p.fix} for p in problems
        ]
    kind = type(error).__name__.lower()
    lines = [str(problem) for problem in problems] or None
    return _tell(session, kind, error.exit_code, error.message, advice=error.advice(), lines=lines, more=more)


def _usage(session: Session, error: click.UsageError) -> int:
    where = f"`{error.ctx.command_path} --help`" if error.ctx else "`lifecycle --help`"
    advice = f"{where} shows how to call it."
    return _tell(session, "usage", USAGE, error.format_message(), advice=advice)


def _tell(
    session: Session,
    kind: str,
    code: int,
    what: str,
    *,
    advice: str | None = None,
    lines: list[str] | None = None,
    more: dict[str, Any] | None = None,
) -> int:
    """Say it on standard error, and in JSON mode also as the one document on standard output."""
    shown = lines or [f"lifecycle: {_word(kind, more)}{what}", *([advice] if advice else [])]
    write("".join(f"{clean(line)}\n" for line in shown), error=True)
    if session.json and not session.emitted:
        session.emitted = True
        document = {"error": {"kind": kind, "exit": code, "message": what, "advice": advice, **(more or {})}}
        write(json.dumps(document, indent=2) + "\n")
    return code


def _word(kind: str, more: dict[str, Any] | None) -> str:
    return f"refused ({more['guard']}): " if kind == "refused" and more else ""
