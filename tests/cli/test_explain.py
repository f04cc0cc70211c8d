"""`lifecycle explain` for a tenant of each of the five agreements: what a data protection officer reads."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from lifecycle.ports.clock import SimulatedClock
from tests.cli.world import CANARIES, LEAVES, NOW, STAYS, Cli, deployed

POLICIES = Path(__file__).parents[2] / "policies"

INDIVIDUAL = """\
lifecycle: agreement/v1
id: nexcore-k1
version: "1"
title: Individual agreement of one customer
amends: nexcore
layer: individual
precedence: {order: [individual, standard], source: Geltung und Rangfolge 4, individual: amends}
zone: Europe/Berlin
categories: []
rules: []
windows:
  - {id: export, clause: "I 2", keep: P60D, waivable: instruction}
choice: {ask: true, default: delete, clause: "11.2, 11.3"}
data_act: {applies: true}
proof: {title: Löschnachweis, on_request: true, clause: "11.3"}
backups: {delay_agreed: true, clause: "3.4"}
on_doubt: suspend
on_doubt_clause: "1.3"
"""


def company(folder: Path, agreement: str) -> Cli:
    """Make a deployment over the example data map of an agreement; its stores are not there, and not needed."""
    cli = Cli(folder, SimulatedClock(NOW))
    origin = "lifecycle.example.com/example"
    cli("init", str(folder), "--deployment", "example", "--origin", origin, "--agreement", agreement)
    shutil.copyfile(POLICIES / "inventories" / f"{agreement}.yaml", folder / "inventory.yaml")
    return cli


def test_parking_reminder_shows_the_controllers_figure_and_the_operators_reading(tmp_path: Path) -> None:
    """Bookings go after the controller's six months plus a reading; logs after the 90 days of the clause."""
    cli = company(tmp_path / "d", "parking-reminder")
    cli("tenant", "add", "k1", "--agreement", "parking-reminder", "--parameter", "booking_retention=P6M")
    shown = cli("explain", "k1").out
    assert "parameter booking_retention: 6 months (P6M), set by the controller" in shown
    assert "gone by 6 months + 14 days (P6M + P14D) after booking-end → before 2026-12-29" in shown
    assert "clause: 5.7, Anhang 1 Nr. 6 · rule logs" in shown
    missing = cli("tenant", "add", "k2", "--agreement", "parking-reminder", code=2)
    assert "booking_retention is missing" in missing.err


def test_nexcore_shows_which_layer_won(tmp_path: Path) -> None:
    """The individual agreement's sixty days prevail over the standard's thirty, and the loser is named."""
    cli = company(tmp_path / "d", "nexcore")
    (cli.folder / "policies" / "agreements" / "nexcore-k1.yaml").write_text(INDIVIDUAL)
    cli("tenant", "add", "k1", "--agreement", "nexcore", "--individual", "nexcore-k1")
    cli("tenant", "end", "k1", "--on", "2026-05-31")
    shown = cli("explain", "k1").out
    assert "under nexcore 1.4, individual nexcore-k1@1" in shown
    assert "binds  keep    60 days (P60D) after the contract's end → free from 2026-07-31" in shown
    assert "clause: 11.2 · layer standard · the layer individual prevails" in shown
    assert "the controller's duty ends here with the contract: the data is returned" in shown
    assert "processor's duty" in shown


def test_vertriebskraftwerk_waits_for_the_choice(tmp_path: Path) -> None:
    """No default: nothing is deleted before the choice, and the wait has the operator's own ceiling."""
    cli = company(tmp_path / "d", "vertriebskraftwerk")
    cli("tenant", "add", "k1", "--agreement", "vertriebskraftwerk")
    assert cli.json("tenant", "end", "k1", "--on", "2026-05-31")["state"] == "awaiting-choice"
    shown = cli("explain", "k1").out
    assert "is deleted once the choice between deletion and return is made · gone before 2026-08-29 begins" in shown
    assert "operator's own reading: choice ceiling" in shown
    chosen = cli.json("tenant", "choose", "k1", "delete", "--form", "text")
    assert (chosen["state"], chosen["timeline"]["awaiting_choice"]) == ("ended", False)
    assert "is deleted from 2026-07-01" in cli("explain", "k1").out


