"""Rotated logs: due by the oldest record that can be inside, and never while somebody writes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from lifecycle.core.inventory import Dataset, Logs, Tenancy, TimeColumn
from lifecycle.core.period import Period
from lifecycle.core.selection import Bound, Selection, WholeScope
from lifecycle.ports.store import HoldRow
from lifecycle.stores.files import FilesStore, select
from lifecycle.testing import store_world as w
from lifecycle.testing.store_world import ready, walk

if TYPE_CHECKING:
    from pathlib import Path

RECORD = "{any}[{day}/{mon}/{year}:{hour}:{minute}:{second} {offset}]"
ROTATED = ("access.log.{number}", "access.log.{number}.gz", "access.log.{number}.xz", "access.log.{number}.bz2",
           "access.log.{number}.zst", "access-{year}{month}{day}.log", "error.log.{number}")  # fmt: skip
PACK = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}


class LogWorld:
    """A folder of logs."""

    def __init__(self, root: Path, record: str | None = RECORD) -> None:
        """Make the store."""
        self.folder = root / "web"
        self.folder.mkdir(parents=True)
        files = Logs(
            kind="logs", active=("access.log", "error.log"), rotated=ROTATED, every=Period(days=7), record=record
        )
        times = {
            "collection": TimeColumn(column="oldest", encoding="utc"),
            "end": TimeColumn(column="newest", encoding="utc"),
        }
        dataset = Dataset(
            id="logs", store=w.STORE, table="web", category="technical", key=("name",), tenant=Tenancy(by="none"),
            times=times, files=files,
        )  # fmt: skip
        self.store = FilesStore(w.STORE, str(root), [dataset], deployment=w.DEPLOYMENT)
        ready(self.store)

    def write(self, name: str, first: date | None, last: date, *, body: bytes | None = None) -> Path:
        """Write a log from a first record to a last one, its time of modification."""
        lines = [b"a line without a time"]
        if first is not None:
            lines += [f'192.0.2.1 - - [{first:%d/%b/%Y}:12:00:00 +0000] "GET /"'.encode()]
        lines += [f'192.0.2.1 - - [{last:%d/%b/%Y}:12:00:00 +0000] "GET /"'.encode()] if first is not None else []
        content = b"\n".join(lines) + b"\n" if body is None else body
        pack = PACK.get(name.rpartition(".")[2])
        path = self.folder / name
        path.write_bytes(content if pack is None or body is not None else pack(content))
        moment = datetime(last.year, last.month, last.day, 12, tzinfo=UTC).timestamp()
        os.utime(path, (moment, moment))
        return path

    def there(self) -> set[str]:
        """Return the names that are there."""
        return {path.name for path in self.folder.iterdir()}

    def counts(self, bound: Bound) -> tuple[int, int, int]:
        """Return what both looks find, and how many files no rule may touch; both must agree."""
        seen, fresh = self.store.count(bound), self.store.residue(bound)
        assert seen.items == fresh.items
        assert seen.oldest == fresh.oldest
        odd = self.store.oddities("logs", bound)
        assert odd == fresh.oddities
        return seen.items, fresh.items, odd.undatable


@pytest.fixture
def world(tmp_path: Path) -> LogWorld:
    """Logs with records that tell the time."""
    return LogWorld(tmp_path)


def on(day: date, time: str = "collection") -> Bound:
    """Select what started on or before a day."""
    return Bound(Selection(dataset="logs", scope=WholeScope(), due=(w.before(day, time),)))


def deleted(world: LogWorld, bound: Bound) -> int:
    """Walk, and count what went."""
    return sum(receipt.deleted for receipt in walk(world.store, bound, 2))


@pytest.mark.parametrize("name", ["access.log.1", "access.log.2.gz", "access.log.3.xz", "access.log.4.bz2"])
def test_a_ceiling_counts_from_the_oldest_record(world: LogWorld, name: str) -> None:
    """Plain or packed: due by its first record, though its last one is young; a floor looks at the end."""
    world.write(name, date(2025, 12, 1), date(2026, 1, 15))
    assert world.counts(on(date(2025, 11, 30)))[0] == 0
    assert world.counts(on(date(2025, 12, 1)))[0] == 1
    assert world.counts(on(date(2026, 1, 14), "end"))[0] == 0
    assert world.counts(on(date(2026, 1, 15), "end"))[0] == 1
    assert deleted(world, on(date(2025, 12, 1))) == 1
    assert world.there() == set()


def test_an_active_log_over_its_ceiling_is_overdue_and_stays(world: LogWorld) -> None:
    """What is still written is never deleted: both looks count it, the walk passes it by."""
    world.write("access.log", date(2025, 6, 1), date(2026, 2, 20))
    world.write("access.log.1", date(2025, 5, 1), date(2025, 6, 1))
    bound = on(date(2025, 12, 1))
    assert world.counts(bound)[0] == 2
    assert deleted(world, bound) == 1
    assert world.there() == {"access.log"}
    assert world.counts(bound)[0] == 1


def test_a_rotated_log_that_a_process_has_open_is_left(world: LogWorld) -> None:
    """Renamed, but not reopened yet: it goes with a later run, once its writer has let go."""
    path = world.write("access.log.1", date(2025, 6, 1), date(2025, 6, 8))
    bound = on(date(2025, 12, 1))
    with path.open("ab"):
        assert world.counts(bound)[0] == 1
        assert deleted(world, bound) == 0
    assert deleted(world, bound) == 1


def test_a_rotated_log_that_was_written_today_is_left(world: LogWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has it open may be hidden from us: it goes on a day on which nobody wrote."""
    monkeypatch.setattr(select, "open_files", frozenset)
    world.write("access.log.1", date(2025, 6, 1), w.TODAY)
    world.write("access.log.2", date(2025, 5, 1), w.TODAY - timedelta(days=1))
    bound = on(date(2025, 12, 1))
    assert world.counts(bound)[0] == 2
    assert deleted(world, bound) == 1
    assert world.there() == {"access.log.1"}


