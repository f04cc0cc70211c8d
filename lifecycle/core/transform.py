"""How a column is anonymised, and how it is told from the value alone that it is.

Each transform is data: plans carry it, mandates compare it, stores compile it. Each says when a value is *done*; what
is due and not done is selected, so a second run changes nothing and what was written again is found again. An absent
value (NULL) says nothing about anybody: it is done under every transform, and never filled.

Tokens are random and without a key. Keyed pseudonyms are none of these: they count only once their key is destroyed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, assert_never

from pydantic import Field, StringConstraints

from lifecycle.core.value import Column, Fault, Text, Value

TOKEN_PREFIX = "anon~"  # noqa: S105 - how a token begins, no secret
"""No application writes texts that begin so and end in random digits: a token is recognised by its shape alone."""
TOKEN_UUID = "616e6f6e-"  # noqa: S105
"""A token in a column of the type uuid: these digits, and version 8 (RFC 9562), which no generator of uuids writes."""
EXACT_REAL = 2**53
"""Beyond this a real number names no single integer."""

_COLUMN = "The column."
_SUFFIX = Annotated[str, StringConstraints(max_length=64, pattern=r"^([A-Za-z0-9@._-]*)$")]
_ISO = re.compile(
    r"([12][0-9]{3})-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])"
    r"(?:([ T])(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    re.ASCII,
)


class SetNull(Value):
    """The value is removed."""

    how: Literal["set-null"] = "set-null"
    column: Column = Field(description=_COLUMN)


class Constant(Value):
    """The same value for everybody."""

    how: Literal["constant"] = "constant"
    column: Column = Field(description=_COLUMN)
    value: Annotated[str, StringConstraints(max_length=200)] | int | bool = Field(
        description="What stands there afterwards."
    )


class CoarseDate(Value):
    """A date or time becomes the first day of its month or year; a text that is no date is removed."""

    how: Literal["date"] = "date"
    column: Column = Field(description=_COLUMN)
    to: Literal["month", "year"] = Field(description="What is left of the date.")


class CoarseNumber(Value):
    """A number becomes a multiple of the step, towards zero."""

    how: Literal["number"] = "number"
    column: Column = Field(description=_COLUMN)
    step: int = Field(ge=2, le=10**12, description="Numbers become multiples of it, towards zero.")


class Token(Value):
    """A random text of a shape of ours: for columns that are unique, or that must not be empty.

    `anon~`, hexadecimal digits, and a suffix; in a column of the type uuid a uuid of version 8.
    """

    how: Literal["token"] = "token"
    column: Column = Field(description=_COLUMN)
    digits: int = Field(default=32, ge=16, le=32, description="How many random hexadecimal digits.")
    suffix: _SUFFIX = Field(default="", description="How it ends, for example @example.invalid for e-mail addresses.")

    @property
    def length(self) -> int:
        """Return how many characters the token has."""
        return len(TOKEN_PREFIX) + self.digits + len(self.suffix)


class Keep(Value):
    """The column stays as it is, for a reason."""

    how: Literal["keep"] = "keep"
    column: Column = Field(description=_COLUMN)
    why: Text = Field(description="Why it names nobody and links to nobody.")


Transform = Annotated[SetNull | Constant | CoarseDate | CoarseNumber | Token, Field(discriminator="how")]
Treatment = Annotated[SetNull | Constant | CoarseDate | CoarseNumber | Token | Keep, Field(discriminator="how")]


def describe_transform(transform: Transform) -> str:
    """Return a transform in words, for plans and certificates."""
    match transform:
        case SetNull():
            how = "removed"
        case Constant():
            how = "the same for all"
        case CoarseDate():
            how = f"to the {transform.to}"
        case CoarseNumber():
            how = f"to multiples of {transform.step}"
        case Token():
            how = "random token"
        case _:
            assert_never(transform)
    return f"{transform.column} ({how})"


def is_done(value: Any, transform: Transform) -> bool:
    """Tell from a value alone whether the transform has been carried out."""
    if value is None:
        return True
    match transform:
        case SetNull():
            return False
        case Constant():
            return type(value) is type(transform.value) and bool(value == transform.value)
        case CoarseDate() | CoarseNumber():
            coarse = transformed(value, transform, "")
            return coarse is not None and type(coarse) is type(value) and bool(coarse == value)
        case Token():
            shape = f"{TOKEN_PREFIX}[0-9a-f]{{{transform.digits}}}{re.escape(transform.suffix)}"
            return isinstance(value, str) and re.fullmatch(shape, value) is not None
        case _:
            assert_never(transform)


def transformed(value: Any, transform: Transform, randomness: str) -> Any:
    """Return the value that takes this one's place; `randomness`: 32 fresh hexadecimal digits."""
    match transform:
        case SetNull():
            return None
        case Constant():
            return transform.value
        case CoarseDate():
            return coarse_date(value, transform.to)
        case CoarseNumber():
            return coarse_number(value, transform.step)
        case Token():
            return TOKEN_PREFIX + randomness[: transform.digits] + transform.suffix
        case _:
            assert_never(transform)


