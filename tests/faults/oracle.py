"""What must be true after any fault: an independent model of the portal's rows. Imports nothing of the product."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

TABLES = ("portal", "account", "ticket", "comment", "invoice", "access_log")
ZONE = ZoneInfo("Europe/Berlin")
LOG_DAYS = 90
MARGIN_DAYS = 3
INVOICE_YEARS = 8

Key = tuple[str, Any]


@dataclass(frozen=True)
class Verdict:
    """Counts of what must not be: each 0 in a good run. `deleted`: rows that are gone."""

    deleted: int
    over_deleted: int
    left: int
    outside_receipts: int
    doubled: int
    named_but_there: int

    @property
    def good(self) -> bool:
        """Tell whether nothing is wrong."""
        return not (self.over_deleted or self.left or self.outside_receipts or self.doubled or self.named_but_there)


def read(rows_of: Any) -> dict[str, dict[Any, tuple[Any, ...]]]:
    """Read every table by primary key."""
    return {table: {row[0]: row for row in rows_of(f"SELECT * FROM {table}")} for table in TABLES}


def expected(before: dict[str, dict[Any, tuple[Any, ...]]], leaver: str, now: datetime) -> set[Key]:
    """Return what must go: logs whose ninety days end within the margin, and all of the leaver's rows."""
    today = now.astimezone(ZONE).date()
    gone: set[Key] = set()
    for key, row in before["access_log"].items():
        if _local_day(row[3]) + timedelta(days=LOG_DAYS) <= today + timedelta(days=MARGIN_DAYS):
            gone.add(("access_log", key))
    for table in ("account", "ticket", "access_log"):
        gone |= {(table, key) for key, row in before[table].items() if row[1] == leaver}
    tickets = {key for key, row in before["ticket"].items() if row[1] == leaver}
    gone |= {("comment", key) for key, row in before["comment"].items() if row[1] in tickets}
    invoices = {key: row for key, row in before["invoice"].items() if row[1] == leaver}
    free = {key for key, row in invoices.items() if _invoice_is_free(_day(row[2]), today)}
    gone |= {("invoice", key) for key in free}
    if free == set(invoices):
        gone.add(("portal", leaver))
    return gone


def judge(
    before: dict[str, dict[Any, tuple[Any, ...]]],
    after: dict[str, dict[Any, tuple[Any, ...]]],
    must_go: set[Key],
    sealed: list[Key],
) -> Verdict:
    """Compare the tables with the model and with the opened sealed lists."""
    was = {(table, key) for table in TABLES for key in before[table]}
    there = {(table, key) for table in TABLES for key in after[table]}
    changed = {(t, k) for t in TABLES for k in after[t] if k in before[t] and after[t][k] != before[t][k]}
    gone = was - there
    named = Counter(sealed)
    return Verdict(
        deleted=len(gone),
        over_deleted=len(gone - must_go) + len(changed),
        left=len(must_go & there),
        outside_receipts=len(gone - set(named)),
        doubled=sum(count - 1 for count in named.values()),
        named_but_there=len(set(named) & there),
    )


def _invoice_is_free(issued: date, today: date) -> bool:
    return today > date(issued.year + INVOICE_YEARS, 12, 31)


def _day(value: str | date) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _local_day(value: str | datetime) -> date:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.astimezone(ZONE).date()
