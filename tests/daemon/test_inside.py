"""The service in this process, beat by beat: what it does when asked to stop, to stand by, or to believe a document."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import sqlite3
from contextlib import closing, contextmanager

import pytest

from lifecycle.core.errors import InvalidDocument, Paused
from lifecycle.daemon import service as module
from lifecycle.daemon.service import Service
from lifecycle.flow import controls, registers, slots
from lifecycle.flow.cycle import Turn
from lifecycle.wiring.deployment import Options, check_tenants, open_deployment, read_settings
from tests.cli.world import CANARIES, STAYS
from tests.daemon.process import deployment
from tests.daemon.test_alive import watcher

TENANTS = f"""\
lifecycle: tenants/v1
tenants:
  - {{id: {STAYS}, agreement: clientport, firm: "{CANARIES[3]}"}}
"""
TYPO = '  - {id: brand-new, agreement: clientportt, firm: "Typo Ltd"}\n'


@pytest.fixture
def cli(tmp_path):
    """A small portal with a quick schedule."""
    return deployment(tmp_path / "deployment")


def added(cli, text):
    """Add lines to the settings."""
    with (cli.folder / "lifecycle.yaml").open("a") as file:
        file.write(text)


@contextmanager
def opened(cli, *, leads=True):
    """Open a service without starting it; it leads, or stands by. Yields it and what it logs."""
    stream = io.StringIO()
    service = Service(cli.folder, stream, Options())
    try:
        if leads:
            service._lead_or_refuse()
        yield service, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    finally:
        service._close()


def metric(service, name):
    """Return one sample of the service's metrics."""
    return float(re.search(rf"^lifecycle_{re.escape(name)} (\S+)$", service._metrics().decode(), re.MULTILINE)[1])


def events(lines, event):
    """Return the lines of one event."""
    return [line for line in lines() if line["event"] == event]


# ---- who stands by ----


def test_I26_a_replica_that_stands_by_keeps_no_dead_man_silent(cli, tmp_path, monkeypatch):
    """Only who leads and had a good tick asks the address: a standby for ever would hide that nobody leads."""
    with watcher(tmp_path) as (url, asked, public):
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        added(cli, f"dead_man: {{ping: {url}/abc}}\n")
        with opened(cli, leads=False) as (service, _):
            service._act()
            assert asked == []
            assert json.loads((cli.folder / "alive").read_text())["leader"] is False
            service._lead_or_refuse()
            (cli.folder / "STOP").touch()
            service._act()
            assert asked == []
            (cli.folder / "STOP").unlink()
            service._act()
            assert asked == ["/abc"]
            assert json.loads((cli.folder / "alive").read_text())["leader"] is True


def test_I28_who_stands_by_or_ends_is_not_stopped(cli):
    """The kill switch is what the metric shows: neither standing by nor ending is one."""
    with opened(cli, leads=False) as (service, _):
        service._follow()
        assert metric(service, "stopped") == 0
        service._ask("end")
        service._follow()
        assert metric(service, "stopped") == 0
        (cli.folder / "STOP").touch()
        service._follow()
        assert metric(service, "stopped") == 1


def test_systemd_is_told_what_goes_on_after_the_start(cli, tmp_path, monkeypatch):
    """STATUS= follows the lead, the kill switch and refused documents, once for each change."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        with opened(cli, leads=False) as (service, _):
            service._say_status()
            assert manager.recv(1000) == b"STATUS=standing by"
            service._lead_or_refuse()
            service._say_status()
            service._say_status()
            assert manager.recv(1000) == b"STATUS=leading"
            (cli.folder / "inventory.yaml").write_text("nonsense\n")
            service._reload_if_changed()
            service._say_status()
            assert manager.recv(1000) == b"STATUS=leading; changed documents refused, the older ones are in force"


# ---- documents ----


def test_I27_a_tenant_that_nothing_binds_refuses_the_whole_reload(cli):
    """One wrong entry among the tenants leaves the old documents in force and says so; deletion goes on."""
    tenants = cli.folder / "tenants.yaml"
    tenants.write_text(TENANTS)
    added(cli, "tenants: tenants.yaml\n")
    with opened(cli) as (service, lines):
        old = service._loaded
        assert old.duties.act()
        tenants.write_text(TENANTS + TYPO)
        service._reload_if_changed()
        assert service._loaded is old
        assert metric(service, "documents_stale") == 1
        assert events(lines, "reload.failed")[0]["error"] == "InvalidDocument"
        assert old.duties.act()
        tenants.write_text(TENANTS + TYPO.replace("portt", "port"))
        service._reload_if_changed()
        assert metric(service, "documents_stale") == 0
        assert len(list(old.acting.policy.agreements)) == 1
        service._lead_or_refuse()
        assert service._loaded.duties.act()
        assert len(cli.json("tenant", "list")["tenants"]) == 3


def test_I27_who_takes_over_is_not_stopped_by_documents_that_were_refused(cli):
    """A standby that leads for the first time while a wrong document lies there goes on under the old ones."""
    tenants = cli.folder / "tenants.yaml"
    tenants.write_text(TENANTS)
    added(cli, "tenants: tenants.yaml\n")
    with opened(cli, leads=False) as (service, _):
        tenants.write_text(TENANTS + TYPO)
        service._reload_if_changed()
        service._lead_or_refuse()
        assert service._loaded.duties.act()


def test_a_tenant_that_nothing_binds_is_refused_at_the_start(cli):
    """Exit 2 with file, line and column, and without the tenant's name."""
    (cli.folder / "tenants.yaml").write_text(TENANTS + TYPO)
    added(cli, "tenants: tenants.yaml\n")
    ended = cli.process("daemon")
    assert ended.code == 2
    assert "tenants.yaml:4:" in ended.err
    assert "Typo Ltd" not in ended.all
    assert "brand-new" not in ended.all


