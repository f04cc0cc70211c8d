"""`lifecycle explain` for a tenant of each agreement: each figure with its label and place, and who prevails."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from typing import TYPE_CHECKING, Any

from lifecycle.flow import offboard
from tests.systems.applications import CLIENTPORT, NEXCORE, PARKING_REMINDER, PLANURO, VERTRIEBSKRAFTWERK
from tests.systems.layers import add_individual
from tests.systems.world import Company, company, customer

if TYPE_CHECKING:
    from pathlib import Path

DATA_ACT = "Art. 25(2)(g) and (h) Regulation (EU) 2023/2854"
EIGHT_YEARS = "§ 147(1) No. 4, (3) AO; § 257(1) No. 4, (4) HGB"


def explained(found: Company, *arguments: str) -> dict[str, Any]:
    """Return the one dataset that is explained."""
    (only,) = found.json("explain", *arguments)["datasets"]
    return only


def binding(window: dict[str, Any]) -> list[tuple[str, str | None, str, str]]:
    """Return the binding reasons: kind, period, label, source."""
    return sorted((r["kind"], r["period"], r["label"], r["source"]) for r in window["reasons"] if r["binds"])


def days(window: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Return from when the datum may go, from when it is deleted, and by when it must be gone."""
    return window["earliest"], window["due"], window["latest"]


def test_clientport_labels_the_operators_own_figure_and_keeps_its_invoices(tmp_path: Path) -> None:
    """Ninety days for server logs stand in no clause; invoices of 2017 end on 1 January 2026 by the law of the day."""
    with company(tmp_path / "c", CLIENTPORT, date(2026, 6, 1), customer(CLIENTPORT, "linde")) as found:
        log = explained(found, "linde", "request-log")
        assert days(log) == ("2026-06-01", "2026-08-27", "2026-08-30")
        assert binding(log) == [("ceiling", "P90D", "reading", "the operator's own rule: the operator's own rule")]
        invoice = explained(found, "linde", "invoices", "--start", "2017-03-04")
        assert days(invoice) == ("2026-01-01", None, None)
        assert binding(invoice) == [("floor", "P8Y", "statute", "§ 14b(1) UStG; § 147(1) No. 4, (3) AO")]
        (old,) = [r for r in invoice["reasons"] if r["period"] == "P10Y"]
        assert (old["binds"], old["note"], old["duty_holder"]) == (False, "not in force on this day", "processor")
        shown = found.cli("explain", "linde", "request-log")
    assert "is deleted from 2026-08-27 · gone before 2026-08-30 begins" in shown
    assert "operator's own reading: the operator's own rule · rule server-logs" in shown


def test_planuro_shows_the_longer_window_and_what_an_instruction_leaves_of_it(tmp_path: Path) -> None:
    """Ninety days by the clause, thirty by the Data Act; a waiver ends both, and the reading counts from there."""
    with company(tmp_path / "p", PLANURO, date(2026, 3, 1), customer(PLANURO, "atlas")) as found:
        offboard.end(found.line, found.tenant("atlas"), ends_on=date(2026, 3, 31))
        whole = explained(found, "atlas", "plans")
        assert days(whole) == ("2026-06-30", "2026-06-30", "2026-07-13")
        assert binding(whole) == [
            ("ceiling", "P14D", "reading", "§ 10(2): without_delay"),
            ("floor", "P30D", "statute", DATA_ACT),
            ("floor", "P90D", "clause", "§ 10(1)"),
        ]
        found.go(date(2026, 4, 10))
        offboard.waive_window(found.line, found.tenant("atlas"), waived_on=date(2026, 4, 10))
        waived = explained(found, "atlas", "plans")
        assert days(waived) == ("2026-04-11", "2026-04-11", "2026-04-24")
        notes = {r["note"] for r in waived["reasons"] if r["kind"] == "floor"}
        assert notes == {"ended earlier by the tenant's instruction"}


def test_vertriebskraftwerk_waits_for_a_choice_under_the_operators_ceiling(tmp_path: Path) -> None:
    """Nothing is due on silence; the wait's ninety days are a reading, never a clause; the AI mapping waits too."""
    with company(tmp_path / "v", VERTRIEBSKRAFTWERK, date(2026, 6, 1), customer(VERTRIEBSKRAFTWERK, "m-7")) as found:
        offboard.end(found.line, found.tenant("m-7"), ends_on=date(2026, 5, 31))
        waiting = explained(found, "m-7", "reference-ids")
        assert days(waiting) == (None, None, "2026-08-29")
        assert binding(waiting) == [
            ("ceiling", "P90D", "reading", "choice_ceiling"),
            ("floor", "P30D", "statute", DATA_ACT),
        ]
        shown = found.cli("explain", "m-7", "reference-ids")
        assert "awaited: delete or return; nothing is deleted before" in shown
        assert "counts from the choice, which is awaited" in shown
        found.go(date(2026, 6, 20))
        offboard.choose(found.line, found.tenant("m-7"), "delete", form="text")
        assert days(explained(found, "m-7", "reference-ids")) == ("2026-07-01", "2026-07-01", "2026-07-14")


