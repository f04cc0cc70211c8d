"""The service as an operator meets it: a process, its log, its pages, its signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lifecycle.state import open_state
from tests.cli.world import LEAVES, STAYS
from tests.daemon.process import SETTINGS, deployment, running

if TYPE_CHECKING:
    from tests.cli.world import Cli

CHILD = Path(__file__).with_name("child.py")


def mandated(cli: Cli) -> str:
    """Grant a mandate for the log rule by a plan that is approved and not carried out; return the plan's hash."""
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one", mandate=True)
    return plan


def expired(cli: Cli) -> int:
    """Count log rows that had to go: older than 90 days."""
    import sqlite3

    with sqlite3.connect(cli.folder / "portal.sqlite") as connection:
        sql = "SELECT count(*) FROM access_log WHERE at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-90 days')"
        return int(connection.execute(sql).fetchone()[0])


@pytest.fixture
def cli(tmp_path):
    """A small portal with a quick schedule."""
    return deployment(tmp_path / "deployment")


def test_it_serves_four_pages_and_nothing_that_changes_anything(cli):
    """interfaces: /metrics and three probes answer GET and HEAD; other verbs and pages do not exist."""
    with running(cli.folder) as daemon:
        for page in ("/healthz", "/readyz", "/startupz"):
            assert daemon.get(page) == (200, "ok\n")
        status, body = daemon.get("/metrics")
        assert status == 200
        assert 'lifecycle_build_info{version="0.1.0"} 1.0' in body
        assert 'lifecycle_overdue_records{rule="server-logs",store="main"}' in body
        assert daemon.get("/metrics", "HEAD") == (200, "")
        assert [daemon.get("/metrics", verb)[0] for verb in ("POST", "PUT", "DELETE", "PATCH")] == [501] * 4
        assert daemon.get("/run")[0] == 404
        assert daemon.terminate() == 0
        assert daemon.events("daemon.stopped")[0]["outcome"] == "done"
        assert daemon.errors == []


def test_a_rule_without_a_mandate_only_observes(cli):
    """I2: slots pass, plans are made and told, nothing is deleted, and the breach shows."""
    before = expired(cli)
    assert before
    with running(cli.folder) as daemon:
        daemon.seen("run.finished", 2, rule="server-logs", result="observing")
        daemon.wait(lambda: daemon.metric("lifecycle_overdue_records", rule="server-logs", store="main") == before)
    assert expired(cli) == before


def test_a_mandate_waits_one_cycle_in_the_shadow_and_then_runs(tmp_path):
    """A rule whose mandate comes from a plan of the present slot is watched once more before it runs unattended."""
    cli = deployment(tmp_path / "deployment", every="PT5S")
    with running(cli.folder) as daemon:
        daemon.seen("run.finished", result="observing")
        # Without the plan's own approval only the mandate speaks: the plan expires with the day, the mandate stands.
        plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
        cli.signed(plan, "op-one", mandate=True)
        daemon.wait(lambda: expired(cli) == 0, "the approved plan is carried out")
        daemon.wait(lambda: daemon.metric("lifecycle_overdue_records", rule="server-logs", store="main") == 0)
        daemon.wait(lambda: daemon.metric("lifecycle_records_deleted_total", rule="server-logs", store="main"))
        assert daemon.terminate() == 0


def test_the_next_slot_runs_by_mandate(cli):
    """What becomes due later goes without anybody: the log names the mandate."""
    import sqlite3

    mandated(cli)
    with running(cli.folder) as daemon:
        daemon.seen("job.finished")
        with sqlite3.connect(cli.folder / "portal.sqlite") as connection:
            connection.execute("INSERT INTO access_log VALUES (9000, ?, 'x', '2020-01-01T00:00:00Z')", (STAYS,))
        connection.close()
        daemon.wait(lambda: expired(cli) == 0, "the mandate's next run")
        begun = daemon.wait(lambda: daemon.events("job.started")[1:], "a second job")[0]
        assert begun["mandate"].startswith("m-")