def test_a_large_register_is_checked_by_ways_to_bind(cli):
    """Streamed registers are counted; each wrong tenant is named by its line, and the main loop beats meanwhile."""
    lines = [json.dumps({"id": f"many-{number}", "agreement": "clientport"}) for number in range(20)]
    lines[6] = lines[13] = json.dumps({"id": "typo-one", "agreement": "clientportt"})
    lines[13] = lines[13].replace("one", "two")
    (cli.folder / "tenants.jsonl").write_text("\n".join(lines) + "\n")
    added(cli, "tenants: tenants.jsonl\n")
    beats = []
    with open_deployment(cli.folder, Options(register=False)) as line, pytest.raises(InvalidDocument) as caught:
        check_tenants(line, read_settings(cli.folder), moved=lambda: beats.append(1))
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        ("tenants.jsonl", 7),
        ("tenants.jsonl", 14),
    ]
    assert len(beats) >= 20


def test_a_wrong_tenant_leaves_the_register_as_it_was(cli):
    """Whole or not at all: nobody before the wrong entry is entered either."""
    added(cli, "tenants: tenants.yaml\n")
    good = TYPO.replace("portt", "port").replace("brand-new", "right-before")
    (cli.folder / "tenants.yaml").write_text(TENANTS + good + TYPO)
    with pytest.raises(InvalidDocument), open_deployment(cli.folder):
        pass
    (cli.folder / "tenants.yaml").write_text(TENANTS)
    assert len(cli.json("tenant", "list")["tenants"]) == 2


# ---- the kill switch ----


def test_I28_every_way_is_tried_though_one_fails(cli):
    """A stop file that cannot be written stops neither the register nor the fences, and is named."""
    added(cli, "stop_file: gone/STOP\n")
    with open_deployment(cli.folder) as line:
        with pytest.raises(controls.NotStopped) as caught:
            controls.stop(line, None, reason="signal")
        assert caught.value.ways == ("file",)
        assert line.state.get("setting", "stopped") is not None
        with closing(sqlite3.connect(cli.folder / "portal.sqlite")) as portal:
            assert portal.execute("SELECT stopped FROM lifecycle_fence").fetchone() == (1,)
        before = line.state.size()
        with pytest.raises(controls.NotStopped):
            controls.stop(line, None, reason="signal")
        assert line.state.size() == before


def test_I28_a_signal_stops_at_once_and_is_written_until_everybody_knows(cli):
    """What cannot be written is told as failed, never as stopped, and tried again; meanwhile nothing is changed."""
    added(cli, "stop_file: gone/STOP\n")
    with opened(cli) as (service, lines):
        assert service._loaded.duties.act()
        service._ask("stop")
        assert not service._loaded.duties.act()
        assert service._stopping.holds()
        service._stop_if_asked()
        assert [line["reason"] for line in events(lines, "control.failed")] == ["file"]
        assert service._stopping.holds()
        assert metric(service, "stopped") == 1
        (cli.folder / "gone").mkdir()
        later = service._steady.monotonic() + 60
        service._stopping.answer(service._loaded.eyes, service._loaded.duties.report, later)
        assert not service._stopping.holds()
        assert (cli.folder / "gone" / "STOP").exists()
        assert not service._loaded.duties.act()
        cli("resume", "--by", "op-one")
        assert service._loaded.duties.act()


def test_I28_a_request_that_nobody_could_write_still_holds(cli):
    """With neither file nor register nothing outlives the process; in it nothing is changed."""
    added(cli, "stop_file: gone/STOP\n")
    with opened(cli) as (service, _):
        service._ask("stop")
        before = service._loaded.acting.state.size()
        assert not service._loaded.duties.act()
        assert service._loaded.acting.state.size() == before
        service._follow()
        assert metric(service, "stopped") == 1