def test_nexcore_shows_which_layer_prevails_and_whose_duty_survives(tmp_path: Path) -> None:
    """Sixty days by the individual agreement, its log rule inside them; the operator's own vouchers stay till 2035."""
    tenants = [customer(NEXCORE, "hafen", individual="nexcore-hafen"), customer(NEXCORE, "alster")]
    with company(tmp_path / "n", NEXCORE, date(2026, 3, 4), *tenants, policies=add_individual) as found:
        # During the contract the customer's own duty is shown, and binds through its parameter or instruction only.
        (duty,) = [r for r in explained(found, "hafen", "vouchers")["reasons"] if r["period"] == "P8Y"]
        assert (duty["binds"], duty["day"], duty["duty_holder"]) == (False, "2035-01-01", "controller")
        assert duty["note"] == "the controller's duty binds through its parameter or instruction only"

        for name in ("hafen", "alster"):
            offboard.end(found.line, found.tenant(name), ends_on=date(2026, 3, 31))
        found.go(date(2026, 4, 1))
        individual = explained(found, "hafen", "orders")
        windows = {
            (r["layer"], r["source"], r["period"], r["binds"]) for r in individual["reasons"] if r["label"] == "clause"
        }
        assert windows == {("individual", "11.2", "P60D", True), ("standard", "11.2", "P30D", False)}
        (lost,) = [r for r in individual["reasons"] if r["layer"] == "standard" and r["kind"] == "floor"]
        assert lost["note"] == "the layer individual prevails"
        assert days(individual) == ("2026-05-31", "2026-05-31", "2026-06-13")
        assert days(explained(found, "alster", "orders")) == ("2026-05-01", "2026-05-01", "2026-05-14")

        # A record's own period does not wait for the window: the individual agreement's thirty days for the log.
        activity = explained(found, "hafen", "activity", "--start", "2026-03-04")
        assert days(activity) == ("2026-03-31", "2026-03-31", "2026-04-03")
        assert "the record expires before the window of 11.2 closes" in activity["conflicts"]
        assert explained(found, "alster", "activity")["conflicts"] == []

        # The same voucher of 4 March 2026, once the customer's duty and once the operator's.
        theirs = explained(found, "hafen", "vouchers", "--start", "2026-03-04")
        assert days(theirs) == ("2026-05-31", "2026-05-31", "2026-06-13")
        (duty,) = [r for r in theirs["reasons"] if r["period"] == "P8Y"]
        assert (duty["binds"], duty["note"]) == (
            False, "the controller's duty ends here with the contract: the data is returned",
        )  # fmt: skip
        ours = explained(found, "hafen", "own-vouchers", "--start", "2026-03-04")
        assert days(ours) == ("2035-01-01", "2035-01-01", "2035-01-15")
        assert ("floor", "P8Y", "statute", EIGHT_YEARS) in binding(ours)
        assert ours["conflicts"] == ["a statutory floor prevails over the ceiling; deletion follows once it ends"]

        shown = found.cli("explain", "hafen", "orders")
        assert "under nexcore 1.4, individual nexcore-hafen@2026-02" in shown
        assert "none is recorded, so a complete export is offered instead; the window stays as long" in shown
        assert "clause: 11.2 · layer individual" in shown


def test_parking_reminder_shows_the_controllers_parameter_beside_the_operators_reading(tmp_path: Path) -> None:
    """Six months by the controller, fourteen days by the operator; ninety days for logs by the clause."""
    tenant = customer(PARKING_REMINDER, "airport", parameters={"booking_retention": "P6M"})
    with company(tmp_path / "b", PARKING_REMINDER, date(2026, 8, 31), tenant) as found:
        booking = explained(found, "airport", "bookings", "--start", "2026-08-31")
        assert days(booking) == ("2027-03-01", "2027-03-01", "2027-03-14")
        assert binding(booking) == [
            ("ceiling", "P6M + P14D", "controller", "3.5: booking_retention (3.5, 4.4) + without_delay"),
            ("floor", "P6M", "controller", "3.5: booking_retention (3.5, 4.4)"),
        ]
        for dataset in ("sms-journal", "executions"):
            log = explained(found, "airport", dataset)
            assert days(log) == ("2026-08-31", "2026-11-26", "2026-11-29")
            assert binding(log) == [("ceiling", "P90D", "clause", "5.7, Anhang 1 Nr. 6")]
        shown = found.cli("explain", "airport", "bookings")
    assert "parameter booking_retention: 6 months (P6M), set by the controller" in shown
    assert "gone by 6 months + 14 days (P6M + P14D) after booking-end → before 2027-03-14" in shown


def test_the_program_explains_in_a_process_of_its_own(tmp_path: Path) -> None:
    """What a person types works as a program, too, and both forms say the same."""
    with company(tmp_path / "c", CLIENTPORT, date(2026, 6, 1), customer(CLIENTPORT, "linde")):
        pass
    command = [sys.executable, "-m", "lifecycle", "--dir", str(tmp_path / "c"), "explain", "linde", "request-log"]
    command += ["--start", "2026-06-01"]
    done = [subprocess.run([*command, *more], capture_output=True, text=True, check=False) for more in ([], ["--json"])]
    assert [(one.returncode, one.stderr) for one in done] == [(0, ""), (0, "")]
    (window,) = json.loads(done[1].stdout)["datasets"]
    assert window["latest"] == "2026-08-30"
    assert "gone before 2026-08-30 begins" in done[0].stdout