def test_planuro_shows_the_pick_up_period_and_its_waiver(tmp_path: Path) -> None:
    """Ninety days by clause beat thirty by statute; a waiver by instruction ends both."""
    cli = company(tmp_path / "d", "planuro")
    cli("tenant", "add", "k1", "--agreement", "planuro")
    assert cli.json("tenant", "end", "k1", "--on", "2026-05-31")["timeline"]["window_end"] == "2026-08-29"
    assert cli.json("tenant", "waive", "k1", "--on", "2026-06-10")["timeline"]["due_from"] == "2026-06-11"
    assert "ended earlier by the tenant's instruction" in cli("explain", "k1").out


def test_clientport_shows_an_own_figure_as_such_and_resumes(tmp_path: Path) -> None:
    """The agreement names no period for logs: the figure is the operator's own, and says so. Contracts may go on."""
    cli = company(tmp_path / "d", "clientport")
    cli("tenant", "add", "k1", "--agreement", "clientport")
    shown = cli("explain", "k1").out
    assert "gone by 90 days (P90D) after collection → before 2026-09-13" in shown
    assert "operator's own reading: the operator's own rule · rule server-logs" in shown
    cli("tenant", "notice", "k1", "--received", "2026-06-01", "--ends", "2026-08-31")
    assert cli.json("tenant", "show", "k1")["state"] == "notice"
    assert cli.json("tenant", "resume", "k1")["contract_end"] is None


def test_a_row_says_why_it_is_still_here_and_when_it_goes(tmp_path: Path) -> None:
    """By its key: its own start, the figure that binds, and its days; a statute's floor where one keeps it."""
    cli = deployed(tmp_path / "d")
    # The eleventh log row is a hundred days old: past its ninety.
    found = cli.json("explain", STAYS, "access-log", "--key", "10")["datasets"][0]
    assert found["starts"] == {"collection": "2026-03-07"}
    assert (found["due"], found["latest"]) == ("2026-06-02", "2026-06-05")
    shown = cli("explain", STAYS, "access-log", "--key", "10").out
    assert "access-log (technical-data, main): the row of that key" in shown
    assert "collection  2026-03-07" in shown
    assert "gone by 90 days (P90D) after collection → before 2026-06-05" in shown
    young = cli.json("explain", STAYS, "invoices", "--key", "0")["datasets"][0]
    assert young["starts"] == {"issue": "2026-03-04"}
    assert [r["source"] for r in young["reasons"] if r["binds"] and r["kind"] == "floor"]
    assert not any(canary in shown for canary in CANARIES)


def test_another_tenants_row_and_no_row_are_the_same_answer(tmp_path: Path) -> None:
    """Nobody learns from a key whose row it is; a key of another width, or without a dataset, is told so."""
    cli = deployed(tmp_path / "d")
    other = cli("explain", STAYS, "access-log", "--key", "1003", code=2)
    none = cli("explain", STAYS, "access-log", "--key", "99", code=2)
    assert other.err == none.err
    assert "no row of that key" in none.err
    assert cli.json("explain", LEAVES, "access-log", "--key", "1003")["datasets"][0]["starts"]
    assert "the key has 1 columns" in cli("explain", STAYS, "access-log", "--key", "1", "--key", "2", code=4).err
    cli("explain", STAYS, "--key", "1", code=2)
    cli("explain", STAYS, "access-log", "--key", "1", "--start", "2026-01-01", code=2)


def test_a_row_without_a_usable_start_is_said_to_be_undatable(tmp_path: Path) -> None:
    """No rule deletes it, and explain says that instead of a day."""
    cli = deployed(tmp_path / "d")
    with sqlite3.connect(cli.folder / "portal.sqlite") as connection:
        connection.execute("INSERT INTO access_log VALUES (77, ?, '203.0.113.1', '01.02.2026')", (STAYS,))
    connection.close()
    assert cli.json("explain", STAYS, "access-log", "--key", "77")["datasets"][0]["starts"] == {"collection": None}
    assert "undatable: no rule deletes it by this time" in cli("explain", STAYS, "access-log", "--key", "77").out
