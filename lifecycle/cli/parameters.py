"""Types of arguments: what is refused here never reaches a register or a store. Values are not repeated in messages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click

from lifecycle.cli.page import UNSEEN

F = TypeVar("F", bound=Callable[..., Any])

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
WILDCARDS = frozenset({"*", "%", "0", "_", "?"})
MOST = {"tenant": 200, "line": 300}


class TenantType(click.ParamType[str]):
    """A tenant's id or alias: exactly one, never a pattern (I5)."""

    name = "TENANT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id as it was written."""
        text = str(value)
        if not text or text.isspace():
            self.fail("an empty tenant is an error, never all of them; name exactly one", param, ctx)
        if text in WILDCARDS or text.strip() != text:
            self.fail("wildcards, zero and padded ids are refused; name exactly one tenant", param, ctx)
        if len(text) > MOST["tenant"] or _unseen(text):
            self.fail("the id is too long or holds characters that nobody sees", param, ctx)
        return text


class DayType(click.ParamType[date]):
    """A calendar day, YYYY-MM-DD."""

    name = "DATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the day."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value if DAY.fullmatch(value) else "")
        except ValueError:
            self.fail("a day is written YYYY-MM-DD, such as 2026-03-04", param, ctx)


class IdentifierType(click.ParamType[str]):
    """A name that may appear in evidence: a role or pseudonym, a rule, an agreement."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        if IDENTIFIER.fullmatch(str(value)) is None:
            fix = "write lower-case letters, digits, dots, dashes and underscores, 80 at most"
            self.fail(f"that is no name that may stand in evidence; {fix}", param, ctx)
        return str(value)


class LineType(click.ParamType[str]):
    """One line of text."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        text = str(value)
        if not text.strip() or len(text) > MOST["line"] or _unseen(text):
            self.fail("write one line of 1 to 300 characters that can be seen", param, ctx)
        return text


TENANT, A_DAY, NAME, LINE = TenantType(), DayType(), IdentifierType(), LineType()
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


def tenant_argument(function: F) -> F:
    """Add the argument TENANT."""
    return click.argument("tenant", type=TENANT, metavar="TENANT")(function)


def by_option(function: F) -> F:
    """Add `--by OPERATOR`, required: every act has somebody who did it."""
    return click.option("--by", type=NAME, metavar="OPERATOR", required=True, help="The operator who does it.")(
        function
    )


def key_option(function: F) -> F:
    """Add `--key FILE`, the operator's private key."""
    return click.option("--key", type=FILE, metavar="FILE", required=True, help="The operator's private key.")(function)


def output_option(what: str) -> Callable[[F], F]:
    """Add `-o FILE`, required."""
    return click.option("-o", "--output", type=FILE, metavar="FILE", required=True, help=f"Where to write {what}.")


def _unseen(text: str) -> bool:
    return any(unicodedata.category(character) in UNSEEN for character in text)
