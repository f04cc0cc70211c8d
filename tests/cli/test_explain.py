"""`lifecycle explain` for a tenant of each of the five agreements: what a data protection officer reads."""

from __future__ import annotations

import shutil
from pathlib import Path

from lifecycle.ports.clock import SimulatedClock
from tests.cli.world import NOW, Cli

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
