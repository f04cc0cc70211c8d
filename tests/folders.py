"""A portal company that keeps its data in folders: letters and access records by tenant, and a web server's logs.

What must go is computed here by plain Python from the files as they were written; nothing of the product is imported.
"""

from __future__ import annotations

import gzip
import os
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from pathlib import Path

INVENTORY = """\
lifecycle: inventory/v1
id: portal
stores:
  - id: main
    kind: files
    address: {file: main.url}
    place: {country: DE, region: Frankfurt}
datasets:
  - id: letters
    store: main
    table: customers
    category: documents
    key: [name]
    tenant: {by: prefix, pattern: "{tenant}/letters/"}
    files: {kind: documents}
  - id: access
    store: main
    table: access
    category: technical-data
    key: [name]
    tenant: {by: prefix, pattern: "{tenant}/"}
    times: {collection: {column: modified_at, encoding: utc}}
    files: {kind: documents}
  - id: web-logs
    store: main
    table: var/log/web
    category: technical-data
    key: [name]
    tenant: {by: none}
    times: {collection: {column: oldest, encoding: utc}}
    files:
      kind: logs
      active: [access.log]
      rotated: ["access.log.{number}", "access.log.{number}.gz"]
      every: P1D
      record: "{any}[{day}/{mon}/{year}:{hour}:{minute}:{second} {offset}]"
    export: false
"""
TENANTS = ("acme", "acme2", "Acme", "zebra")
TABLES = {"letters": "customers", "access": "access", "web-logs": "var/log/web"}
ZONE = ZoneInfo("Europe/Berlin")
LOG_DAYS, MARGIN_DAYS = 90, 3

Key = tuple[str, str]
Files = dict[Key, tuple[int, bytes]]


def create(root: Path, now: datetime, *, records: int = 16) -> None:
    """Write the application's files, the same for the same `now`."""
    for tenant in TENANTS:
        for number in range(7):
            made = now - timedelta(days=40 * number)
            _write(root / "customers" / tenant / "letters" / f"{number // 3}" / f"letter {number}.pdf", made)
        for number in range(records):
            _write(root / "access" / tenant / f"{number:03}", now - timedelta(days=number * 200 / records, minutes=7))
    web = root / "var" / "log" / "web"
    for number in range(8):
        last = now - timedelta(days=20 * number)
        lines = "".join(
            f'192.0.2.1 - - [{last - timedelta(days=days):%d/%b/%Y:%H:%M:%S} +0000] "GET /"\n' for days in (20, 10, 0)
        ).encode()
        name = "access.log" if number == 0 else f"access.log.{number}" + (".gz" if number > 2 else "")
        _write(web / name, last, gzip.compress(lines, mtime=0) if name.endswith(".gz") else lines)


def _write(path: Path, made: datetime, content: bytes | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.name.encode() * 40 if content is None else content)
    os.utime(path, (made.timestamp(),) * 2)


def read(root: Path) -> Files:
    """Read every file of the datasets: when it was modified, and what it holds."""
    found: Files = {}
    for dataset, table in TABLES.items():
        for folder, _, names in os.walk(root / table):
            for name in names:
                path = root / os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118 - as walked
                found[dataset, path.relative_to(root / table).as_posix()] = (path.stat().st_mtime_ns, path.read_bytes())
    return found


def expected(before: Files, leaver: str, now: datetime) -> set[Key]:
    """Return what must go: records whose ninety days end within the margin, logs by their oldest, and the leaver's."""
    last = now.astimezone(ZONE).date() + timedelta(days=MARGIN_DAYS - LOG_DAYS)
    gone = {key for key in before if key[0] in {"letters", "access"} and key[1].split("/")[0] == leaver}
    for (dataset, name), (modified, content) in before.items():
        if dataset == "access" and _day(datetime.fromtimestamp(modified / 10**9, UTC)) <= last:
            gone.add((dataset, name))
        if dataset == "web-logs" and name != "access.log" and _first_day(name, content) <= last:
            gone.add((dataset, name))
    return gone


def _first_day(name: str, content: bytes) -> date:
    line = (gzip.decompress(content) if name.endswith(".gz") else content).decode().splitlines()[0]
    return _day(datetime.strptime(line.split("[")[1].split("]")[0], "%d/%b/%Y:%H:%M:%S %z"))


def _day(moment: datetime) -> date:
    return moment.astimezone(ZONE).date()


@dataclass(frozen=True)
class Verdict:
    """Counts of what must not be: each 0 in a good run. `deleted`: files that are gone."""

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


def judge(before: Files, after: Files, must_go: set[Key], sealed: list[Key]) -> Verdict:
    """Compare the folders with the model and with the opened sealed lists."""
    gone = set(before) - set(after)
    changed = {key for key in after if key not in before or after[key] != before[key]}
    named = Counter(sealed)
    return Verdict(
        deleted=len(gone),
        over_deleted=len(gone - must_go) + len(changed),
        left=len(must_go & set(after)),
        outside_receipts=len(gone - set(named)),
        doubled=sum(count - 1 for count in named.values()),
        named_but_there=len(set(named) & set(after)),
    )
