"""Patterns over names and lines: literal text with placeholders, and nothing of a regular expression."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from lifecycle.core.textpattern import LONGEST, day_of, fits, moment_of, pattern_faults

NGINX = "{any}[{day}/{mon}/{year}:{hour}:{minute}:{second} {offset}]"


@pytest.mark.parametrize(
    ("pattern", "name", "fitting"),
    [
        ("access.log", "access.log", True),
        ("access.log", "accessxlog", False),
        ("access.log", "access.log\n", False),
        ("access.log.{number}", "access.log.12", True),
        ("access.log.{number}", "access.log.", False),
        ("access.log.{number}", "access.log.1.gz", False),
        ("{any}.log", "a\nb.log", True),
        ("(a+)+$", "aaaa", False),
        ("(a+)+$", "(a+)+$", True),
        ("{year}-{month}-{day}", "२०२६-01-01", False),
    ],
)
def test_a_pattern_is_literal_but_for_its_placeholders(pattern: str, name: str, fitting: bool) -> None:
    """Characters that mean something to a regular expression mean themselves; digits are ASCII digits."""
    assert fits(pattern, name) is fitting


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("letter-2025-02-28.pdf", date(2025, 2, 28)),
        ("letter-2025-02-29.pdf", None),
        ("letter-0000-01-01.pdf", None),
        ("letter.pdf", None),
    ],
)
def test_a_name_carries_a_day_or_is_undatable(name: str, day: date | None) -> None:
    """A date that no calendar has is none."""
    assert day_of("{any}-{year}-{month}-{day}.pdf", name) == day


@pytest.mark.parametrize(
    ("pattern", "line", "zone", "moment"),
    [
        (NGINX, '192.0.2.1 - - [05/Feb/2026:23:30:00 +0100] "GET /"', None, datetime(2026, 2, 5, 22, 30, tzinfo=UTC)),
        (NGINX, "x [05/Feb/2026:23:30:00 -02:30] y", None, datetime(2026, 2, 6, 2, 0, tzinfo=UTC)),
        (NGINX, "x [05/Feb/2026:23:30:00 Z] y", None, datetime(2026, 2, 5, 23, 30, tzinfo=UTC)),
        (NGINX, "x [31/Feb/2026:23:30:00 Z] y", None, None),
        (NGINX, "no time here", None, None),
        ("{year}-{month}-{day}", "2026-02-05 started", "Europe/Berlin", datetime(2026, 2, 4, 23, 0, tzinfo=UTC)),
        ("{year}-{month}-{day}", "2026-02-05 started", None, datetime(2026, 2, 5, tzinfo=UTC)),
        ("{year}-{month}-{day} {hour}:", "2026-02-05 25:", None, None),
        (
            "{year}-{month}-{day} {hour}:{minute}",
            "2026-10-25 02:30",
            "Europe/Berlin",
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        ),
        ("{year}-{month}-{day} {offset}", "0001-01-01 +14:00", None, None),
    ],
)
def test_a_line_carries_an_instant_or_is_undatable(
    pattern: str, line: str, zone: str | None, moment: datetime | None
) -> None:
    """Offsets count, readings without one are of the declared zone, an ambiguous one is the later."""
    assert moment_of(pattern, line, zone) == moment


def test_a_hostile_line_is_cut() -> None:
    """What lies beyond the longest line is not compared."""
    assert moment_of(NGINX, "x" * LONGEST + "[05/Feb/2026:23:30:00 Z]") is None


@pytest.mark.parametrize(
    ("pattern", "dated", "number"),
    [
        ("access.log.{number}", False, 0),
        ("{year}-{month}-{day}", True, 0),
        ("{day}.{mon}.{year}", True, 0),
        ("{week}", False, 1),
        ("{year", False, 1),
        ("year}", False, 1),
        ("{year}{year}", False, 1),
        ("{any}{any}{any}{any}", False, 1),
        ("{year}-{month}", True, 1),
        ("{year}-{month}-{mon}-{day}", True, 1),
        ("{weekday}{", True, 3),
    ],
)
def test_faults_of_a_pattern(pattern: str, dated: bool, number: int) -> None:
    """Unknown and doubled placeholders, stray braces, and patterns that name no day."""
    found = pattern_faults(pattern, dated=dated)
    assert len(found) == number
    assert all(fault.what and fault.fix for fault in found)
