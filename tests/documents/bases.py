"""Small valid documents of each kind, and the marker that says where a problem is expected."""

from __future__ import annotations

from dataclasses import dataclass

MARK = "‸"
"""Stands in a bad document right before the character at which the problem is expected; taken out before reading."""

AGREEMENT = """\
lifecycle: agreement/v1
id: sample
version: "1"
title: A sample
precedence: {order: [individual, standard]}
zone: Europe/Berlin
categories:
  - {id: logs, name: Logs, clause: "5"}
  - {id: content, name: Content, clause: "5"}
parameters:
  retention: {clause: "3.5", at_least: P30D, at_most: P2Y}
rules:
  - id: log-rule
    clause: "5.7"
    category: [logs]
    start: collection
    gone_by: P90D
  - id: content-rule
    clause: "3.5"
    category: [content]
    start: {event: booking-end}
    keep: {parameter: retention}
    gone_by: {parameter: retention, plus: {operator: without_delay}}
  - id: end
    clause: "9"
    category: all
    start: window-end
    gone_by: {operator: without_delay}
windows:
  - {id: export, clause: "10", keep: P30D}
choice: {default: delete, clause: "9"}
proof: {title: Löschnachweis}
backups: {delay_agreed: true, clause: "3.4"}
on_doubt: inform
subprocessors:
  - {id: host, name: Host GmbH, purpose: Hosting, country: DE}
promises:
  notices:
    breach: {at_most: PT24H, clause: "9.2"}
    subprocessor_change: {needs: notice, ahead: P14D, clause: "7"}
"""

INVENTORY = """\
lifecycle: inventory/v1
id: map
stores:
  - id: db
    kind: sql
    address: {env: DB_URL}
    subprocessor: host
    place: {country: DE}
    backups:
      - {id: nightly, cycle: P7D}
datasets:
  - id: log
    store: db
    table: log
    category: logs
    key: [id]
    tenant: {by: column, column: tenant_id}
    times: {collection: {column: at, encoding: utc}}
  - id: bookings
    store: db
    table: bookings
    category: content
    key: [id]
    tenant:
      by: path
      column: tenant_id
      path: [{column: site_id, table: sites, key: id}]
    times:
      collection: {column: created_at, encoding: local, zone: Europe/Berlin}
      booking-end: {column: ends_at, encoding: epoch-s}
    statutory:
      - {kind: invoice, holder: processor, start: booking-end}
    cascades:
      - {dataset: log, column: booking_id, effect: delete}
    triggers:
      - {name: t1, effect: none}
not_personal:
  - {store: db, table: rates, why: Public rates.}
"""

STATUTES = """\
lifecycle: statutes/v1
id: de
floors:
  - id: invoices
    citation: "§ 14b(1) UStG"
    kinds: [invoice]
    period: P8Y
    of: issue of the invoice
    valid_from: 2025-01-01
retrieval:
  - id: data-act
    citation: "Art. 25(2)(g)"
    period: P30D
    valid_from: 2025-09-12
"""

OPERATOR = """\
lifecycle: operator/v1
firm: Example GmbH
address: Musterstraße 1, 10115 Berlin
dpo_office: Data protection office
federal_state: BE
readings:
  without_delay: P14D
  forward_request: P2D
  unlawful_notice: P1D
  delivery_inspection: P14D
  choice_request: P14D
  choice_ceiling: P90D
  breach_notice: PT24H
tax_final_through: 2019
approved_on: 2026-01-05
review_by: 2027-01-04
"""

TENANTS = """\
lifecycle: tenants/v1
tenants:
  - id: "1001"
    agreement: sample
    parameters: {retention: P6M}
    contract_start: 2026-01-01
  - id: second
    agreement: sample
    agreement_version: "1"
    parameters: {retention: P1Y}
    federal_state: BY
"""

OPERATORS = """\
lifecycle: operators/v1
operators:
  - id: operations-1
    public_key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
    added_on: 2026-01-01
  - id: operations-2
    public_key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="
    added_on: 2026-01-01
    removed_on: 2026-02-01
"""

BASES = {
    "agreement": AGREEMENT,
    "inventory": INVENTORY,
    "statutes": STATUTES,
    "operator": OPERATOR,
    "tenants": TENANTS,
    "operators": OPERATORS,
}


@dataclass(frozen=True, slots=True)
class Bad:
    """A document that must be refused: at the mark, with this word in what the problem says.

    `count` is how many problems the document has in all; the one at the mark is among them.
    """

    name: str
    text: str
    word: str
    count: int = 1

    @property
    def content(self) -> bytes:
        """Return the document without the mark."""
        return self.text.replace(MARK, "").encode("utf-8", "surrogatepass")

    @property
    def position(self) -> tuple[int, int]:
        """Return the line and column of the mark."""
        before = self.text[: self.text.index(MARK)]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def swap(name: str, kind: str, old: str, new: str, word: str, count: int = 1) -> Bad:
    """Return a bad document: one of the valid ones with one piece replaced by a marked one."""
    base = BASES[kind]
    if base.count(old) < 1 or new.count(MARK) != 1:
        raise AssertionError(name)
    return Bad(name, base.replace(old, new, 1), word, count)
