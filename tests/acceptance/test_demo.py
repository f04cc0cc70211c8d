"""The demo as a stranger runs it: a process of its own, judged by sqlite3 and by exit codes alone.

Nothing here imports the product. What the demo claims about its database is asked again in words of our own.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = Path(sys.executable).with_name("lifecycle")
LEAVER, HELD, NEIGHBOUR = "linde", "birke", "ulme"
SECONDS = 240
"""Far more than the demo takes: a busy machine is no failure."""


@dataclass(frozen=True)
class Told:
    """A demo that has run."""

    folder: Path
    output: str
    code: int
    today: date

    def query(self, sql: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(self.folder / "portal.db")) as database:
            return database.execute(sql, values).fetchall()

    def lifecycle(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run([str(PROGRAM), *arguments], self.folder)


def run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)


def today(folder: Path) -> date:
    """The day on which a file is written now."""
    stamp = folder / "stamp"
    stamp.write_text("now", encoding="utf-8")
    return datetime.fromtimestamp(stamp.stat().st_mtime, ZoneInfo("Europe/Berlin")).date()


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Told:
    above = tmp_path_factory.mktemp("demo")
    while True:
        begun = today(above)
        done = run([str(PROGRAM), "demo", f"demo-{begun}"], above)
        if begun == today(above):  # at midnight the story would end yesterday
            return Told(above / f"demo-{begun}", done.stdout + done.stderr, done.returncode, begun)


def test_ends_well_and_in_plain_text(told):
    """The demo exits 0 with every claim kept, and speaks plainly into a pipe."""
    assert told.code == 0, told.output
    assert "all as claimed" in told.output
    assert "NOT SO" not in told.output
    assert "\x1b" not in told.output


def test_the_leaver_is_gone(told):
    """Not one row of the customer that left is in any table but the invoices, and no row lost its parent."""
    for table in ("users", "tickets", "messages", "documents", "logins", "access_log", "mail_log"):
        assert told.query(f"SELECT count(*) FROM {table} WHERE portal_id = ?", LEAVER) == [(0,)], table
    assert told.query("SELECT count(*) FROM portals WHERE id = ?", LEAVER) == [(0,)]
    orphans = {
        "credentials": "SELECT count(*) FROM credentials WHERE user_id NOT IN (SELECT id FROM users)",
        "comments": "SELECT count(*) FROM ticket_comments WHERE ticket_id NOT IN (SELECT id FROM tickets)",
        "marks": "SELECT count(*) FROM read_marks WHERE document_id NOT IN (SELECT id FROM documents)",
    }
    assert {name: told.query(query)[0][0] for name, query in orphans.items()} == dict.fromkeys(orphans, 0)
    assert told.query("PRAGMA foreign_key_check") == []


def test_the_leavers_people_are_in_no_file(told):
    """No byte of the leaver's people's addresses is left outside its own package; a neighbour's are in one file."""

    def holding(text: bytes) -> set[str]:
        files = [path for path in told.folder.rglob("*") if path.is_file() and path.parent.name != "exports"]
        return {path.name for path in files if text in path.read_bytes()}

    assert holding(f"@{LEAVER}.example".encode()) == set()
    assert holding(f"@{NEIGHBOUR}.example".encode()) == {"portal.db"}


def test_the_leavers_invoices_stay_as_long_as_the_law_says(told):
    """Of the leaver's invoices exactly those remain whose year ended less than eight full years ago (§ 147 AO)."""
    months = "SELECT substr(issued_on, 1, 7) FROM invoices WHERE portal_id = ? {} ORDER BY issued_on"
    first_kept_year = told.today.year - 8
    expected = told.query(months.format("AND issued_on >= ?"), NEIGHBOUR, f"{first_kept_year}-01-01")
    assert told.query(months.format(""), LEAVER) == expected
    assert len(told.query(months.format(""), NEIGHBOUR)) == 120 > len(expected) > 90


def test_the_neighbours_are_all_there(told):
    """Customers that stay keep their people, tickets and documents; the one with the leaver's name in its own, too."""
    assert told.query("SELECT id FROM portals ORDER BY id") == [("ahorn",), ("birke",), ("linde-sued",), ("ulme",)]
    rows = dict(told.query("SELECT portal_id, count(*) FROM tickets GROUP BY portal_id"))
    users = dict(told.query("SELECT portal_id, count(*) FROM users GROUP BY portal_id"))
    assert set(rows) == set(users) == {"ahorn", "birke", "linde-sued", "ulme"}
    assert rows["linde-sued"] > 500
    assert users["linde-sued"] > 100


def test_no_log_outlives_its_ceiling_but_under_the_hold(told):
    """On the real present day no log record reaches ninety days; the night deletes three days ahead."""
    query = "SELECT min(substr(at, 1, 10)) FROM access_log WHERE portal_id <> ?"
    oldest = date.fromisoformat(told.query(query, HELD)[0][0])
    assert timedelta(days=80) < told.today - oldest < timedelta(days=90)


def test_the_export_holds_what_was_deleted(told):
    """The package that the customer received has its rows, and none of a neighbour's."""
    (package,) = (told.folder / "exports").glob("*.zip")
    with zipfile.ZipFile(package) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jsonl")]
        rows = {name: [json.loads(line) for line in archive.read(name).splitlines()] for name in names}
    tickets = next(found for name, found in rows.items() if name.endswith("-tickets.jsonl"))
    assert len(tickets) > 1_000
    assert "linde-sued" not in json.dumps(rows)


def test_certificates_hold_and_a_forged_one_does_not(told):
    """The bundles verify against the first day's trust file in a process of their own; one turned bit is rejected."""
    folder = told.folder / "handed-over"
    trust = str(folder / "trust.yaml")
    verdicts = {
        bundle.name: run([sys.executable, "-m", "lifecycle.evidence", str(bundle), "--trust", trust], folder).returncode
        for bundle in folder.glob("*.zip")
    }
    assert verdicts.pop("forged.zip") == 1
    assert len(verdicts) == 3
    assert set(verdicts.values()) == {0}


def test_everything_else_can_be_tried_afterwards(told):
    """With the real clock promises are kept, windows explained, plans made, and a released hold is carried out."""
    assert told.lifecycle("coverage").returncode == 0
    assert told.lifecycle("doctor").returncode == 0
    explained = told.lifecycle("explain", LEAVER, "invoices", "--start", "2020-03-04")
    assert explained.returncode == 0
    assert "2029-01-01" in explained.stdout
    refused = told.lifecycle("plan", "--tenant", "linde-sued", "--by", "ops-1")
    assert refused.returncode == 4
    assert "no end" in refused.stderr
    status = told.lifecycle("status", "--json")
    assert status.returncode == 0, status.stdout + status.stderr
    held = told.query(
        "SELECT count(*) FROM access_log WHERE portal_id = ? AND at < ?", HELD, str(told.today - timedelta(88))
    )
    assert held[0][0] > 0
    (hold,) = json.loads(told.lifecycle("hold", "list", "--json").stdout)["holds"]
    assert told.lifecycle("hold", "release", hold["id"], "--by", "ops-2").returncode == 0
    ran = told.lifecycle("run")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    left = told.query(
        "SELECT count(*) FROM access_log WHERE portal_id = ? AND at < ?", HELD, str(told.today - timedelta(88))
    )
    assert left == [(0,)]


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    """The demo replaces nothing: a folder that is not empty is refused and left as it is."""
    (tmp_path / "mine").write_text("untouched", encoding="utf-8")
    done = run([str(PROGRAM), "demo", "."], tmp_path)
    assert done.returncode == 4
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
