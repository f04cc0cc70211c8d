"""The whole line by command line, on SQLite: from a clause to a verified certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from click.testing import CliRunner

from lifecycle.cli.app import root
from lifecycle.cli.session import Session
from lifecycle.wiring.deployment import Options
from tests.cli.world import LEAVES, STAYS, begun, deployed

if TYPE_CHECKING:
    from pathlib import Path


def test_the_line_runs_from_init_to_a_verified_certificate(tmp_path: Path) -> None:
    """A portal company keeps its promises by typing commands, and a stranger's process confirms it."""
    cli = begun(tmp_path / "portal")
    assert "CREATE TABLE" in cli("store", "prepare", "main").out
    cli("store", "prepare", "--run")
    register = tmp_path / "tenants.csv"
    register.write_text(f"id,agreement,contract_start\n{STAYS},clientport,2020-01-01\n{LEAVES},clientport,2020-01-01\n")
    assert cli.json("tenant", "import", str(register)) == {"new": 2, "changed": 0, "missing": 0}

    # Logs: overdue at first, planned, signed with a mandate, carried out.
    assert cli("status", code=5).out.startswith("No: 22 rows outlived the ceiling.")
    plan = cli.json("plan", "server-logs", "--by", "op-three", "--detailed-exitcode", code=10)["plans"][0]
    assert (plan["expected"], plan["signed"], plan["needed"]) == (22, [], 1)
    cli("apply", plan["hash"], "--yes", plan["hash"], code=4)
    assert cli.signed(plan["hash"][7:15], "op-one", mandate=True)["mandate_most_items"] == 1000
    assert cli.json("apply", plan["hash"], "--yes", plan["hash"])["deleted"] == 22
    assert cli("status").out.startswith("Yes: nothing is overdue.")
    assert cli.rows("access_log", LEAVES) == 9

    # Ten days of outage later an operator says that the clock is right, and the mandate carries the same rule.
    cli.clock.advance(timedelta(days=10))
    cli("run", code=4)
    cli("resume", "--accept-clock", "--by", "op-one", "--key", str(cli.key("op-one")))
    assert [(t["result"], t["deleted"]) for t in cli.json("run")["turns"]] == [("applied", 2)]

    # One tenant leaves: thirty days of retrieval, then two signatures.
    ended = cli.json("tenant", "end", LEAVES, "--on", "2026-06-25", "--choice", "delete")
    assert (ended["state"], ended["timeline"]["due_from"]) == ("ended", "2026-07-26")
    assert cli("plan", "--tenant", LEAVES, code=4).err.startswith("lifecycle: refused (window-open)")
    exported = cli.json("export", LEAVES, "-o", str(tmp_path / "outbox"))
    assert exported["rows"] == 5 + 8 + 10
    cli.clock.set(datetime(2026, 7, 27, 8, tzinfo=UTC))
    cli("resume", "--accept-clock", "--by", "op-one", "--key", str(cli.key("op-one")))
    leaving = cli.json("plan", "--tenant", LEAVES, "--by", "op-three")["plans"][0]
    refused = cli("apply", leaving["hash"], "--yes", leaving["hash"], code=4).err
    assert "the signatures of two operators" in refused
    assert "mandate" not in refused
    assert cli.signed(leaving["hash"], "op-one")["enough"] is False
    cli("apply", leaving["hash"], "--yes", leaving["hash"], code=4)
    assert cli.signed(leaving["hash"], "op-two")["enough"] is True
    assert cli.json("apply", leaving["hash"], "--yes", leaving["hash"])["clean"] is True
    assert [cli.rows(table, LEAVES) for table in ("ticket", "access_log", "invoice")] == [0, 0, 9]
    assert [cli.rows(table, STAYS) for table in ("ticket", "invoice")] == [5, 10]

    # Proof: a certificate, its bundle, and a verifier that knows nothing but the trust file.
    assert cli.json("certificate", "issue", leaving["hash"])["number"] == "2026-000001"
    shown = cli("certificate", "show", "2026-000001").out
    assert "processor's duty, until 20" in shown
    assert "deleted by themselves" not in shown
    assert cli.json("tenant", "show", LEAVES)["state"] == "remainder"
    cli("evidence", "trust")
    bundle = tmp_path / "leaver.bundle"
    cli("certificate", "bundle", "2026-000001", "-o", str(bundle))
    trust = str(cli.folder / "trust.yaml")
    assert cli.json("verify", str(bundle), "--trust", trust)["verdict"] == "valid"
    damaged = tmp_path / "damaged.bundle"
    damaged.write_bytes(bundle.read_bytes()[:-40] + b"x" * 40)
    cli("verify", str(damaged), "--trust", trust, code=1)
    assert cli.json("evidence", "verify-log")["valid"] is True
    assert cli("status", code=5).out.startswith("No: 3 rows outlived the ceiling."), "nobody ran for a month"
    cli("run")
    assert cli("status").out.startswith("Yes: nothing is overdue.")


def test_a_person_confirms_an_offboarding_by_the_tenants_id_only(tmp_path: Path) -> None:
    """Without a terminal there is nobody to confirm: nothing is changed, and the exit code is that of wrong usage."""
    cli = deployed(tmp_path / "portal")
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one")
    ended = cli("apply", plan, code=2)
    assert "--yes HASH" in ended.err
    assert cli.rows("access_log", STAYS) == 20


def test_ctrl_c_between_the_change_and_its_receipt_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Interrupted inside a batch: 130, the batch is rolled back, the same command goes on to the planned count."""
    cli = deployed(tmp_path / "portal")
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one")
    reached: list[str] = []

    def press(name: str) -> None:
        reached.append(name)
        if name == "batch.changed":
            raise KeyboardInterrupt

    session = Session(folder=str(cli.folder), options=Options(clock=cli.clock, failpoint=press))
    result = CliRunner().invoke(root, ["apply", plan, "--yes", plan], obj=session)
    assert (result.exit_code, "batch.changed" in reached) == (130, True)
    assert "Traceback" not in result.output
    assert cli.rows("access_log", STAYS) == 20
    assert cli.json("apply", plan, "--yes", plan) == {
        "hash": plan,
        "job": "j-" + plan[7:31],
        "outcome": "done",
        "deleted": 22,
        "clean": True,
    }
    assert cli.json("apply", plan, "--yes", plan)["deleted"] == 22, "again: the same job, nothing new"
    assert cli.rows("access_log", STAYS) == 9
