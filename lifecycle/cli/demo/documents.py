"""What the portal company writes down: who it is, what lies where, and whom it serves.

The promises themselves are not written here: they are the ClientPort agreement and the statutes that come with the
product, copied into the deployment's folder.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from lifecycle.cli.demo.calendar import Days
from lifecycle.cli.demo.names import FIRM, PORTALS

AGREEMENT = "clientport"
RULE = "server-logs"
STORE = "portal"
DATABASE = "portal.db"
ADDRESS_FILE = "portal-address"
LOGS = ("access-log", "mail-log")
BACKUP_CYCLE = "P3D"

OPERATOR = f"""\
lifecycle: operator/v1
firm: {FIRM}
address: Beispielweg 7, 12345 Beispielstadt
dpo_office: Data protection office
federal_state: BE
responsibilities:
  approvals: Operations, two keys
readings:                     # the operator's own figures where no clause names one; never shown as a clause
  without_delay: P14D         # "without delay", § 121(1) BGB
  forward_request: P2D
  unlawful_notice: P1D
  delivery_inspection: P14D
  choice_request: P14D
  choice_ceiling: P90D
"""

INVENTORY = f"""\
# The data map: every table of the portal's database, what it holds, and how its rows belong to a customer.
# `lifecycle coverage` fails when the database has a table or column that is not in here.
lifecycle: inventory/v1
id: portal
reviewed: true
agreements: [{AGREEMENT}]
stores:
  - id: {STORE}
    kind: sql
    address: {{file: {ADDRESS_FILE}}}
    place: {{country: DE, region: Frankfurt}}
    backups:
      - {{id: nightly, cycle: {BACKUP_CYCLE}}}    # the last copy of a deleted row is gone after three days
datasets:
  - id: portals
    store: {STORE}
    table: portals
    category: master-data
    key: [id]
    tenant: {{by: column, column: id}}
    columns: [id, firm, contact_email, customer_number, plan_id, created_on]
  - id: users
    store: {STORE}
    table: users
    category: master-data
    key: [id]
    tenant: {{by: column, column: portal_id}}
    times: {{collection: {{column: created_at, encoding: iso-text}}}}
    columns: [id, portal_id, name, email, phone, created_at]
    persons: [{{column: email, holds: email}}]
  - id: credentials
    store: {STORE}
    table: credentials
    category: auth-data
    key: [user_id]
    tenant: {{by: path, column: portal_id, path: [{{column: user_id, table: users, key: id}}]}}
    columns: [user_id, password_hash, changed_at]
  - id: tickets
    store: {STORE}
    table: tickets
    category: communication-data
    key: [id]
    tenant: {{by: column, column: portal_id}}
    times: {{collection: {{column: opened_at, encoding: iso-text}}}}
    columns: [id, portal_id, opened_by, subject, status, opened_at]
  - id: ticket-comments
    store: {STORE}
    table: ticket_comments
    category: communication-data
    key: [id]
    tenant: {{by: path, column: portal_id, path: [{{column: ticket_id, table: tickets, key: id}}]}}
    times: {{collection: {{column: written_at, encoding: iso-text}}}}
    columns: [id, ticket_id, author_id, body, written_at]
  - id: messages
    store: {STORE}
    table: messages
    category: communication-data
    key: [id]
    tenant: {{by: column, column: portal_id}}
    times: {{collection: {{column: sent_at, encoding: iso-text}}}}
    columns: [id, portal_id, sender_id, body, sent_at]
  - id: documents
    store: {STORE}
    table: documents
    category: documents
    key: [id]
    tenant: {{by: column, column: portal_id}}
    times: {{collection: {{column: uploaded_at, encoding: iso-text}}}}
    columns: [id, portal_id, uploaded_by, title, bytes, uploaded_at]
  - id: read-marks
    store: {STORE}
    table: read_marks
    category: usage-data
    key: [document_id, user_id]
    tenant: {{by: path, column: portal_id, path: [{{column: document_id, table: documents, key: id}}]}}
    times: {{collection: {{column: read_at, encoding: iso-text}}}}
    columns: [document_id, user_id, read_at]
  - id: logins
    store: {STORE}
    table: logins
    category: usage-data
    key: [id]
    tenant: {{by: column, column: portal_id}}
    times: {{collection: {{column: at, encoding: epoch-s}}}}
    columns: [id, portal_id, user_id, at]
  - id: access-log
    store: {STORE}
    table: access_log
    category: technical-data
    key: [id]
    tenant: {{by: column, column: portal_id}}
    times: {{collection: {{column: at, encoding: iso-text}}}}
    columns: [id, portal_id, at, ip, path, status]
  - id: mail-log
    store: {STORE}
    table: mail_log
    category: technical-data
    key: [id]
    tenant: {{by: column, column: portal_id}}
    times: {{collection: {{column: sent_at, encoding: epoch-s}}}}
    columns: [id, portal_id, sent_at, recipient, template]
  - id: invoices
    store: {STORE}
    table: invoices
    category: master-data
    key: [number]
    tenant: {{by: column, column: portal_id}}
    times: {{issue: {{column: issued_on, encoding: date}}}}
    statutory:
      - {{kind: invoice, holder: processor, start: issue, why: invoices of the portal company to its customers}}
    columns: [number, portal_id, issued_on, recipient, net_cents]
    export: false
    note: The processor's own books; the customer has received each invoice.
not_personal:
  - {{store: {STORE}, table: plans, why: the price list}}
  - {{store: {STORE}, table: settings, why: switches of the application without reference to a person}}
"""


def write(folder: Path, days: Days) -> None:
    """Write operator document, inventory, tenants and the database's address into a new deployment's folder."""
    approved = days.day(0) - timedelta(days=30)
    dates = f"approved_on: {approved.isoformat()}\nreview_by: {(approved + timedelta(days=364)).isoformat()}\n"
    (folder / "policies" / "operator.yaml").write_text(OPERATOR + dates, encoding="utf-8")
    (folder / "inventory.yaml").write_text(INVENTORY, encoding="utf-8")
    (folder / "tenants.yaml").write_text(_tenants(days), encoding="utf-8")
    address = folder / ADDRESS_FILE
    address.touch(mode=0o600)
    address.write_text(f"sqlite:///{DATABASE}\n", encoding="utf-8")


def _tenants(days: Days) -> str:
    lines = ["lifecycle: tenants/v1", "tenants:"]
    for portal in PORTALS:
        started = days.day(0) - timedelta(days=3650)
        lines += [
            f"  - id: {portal.id}",
            f"    agreement: {AGREEMENT}",
            f"    contract_start: {started.isoformat()}",
            f'    firm: "{portal.firm}"',
            f"    customer_number: {portal.number}",
            "    authorised: [management]",
            "    federal_state: BE",
        ]
    return "\n".join(lines) + "\n"
