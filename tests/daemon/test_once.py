"""A single run as a timer's or a CronJob's: its metrics stay in a file that a collector reads."""

from __future__ import annotations

import os
import re
import stat
from datetime import timedelta

import pytest

from tests.cli.world import LEAVES, deployed

LOGS = '{rule="server-logs",store="main"}'


@pytest.fixture
def cli(tmp_path):
    """A small portal, under a clock that stands until it is moved."""
    return deployed(tmp_path / "deployment")


@pytest.fixture
def file(tmp_path):
    """Where the collector reads."""
    folder = tmp_path / "collected"
    folder.mkdir()
    return folder / "lifecycle.prom"


def metric(file, name):
    """Return one sample of the file, None when it is not there."""
    found = re.search(rf"^lifecycle_{re.escape(name)} (\S+)$", file.read_text(), re.MULTILINE)
    return float(found[1]) if found else None


def mandated(cli):
    """Approve the log rule's plan and grant a mandate by it."""
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one", mandate=True)
    return plan


def test_I26_a_run_leaves_its_metrics_for_the_collector(cli, file):
    """What stands, what is overdue and when it was: in one file, readable by others under a service's umask."""
    before = os.umask(0o077)
    try:
        cli("run", "--metrics", str(file))
    finally:
        os.umask(before)
    now = cli.clock.now().timestamp()
    assert metric(file, "overdue_records" + LOGS) > 0
    assert metric(file, "last_tick_timestamp_seconds") == now
    assert metric(file, "last_look_timestamp_seconds") == now
    assert metric(file, 'store_last_read_timestamp_seconds{store="main"}') == now
    assert metric(file, "leader") == 1
    assert metric(file, "tick_stale_after_seconds") == (2 * 24 + 6) * 3600
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_the_settings_name_the_file_of_every_run(cli):
    """A path of the settings is taken from the deployment's folder."""
    with (cli.folder / "lifecycle.yaml").open("a") as settings:
        settings.write("metrics: {textfile: lifecycle.prom}\n")
    cli("run")
    assert metric(cli.folder / "lifecycle.prom", "leader") == 1


@pytest.mark.parametrize("name", ["lifecycle.txt", "prom"])
def test_a_file_that_no_collector_reads_is_refused(cli, tmp_path, name):
    """node_exporter reads *.prom: another name would be silence that nobody notices."""
    assert ".prom" in cli("run", "--metrics", str(tmp_path / name), code=2).err
    with (cli.folder / "lifecycle.yaml").open("a") as settings:
        settings.write(f"metrics: {{textfile: {name}}}\n")
    assert "lifecycle.yaml:" in cli("run", code=2).err
    assert not (tmp_path / name).exists()


def test_counters_go_on_over_the_runs(cli, file):
    """What a person carried out in between is counted too, each receipt once; a smaller counter would read as new."""
    cli("run", "--metrics", str(file))
    assert metric(file, "records_deleted_total" + LOGS) == 0
    plan = mandated(cli)
    deleted = cli.json("apply", plan, "--yes", plan)["deleted"]
    assert deleted > 0
    cli("run", "--metrics", str(file))
    assert metric(file, "records_deleted_total" + LOGS) == deleted
    batches = metric(file, "batches_total" + LOGS)
    cli("run", "--metrics", str(file))
    assert metric(file, "records_deleted_total" + LOGS) == deleted
    assert metric(file, "batches_total" + LOGS) == batches
    assert metric(file, "overdue_records" + LOGS) == 0


def test_bytes_of_an_export_are_counted_once(cli, file, tmp_path):
    """The package was written by another process; its register knows its size."""
    cli("run", "--metrics", str(file))
    assert metric(file, "bytes_exported_total") == 0
    cli("tenant", "end", LEAVES, "--on", "2026-06-20", "--choice", "return")
    cli("export", LEAVES, "--output", str(tmp_path))
    for _ in range(2):
        cli("run", "--metrics", str(file))
        assert metric(file, "bytes_exported_total") > 100


def test_I28_a_run_that_is_refused_tells_why_and_keeps_its_age(cli, file):
    """Stopped: the switch is told, what is overdue is looked at, and the last tick stays the one that ended."""
    cli("run", "--metrics", str(file))
    first = cli.clock.now()
    (cli.folder / "STOP").touch()
    cli.clock.advance(timedelta(hours=1))
    cli("run", "--metrics", str(file), code=4)
    assert metric(file, "stopped") == 1
    assert metric(file, "last_tick_timestamp_seconds") == first.timestamp()
    assert metric(file, "last_look_timestamp_seconds") == cli.clock.now().timestamp()


def test_I26_a_store_that_nobody_can_read_keeps_its_figures_and_its_age(cli, file):
    """What was seen last stands, with the date on which it was seen."""
    cli("run", "--metrics", str(file))
    overdue, first = metric(file, "overdue_records" + LOGS), cli.clock.now()
    (cli.folder / "portal.sqlite").rename(cli.folder / "away.sqlite")
    cli.clock.advance(timedelta(hours=1))
    cli("run", "--metrics", str(file), code=4)
    assert metric(file, "overdue_records" + LOGS) == overdue
    assert metric(file, 'store_last_read_timestamp_seconds{store="main"}') == first.timestamp()
    assert metric(file, 'look_failures_total{store="main"}') == 1


def test_a_file_that_cannot_be_written_is_said_after_the_run(cli, tmp_path):
    """Exit 1 with words; what was authorised is done all the same."""
    mandated(cli)
    ended = cli("run", "--metrics", str(tmp_path / "nowhere" / "lifecycle.prom"), code=1)
    assert "the metrics file could not be written" in ended.err
    assert cli.json("status", code=0)["looked"]["overdue"] == 0


def test_a_file_of_something_else_begins_anew(cli, file):
    """Neither a torn file nor somebody else's stops a run."""
    file.write_bytes(b"\xff\x00 torn {")
    cli("run", "--metrics", str(file))
    assert metric(file, "leader") == 1
