"""Documents that a story adds to the policies: an individual agreement, and a copy whose action is another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

INDIVIDUAL = """\
lifecycle: agreement/v1
id: nexcore-hafen
version: "2026-02"
title: Individual agreement, of February 2026
layer: individual
amends: nexcore
precedence:
  order: [individual, standard, service-agreement, toms, specification]
  source: "Geltung und Rangfolge 3, Geltung und Rangfolge 4"
zone: Europe/Berlin
rules:
  - id: activity
    clause: "4.2"
    category: [usage-log]
    start: collection
    gone_by: P30D
    action: delete
windows:
  - id: export
    clause: "11.2"
    keep: P60D
    licence: active full-user licence
    formats: [api]
    complete_export: on-instruction-paid
choice: {ask: true, default: delete, clause: "11.2"}
proof: {title: Lösch-/Vernichtungsnachweis, on_request: true, clause: "11.3"}
backups: {delay_agreed: true, clause: "11.3", rhythm: rolling}
on_doubt: suspend
on_doubt_clause: "1.3"
"""


def add_individual(policies: Path) -> None:
    """Add an individual agreement under nexcore: sixty days of export, and a ceiling for the activity log."""
    (policies / "agreements" / "nexcore-hafen.yaml").write_text(INDIVIDUAL)


def anonymise_bookings(policies: Path) -> None:
    """Let parking reminder's booking rule anonymise; clause 3.5 grants either."""
    path = policies / "agreements" / "parking-reminder.yaml"
    text = path.read_text()
    found = "action: delete\n    anonymise_clause:"
    assert text.count(found) == 1
    path.write_text(text.replace(found, "action: anonymise\n    anonymise_clause:"))