def coarse_date(value: Any, to: str) -> Any:
    """Return the first day of the month or year, in the value's own form; None for what is no date.

    A text's time of day becomes midnight, and its offset UTC.
    """
    if isinstance(value, datetime):
        start = value.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return start.replace(month=1) if to == "year" else start
    if isinstance(value, date):
        return value.replace(day=1, month=1 if to == "year" else value.month)
    found = _ISO.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    year, month, _, separator, offset = found.groups()
    day = f"{year}-01-01" if to == "year" else f"{year}-{month}-01"
    return day + (f"{separator}00:00:00" if separator else "") + ("Z" if offset else "")


def coarse_number(value: Any, step: int) -> Any:
    """Return the multiple of the step next to the number, towards zero; None for what is no such number."""
    if isinstance(value, int) and not isinstance(value, bool):
        rest = abs(value) % step
        return value - rest if value > 0 else value + rest
    if isinstance(value, float) and abs(value) <= EXACT_REAL:
        return value - math.fmod(value, step)
    return None


def treatment_faults(
    treatments: Sequence[Treatment],
    *,
    kept: Sequence[tuple[str, str]],
    persons: Sequence[str],
    known: Sequence[str],
) -> list[Fault]:
    """Return what is wrong with the declarations of one dataset.

    `kept`: columns that a selection or a duty rests on, each with what it is; `persons`: columns that name a person;
    `known`: the dataset's known columns, empty when they are not listed.
    """
    faults: list[Fault] = []
    names = [treatment.column for treatment in treatments]

    def wrong(index: int, field: str, what: str, fix: str) -> None:
        faults.append(Fault(("anonymise", index, field), what, fix))

    for index, treatment in enumerate(treatments):
        name = treatment.column
        if name in names[:index]:
            wrong(index, "column", f"the column {name!r} is treated twice", "treat each column once")
        if known and name not in known:
            wrong(index, "column", f"{name!r} is none of this dataset's columns", "correct the name, or add it there")
        role = next((role for column, role in kept if column == name), None)
        if role is not None and not isinstance(treatment, Keep):
            wrong(index, "how", f"{name!r} is {role}: it cannot be changed", "keep it, and say why it names nobody")
        if name in persons and isinstance(treatment, Keep):
            what = f"{name!r} names a person, and would be left over"
            wrong(index, "how", what, "transform it; where it is the key, delete these rows")
    missing = [*persons, *known, *(column for column, _ in kept)]
    faults += [_missing(name) for name in dict.fromkeys(name for name in missing if name not in names)]
    if not any(not isinstance(treatment, Keep) for treatment in treatments):
        faults.append(Fault(("anonymise",), "nothing is changed", "transform at least one column"))
    return faults


def _missing(name: str) -> Fault:
    fix = "say how it is anonymised, or keep it with a reason"
    return Fault(("anonymise",), f"the column {name!r} is not accounted for", fix)