def test_a_log_that_was_never_rotated_is_a_finding(world: LogWorld) -> None:
    """It grows past its ceiling, and nobody would tell."""
    world.write("access.log", date(2026, 2, 1), date(2026, 2, 20))
    assert [(finding.code, finding.fatal) for finding in world.store.inspect(["logs"])] == [("never-rotated", False)]


def test_what_is_no_log_is_told_and_stays(world: LogWorld) -> None:
    """A dump between the logs fits no name: undatable, a finding, and nothing deletes it."""
    world.write("dump.sql", date(2020, 1, 1), date(2020, 1, 2))
    world.write("access.log.1x", date(2020, 1, 1), date(2020, 1, 2))
    assert world.counts(on(date(2025, 12, 1))) == (0, 0, 2)
    assert [finding.code for finding in world.store.inspect(["logs"])] == ["not-a-log"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("access.log.1", b""),
        ("access.log.1", b"no time at all\n" * 10),
        ("access.log.2.gz", b"no archive"),
        ("access.log.2.gz", gzip.compress(b"x" * 100_000, mtime=0)[:40]),
        ("access.log.3.xz", b"\xfd7zXZ\x00broken"),
        ("access.log.1", b"\0" * 70_000),
    ],
)
def test_I09_a_log_that_does_not_tell_its_time_is_undatable(world: LogWorld, name: str, body: bytes) -> None:
    """Empty, torn, or without a record: counted, and never due."""
    world.write(name, None, date(2020, 1, 2), body=body)
    assert world.counts(on(date(2025, 12, 1))) == (0, 0, 1)
    assert deleted(world, on(date(2025, 12, 1))) == 0


def test_I09_records_of_the_future_and_of_old_are_undatable(world: LogWorld) -> None:
    """A first record that nobody believes."""
    world.write("access.log.1", w.TODAY + timedelta(days=3), date(2020, 1, 2))
    world.write("access.log.2", date(1969, 1, 1), date(2020, 1, 2))
    assert world.counts(on(w.TODAY)) == (0, 0, 2)


def test_without_records_the_times_of_rotation_count(tmp_path: Path) -> None:
    """A file began a rotation before its end; where rotation stood still, with the end of the file before it."""
    world = LogWorld(tmp_path, record=None)
    world.write("access.log.1", date(2025, 3, 1), date(2025, 6, 30))
    world.write("access.log.2", date(2025, 2, 20), date(2025, 3, 1))
    world.write("error.log.1", date(2025, 6, 20), date(2025, 6, 29))
    names: dict[date, set[str]] = {
        date(2025, 2, 21): set(),
        date(2025, 2, 22): {"access.log.2"},
        date(2025, 3, 1): {"access.log.1", "access.log.2"},
        date(2025, 6, 22): {"access.log.1", "access.log.2", "error.log.1"},
    }
    for day, wanted in names.items():
        assert {str(found.key[0]) for found in world.store.find(on(day), None, 9)} == wanted
        assert world.counts(on(day))[0] == len(wanted)


def test_logs_packed_in_a_way_we_do_not_open_count_by_rotation(world: LogWorld) -> None:
    """Zstandard: seven days before the file's end, which is earlier than its first record can be."""
    world.write("access.log.5.zst", None, date(2025, 6, 10), body=b"\x28\xb5\x2f\xfd")
    assert world.counts(on(date(2025, 6, 2))) == (0, 0, 0)
    assert world.counts(on(date(2025, 6, 3))) == (1, 1, 0)


def test_a_log_that_is_rotated_between_cut_and_apply_is_judged_anew(world: LogWorld) -> None:
    """The name of the list belongs to another file by now: it is kept, and found under its new name."""
    world.write("access.log.1", date(2025, 5, 1), date(2025, 6, 1))
    bound = on(date(2025, 12, 1))
    planned = w.batch(world.store, bound, "b1")
    (world.folder / "access.log.1").rename(world.folder / "access.log.2")
    world.write("access.log.1", date(2026, 2, 1), date(2026, 2, 8))
    receipt = world.store.apply(planned)
    assert (receipt.deleted, dict(receipt.kept)) == (0, {"changed": 1})
    assert deleted(world, bound) == 1
    assert world.there() == {"access.log.1"}


def test_I07_a_hold_on_the_logs_keeps_all_of_them(world: LogWorld) -> None:
    """Logs of nobody are held as a whole."""
    world.write("access.log.1", date(2025, 5, 1), date(2025, 6, 1))
    world.store.mirror_holds([HoldRow("h1", "acme", "logs")])
    assert world.counts(on(date(2025, 12, 1)))[0] == 0