def test_I28_who_resumes_ends_a_request_that_is_still_being_written(cli):
    """An operator's word wins: the pending request does not switch off again what was resumed."""
    added(cli, "stop_file: gone/STOP\n")
    with opened(cli) as (service, _):
        service._ask("stop")
        service._stop_if_asked()
        with service._loaded.eyes.state.transaction() as tx:
            tx.remove("setting", "stopped")
        service._stop_if_asked()
        assert not service._stopping.holds()
        assert service._loaded.eyes.state.get("setting", "stopped") is None


def test_a_signal_handler_takes_no_lock(cli):
    """A signal that comes while the main loop's wait holds its lock comes through: a handler sets flags alone."""
    with opened(cli, leads=False) as (service, _), module._signals(service._ask):
        with service._nothing._cond:
            for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM):
                os.kill(os.getpid(), number)
        assert service._ending
        assert service._reload_asked
        assert service._stopping.holds()


# ---- what is told ----


def two_agreements(cli):
    """Declare the agreement under another name as well: two rules of one id."""
    first = cli.folder / "policies" / "agreements" / "clientport.yaml"
    text = first.read_text().replace("id: clientport\n", "id: otherport\n", 1)
    (first.parent / "otherport.yaml").write_text(text)


def test_I26_a_rule_that_never_succeeded_counts_before_one_that_did(cli):
    """Of two agreements with a rule of one id the one without a good turn is told; an agreement that is gone is not."""
    two_agreements(cli)
    with opened(cli, leads=False) as (service, _):
        line = service._loaded.eyes
        assert {pair for pair in slots.declared(line) if pair[1] == "server-logs"} == {
            ("clientport", "server-logs"),
            ("otherport", "server-logs"),
        }
        now = line.clock.now()
        good = slots.RuleState(
            slot=now, state="done", epoch=1, begun_at=now, ended_at=now, succeeded_at=now, result="applied"
        )
        trouble = slots.Trouble(guard="transient", message="m", advice="a", since=now, at=now, failures=9)
        kept = {
            "clientport/server-logs/slot": good,
            "otherport/server-logs/slot": good.model_copy(update={"succeeded_at": None, "result": "observing"}),
            "goneport/server-logs/slot": good.model_copy(update={"trouble": trouble}),
        }
        with line.state.transaction() as tx:
            for name, state in kept.items():
                registers.put(tx, "rule", name, state)
        service._follow()
        assert metric(service, 'rule_last_success_timestamp_seconds{rule="server-logs"}') == 0
        assert metric(service, 'rule_parked{rule="server-logs"}') == 0
        with line.state.transaction() as tx:
            registers.put(tx, "rule", "otherport/server-logs/slot", good)
        service._follow()
        last = metric(service, 'rule_last_success_timestamp_seconds{rule="server-logs"}')
        assert last == pytest.approx(now.timestamp(), abs=1)


def test_I26_missed_slots_are_counted_when_the_turn_is_taken(cli):
    """A turn that waits for another process comes again: its missed slots are counted and told once."""
    with opened(cli, leads=False) as (service, lines):
        report = service._loaded.duties.report
        for result in ("waiting", "waiting", "applied"):
            report.turn(Turn("clientport", "server-logs", result, missed=3))
        assert metric(service, 'slots_missed_total{rule="server-logs"}') == 3
        assert len(events(lines, "tick.missed")) == 1


def test_I23_what_nobody_foresaw_is_told_by_its_class_and_place(cli):
    """A fault of ours can be reported: the line names the place in our code, and says nothing of the text."""
    with opened(cli, leads=False) as (service, lines):
        with service._telling(service._loaded.duties, "tick.failed"):
            slots.wait(CANARIES[1])
        told = events(lines, "tick.failed")[0]
    assert told["level"] == "critical"
    assert told["error"] == "TypeError"
    assert re.fullmatch(r"lifecycle/flow/slots\.py:[0-9]+", told["where"])
    assert "dropped" not in told


def test_a_turn_that_waits_is_told_with_its_reason_and_is_no_failure(cli):
    """A throttle or a spent budget: a warning with cause, words and advice, a count by cause, and no failed run."""
    with opened(cli, leads=False) as (service, lines):
        paused = Paused("store main: a replica is 12 s behind, more than 10 s", guard="replica-lag")
        service._loaded.duties.report.turn(Turn("clientport", "server-logs", "paused", error=paused))
        assert metric(service, 'job_pauses_total{cause="replica-lag",rule="server-logs"}') == 1
        told = events(lines, "run.paused")[0]
        assert (told["level"], told["guard"], told["result"]) == ("warning", "replica-lag", "paused")
        assert told["why"] == "store main: a replica is 12 s behind, more than 10 s"
        assert "goes on by itself" in told["advice"]
        assert "dropped" not in told
        assert events(lines, "run.failed") == []