def test_two_operators_signatures_are_enough_for_the_service(cli):
    """An approved offboarding is carried out by the next tick, by nobody's hand."""
    cli("tenant", "end", LEAVES, "--on", "2026-01-31")
    plan = cli.json("plan", "--tenant", LEAVES)["plans"][0]["hash"]
    with running(cli.folder) as daemon:
        cli.signed(plan, "op-one")
        daemon.seen("tick.finished")
        assert cli.rows("ticket", LEAVES) == 5
        cli.signed(plan, "op-two")
        daemon.wait(lambda: cli.rows("ticket", LEAVES) == 0, "the offboarding")
        assert cli.rows("ticket", STAYS) == 5
        assert daemon.terminate() == 0


def test_I16_a_killed_service_goes_on_with_the_same_job(cli):
    """SIGKILL in the middle of a batch: the restart closes it by its receipt and finishes the same job."""
    mandated(cli)
    command = [sys.executable, str(CHILD), str(cli.folder), "batch.changed", "1"]
    with running(cli.folder, command=command) as daemon:
        assert daemon.ended() == -signal.SIGKILL
        begun = {line["job"] for line in daemon.events("job.started")}
    with running(cli.folder) as daemon:
        finished = daemon.seen("job.finished")
        assert finished["outcome"] == "done"
        assert begun <= {finished["job"]}
        assert daemon.seen("batch.void")["job"] == finished["job"]
        daemon.wait(lambda: expired(cli) == 0)


def test_I28_a_signal_is_the_kill_switch(cli):
    """SIGUSR1 stops before the next batch, survives a restart, and only `resume` lifts it."""
    with running(cli.folder) as daemon:
        daemon.seen("run.finished", result="observing")
        daemon.signal(signal.SIGUSR1)
        daemon.seen("control.stopped", reason="signal")
        daemon.seen("tick.skipped", guard="stopped")
        daemon.wait(lambda: daemon.metric("lifecycle_stopped") == 1)
        mandated(cli)
        assert daemon.terminate() == 0
    before = expired(cli)
    with running(cli.folder) as daemon:
        daemon.seen("tick.skipped", 2, guard="stopped")
        assert expired(cli) == before
        cli("resume", "--by", "op-one")
        daemon.wait(lambda: expired(cli) == 0, "after resume")


def test_a_second_daemon_on_a_sqlite_state_is_refused(cli):
    """SQLite means one replica: the second one says so, exits 4, and the first goes on."""
    with running(cli.folder) as daemon:
        daemon.seen("leader.gained")
        second = cli.process("daemon")
        assert second.code == 4
        assert "move the state to PostgreSQL" in second.err
        assert "Traceback" not in second.all
        daemon.seen("run.finished", len(daemon.events("run.finished")) + 1)


def test_documents_are_taken_over_whole_or_not_at_all(cli):
    """A changed file is read between runs; a wrong one leaves the old documents in force, and says so."""
    inventory = cli.folder / "inventory.yaml"
    good = inventory.read_text()
    with running(cli.folder) as daemon:
        daemon.seen("run.finished")
        inventory.write_text(good.replace("table: ticket", "tabel: ticket"))
        daemon.seen("reload.failed", error="InvalidDocument")
        assert daemon.metric("lifecycle_documents_stale") == 1
        assert daemon.metric("lifecycle_reload_failures_total") == 1
        daemon.seen("run.finished", len(daemon.events("run.finished")) + 1)
        inventory.write_text(good + "# looked at again\n")
        daemon.seen("documents.reloaded")
        daemon.wait(lambda: daemon.metric("lifecycle_documents_stale") == 0)
        daemon.signal(signal.SIGHUP)
        daemon.seen("documents.reloaded", 2)
        daemon.seen("leader.gained", 2)
        assert daemon.terminate() == 0


def test_what_only_a_restart_can_change_is_refused(cli):
    """Another port or state is no matter of a reload: refused, with the old ones in force."""
    settings = cli.folder / "lifecycle.yaml"
    with running(cli.folder) as daemon:
        daemon.seen("run.finished")
        settings.write_text(settings.read_text().replace("look: PT1S", "look: PT9S"))
        assert daemon.seen("reload.failed")["guard"] == "restart-needed"


