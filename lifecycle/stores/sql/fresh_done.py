"""The verifier's own word on when a column is anonymised: read off the value's parts, nothing is transformed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from lifecycle.core.transform import (
    CoarseDate,
    CoarseNumber,
    Constant,
    SetNull,
    Token,
    Transform,
)

Bind = Callable[[object], str]

_HEX = "0123456789abcdef"
_PREFIX = "anon~"
_FIRST_UUID = "616e6f6e"
_EXACT = 9007199254740992


def postgresql(column: str, word: str, bind: Bind, transform: Transform, same: str) -> str:
    """SQL for PostgreSQL; never NULL. `same`: the column equals a constant."""
    text = f'({column}::text COLLATE "C")'
    match transform:
        case SetNull():
            return f"({column} IS NULL)"
        case Constant():
            told = same
        case CoarseDate() if word.startswith("timestamp") or word == "date":
            at = f"({column} AT TIME ZONE 'UTC')" if word.endswith("with time zone") else column
            form, start = ("MM-DD", "01-01") if transform.to == "year" else ("DD", "01")
            clock = "" if word == "date" else " HH24:MI:SS.US"
            begins = start + ("" if word == "date" else " 00:00:00.000000")
            told = (
                f"CASE WHEN {column} >= '0001-01-01' AND {column} < '10000-01-01' "
                f"THEN to_char({at}, '{form}{clock}') = '{begins}' ELSE FALSE END"
            )
        case CoarseDate():
            month = "01" if transform.to == "year" else "(0[1-9]|1[012])"
            told = f"{text} ~ '^[12][0-9][0-9][0-9]-{month}-01([ T]00:00:00Z?)?$'"
        case CoarseNumber():
            told = f"{text} IN ('NaN', 'Infinity', '-Infinity') OR mod({column}::numeric, {int(transform.step)}) = 0"
        case Token() if word == "uuid":
            told = f"{text} LIKE '{_FIRST_UUID}-____-8%'"
        case Token():
            digits = f"substr({text}, {len(_PREFIX) + 1}, {int(transform.digits)})"
            told = (
                f"length({text}) = {transform.length} AND left({text}, {len(_PREFIX)}) = '{_PREFIX}' "
                f"AND translate({digits}, '{_HEX}', '') = '' "
                f"AND substr({text}, {len(_PREFIX) + transform.digits + 1}) = CAST({bind(transform.suffix)} AS text)"
            )
        case _:
            assert_never(transform)
    return f"({column} IS NULL OR COALESCE({told}, FALSE))"


def mariadb(column: str, word: str, bind: Bind, transform: Transform, same: str) -> str:
    """SQL for MariaDB; never NULL. `same`: the column equals a constant."""
    text = f"(CAST({column} AS CHAR CHARACTER SET utf8mb4) COLLATE utf8mb4_nopad_bin)"
    match transform:
        case SetNull():
            return f"({column} IS NULL)"
        case Constant():
            told = same
        case CoarseDate() if word.startswith(("date", "timestamp")):
            start = f"MONTH({column}) = 1 AND " if transform.to == "year" else f"MONTH({column}) > 0 AND "
            told = f"YEAR({column}) > 0 AND {start}DAYOFMONTH({column}) = 1 AND {column} = DATE({column})"
        case CoarseDate():
            months = ["01"] if transform.to == "year" else [f"{month:02d}" for month in range(1, 13)]
            days = ", ".join(bind(f"-{month}-01") for month in months)
            clocks = ", ".join(bind(clock) for clock in ("", " 00:00:00", "T00:00:00", " 00:00:00Z", "T00:00:00Z"))
            told = (
                f"LEFT({text}, 4) REGEXP '^[12][0-9][0-9][0-9]' AND CHAR_LENGTH({text}) >= 10 "
                f"AND SUBSTR({text}, 5, 6) IN ({days}) AND SUBSTR({text}, 11) IN ({clocks})"
            )
        case CoarseNumber():
            # Of a negative DECIMAL the rest is -0, and MariaDB does not take that for 0.
            told = f"MOD(ABS({column}), {int(transform.step)}) = 0"
        case Token() if word == "uuid":
            told = f"{text} LIKE '{_FIRST_UUID}-____-8%'"
        case Token():
            digits = f"SUBSTR({text}, {len(_PREFIX) + 1}, {int(transform.digits)})"
            told = (
                f"CHAR_LENGTH({text}) = {transform.length} AND LEFT({text}, {len(_PREFIX)}) = '{_PREFIX}' "
                f"AND {digits} NOT REGEXP '[^{_HEX}]' "
                f"AND SUBSTR({text}, {len(_PREFIX) + transform.digits + 1}) = {bind(transform.suffix)}"
            )
        case _:
            assert_never(transform)
    return f"({column} IS NULL OR COALESCE({told}, FALSE))"


def sqlite(column: str, bind: Bind, transform: Transform, same: str) -> str:
    """SQL for SQLite; never NULL. `same`: the column equals a constant."""
    match transform:
        case SetNull():
            return f"({column} IS NULL)"
        case Constant():
            told = same
        case CoarseDate():
            months = ["01"] if transform.to == "year" else [f"{month:02d}" for month in range(1, 13)]
            days = ", ".join(bind(f"-{month}-01") for month in months)
            clocks = ", ".join(bind(clock) for clock in ("", " 00:00:00", "T00:00:00", " 00:00:00Z", "T00:00:00Z"))
            told = (
                f"typeof({column}) = 'text' AND {_no_more_bytes(column)} "
                f"AND substr({column}, 1, 4) GLOB '[12][0-9][0-9][0-9]' "
                f"AND substr({column}, 5, 6) IN ({days}) AND substr({column}, 11) IN ({clocks})"
            )
        case CoarseNumber():
            step = int(transform.step)
            real = f"abs({column}) <= {_EXACT} AND {column} = CAST({column} AS INTEGER)"
            told = (
                f"CASE typeof({column}) WHEN 'integer' THEN {column} % {step} = 0 "
                f"WHEN 'real' THEN {real} AND CAST({column} AS INTEGER) % {step} = 0 ELSE FALSE END"
            )
        case Token():
            glob = _PREFIX + "[0-9a-f]" * transform.digits + "".join(f"[{letter}]" for letter in transform.suffix)
            told = f"typeof({column}) = 'text' AND {_no_more_bytes(column)} AND {column} GLOB {bind(glob)}"
        case _:
            assert_never(transform)
    return f"({column} IS NULL OR COALESCE({told}, FALSE))"


def _no_more_bytes(column: str) -> str:
    """SQLite's text functions stop at a NUL byte: what stands behind it must not hide."""
    return f"length({column}) = length(CAST({column} AS BLOB))"