def test_I26_signs_of_life_stop_with_the_ticks(cli):
    """The dead man's file is touched by good ticks alone."""
    alive = cli.folder / "alive"
    with running(cli.folder) as daemon:
        daemon.wait(alive.exists)
        first = json.loads(alive.read_text())
        assert first["leader"] is True
        daemon.wait(lambda: json.loads(alive.read_text())["at"] > first["at"])
        (cli.folder / "STOP").touch()
        daemon.seen("tick.skipped", guard="stopped")
        still = alive.read_text()
        daemon.seen("tick.skipped", len(daemon.events("tick.skipped")) + 2)
        assert alive.read_text() == still


def test_systemd_is_told(cli, tmp_path):
    """READY after the start, WATCHDOG while it lives, STOPPING at the end (sd_notify(3))."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "3000000"}
        with running(cli.folder, environment=environment) as daemon:
            told = manager.recv(1000).decode()
            while "READY=1" not in told:
                told += manager.recv(1000).decode()
            assert "WATCHDOG=1" in [manager.recv(1000).decode() for _ in range(4)]
            daemon.signal(signal.SIGTERM)
            while "STOPPING=1" not in told:
                told = manager.recv(1000).decode()
            assert daemon.ended() == 0


@pytest.mark.parametrize(
    ("find", "put", "code", "says"),
    [
        ("look: PT1S", "look: 1 second", 2, "lifecycle.yaml:"),
        ("classes: {daily: {every: PT2S}}", "classes: {daily: {every: PT72H}}", 2, "margin"),
        ("origin:", "orign:", 2, "lifecycle.yaml:"),
        ("look: PT1S", "rules: {sever-logs: daily}", 2, "no agreement has a rule 'sever-logs'"),
    ],
)
def test_bad_settings_are_refused_at_the_start(cli, find, put, code, says):
    """I15 and bad input: exit 2 with file, line and column, before anything is opened."""
    settings = cli.folder / "lifecycle.yaml"
    settings.write_text(settings.read_text().replace(find, put))
    ended = cli.process("daemon")
    assert ended.code == code
    assert says in ended.err
    assert "lifecycle.yaml:" in ended.err
    assert "Traceback" not in ended.all


def test_a_port_that_is_taken_is_said(tmp_path):
    """HTTP that cannot listen ends the start with words, not with a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cli = deployment(tmp_path / "deployment", settings=SETTINGS.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        ended = cli.process("daemon")
    assert ended.code == 1
    assert "http.bind" in ended.err
    assert "Traceback" not in ended.all


def test_a_stop_within_its_time_rolls_back_what_hangs(tmp_path):
    """SIGTERM during a batch that does not end: the process leaves in time, the next start settles the batch."""
    import sqlite3

    cli = deployment(tmp_path / "deployment", settings=SETTINGS + "daemon: {stop_within: PT2S}\n")
    mandated(cli)
    blocker = sqlite3.connect(cli.folder / "portal.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with running(cli.folder) as daemon:
            daemon.seen("leader.gained")
            daemon.seen("look.done")
            began = time.monotonic()
            assert daemon.terminate() == 0
            assert time.monotonic() - began < 10
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    with running(cli.folder) as daemon:
        daemon.wait(lambda: expired(cli) == 0)


def test_two_states_of_one_process_keep_each_others_locks(cli):
    """POSIX drops a process' locks on a file with any descriptor of it: opening a state opens its file only in SQLite.

    Without its locks the service's WAL is taken for a leftover, and removed under it by the next command line.
    """
    url = f"sqlite:///{cli.folder / 'state.db'}"
    wal = cli.folder / "state.db-wal"
    acting = open_state(url)
    assert acting.size()
    eyes = open_state(url)
    assert eyes.size()
    before = wal.stat().st_ino
    assert cli.process("mandate", "list").code == 0
    assert wal.stat().st_ino == before
    acting.close()
    eyes.close()


def test_root_is_not_needed(cli):
    """The service runs as whoever owns its folder: it writes only there."""
    with running(cli.folder) as daemon:
        daemon.wait((cli.folder / "alive").exists)
        assert (cli.folder / "alive").stat().st_uid == os.geteuid()
