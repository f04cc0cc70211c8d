"""The applications of five companies, one for each agreement: small SQLite databases and the data maps over them.

They follow the example maps in `policies/inventories`, as far as one database can: what lies in buckets, files and
remote services there is left out here.
"""

from __future__ import annotations

from tests.systems.world import Application

HEAD = """\
lifecycle: inventory/v1
id: {agreement}-app
agreements: [{agreement}]
stores:
  - id: db
    kind: sql
    address: {{file: application.url}}
    subprocessor: {subprocessor}
    place: {{country: DE, region: Frankfurt}}
    backups: {backups}
datasets:
"""


def _application(agreement: str, subprocessor: str, backups: str, ddl: str, datasets: str) -> Application:
    head = HEAD.format(agreement=agreement, subprocessor=subprocessor, backups=backups)
    return Application(agreement, ddl, head + datasets)


CLIENTPORT = _application(
    "clientport",
    "supabase",
    "[{id: daily, cycle: P7D}]",
    """
    CREATE TABLE portals (id TEXT PRIMARY KEY, name TEXT NOT NULL, created_at TEXT NOT NULL);
    CREATE TABLE portal_users (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL REFERENCES portals(id),
      email TEXT NOT NULL);
    CREATE TABLE credentials (user_id INTEGER PRIMARY KEY REFERENCES portal_users(id), password_hash TEXT NOT NULL);
    CREATE TABLE tickets (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL REFERENCES portals(id),
      author_id INTEGER REFERENCES portal_users(id), subject TEXT NOT NULL, created_at TEXT NOT NULL);
    CREATE TABLE comments (id INTEGER PRIMARY KEY, ticket_id INTEGER NOT NULL REFERENCES tickets(id),
      body TEXT NOT NULL);
    CREATE TABLE request_log (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL, ip TEXT NOT NULL, at TEXT NOT NULL);
    CREATE TABLE invoices (number TEXT PRIMARY KEY, portal_id TEXT NOT NULL, issued_on TEXT NOT NULL);
    CREATE INDEX users_portal ON portal_users (portal_id);
    CREATE INDEX tickets_portal ON tickets (portal_id);
    CREATE INDEX tickets_author ON tickets (author_id);
    CREATE INDEX comments_ticket ON comments (ticket_id);
    CREATE INDEX request_log_at ON request_log (at);
    CREATE INDEX request_log_portal ON request_log (portal_id);
    CREATE INDEX invoices_portal ON invoices (portal_id);
    """,
    """\
  - {id: portals, store: db, table: portals, category: master-data, key: [id], tenant: {by: column, column: id}}
  - {id: portal-users, store: db, table: portal_users, category: master-data, key: [id],
     tenant: {by: column, column: portal_id}}
  - id: credentials
    store: db
    table: credentials
    category: auth-data
    key: [user_id]
    tenant: {by: path, path: [{column: user_id, table: portal_users, key: id}], column: portal_id}
    export: false
  - {id: tickets, store: db, table: tickets, category: communication-data, key: [id],
     tenant: {by: column, column: portal_id}, times: {collection: {column: created_at, encoding: iso-text}}}
  - id: comments
    store: db
    table: comments
    category: communication-data
    key: [id]
    tenant: {by: path, path: [{column: ticket_id, table: tickets, key: id}], column: portal_id}
  - {id: request-log, store: db, table: request_log, category: technical-data, key: [id],
     tenant: {by: column, column: portal_id}, times: {collection: {column: at, encoding: iso-text}}, export: false}
  - id: invoices
    store: db
    table: invoices
    category: master-data
    key: [number]
    tenant: {by: column, column: portal_id}
    times: {issued: {column: issued_on, encoding: date}}
    statutory: [{kind: invoice, holder: processor, start: issued, why: Invoices of the operator to the tenant}]
    export: false
""",
)

PLANURO = _application(
    "planuro",
    "kinsta",
    "[{id: kinsta-daily, cycle: P14D}]",
    """
    CREATE TABLE pl_users (id INTEGER PRIMARY KEY, company_id TEXT NOT NULL, email TEXT NOT NULL,
      deputy_id INTEGER REFERENCES pl_users(id));
    CREATE TABLE pl_plans (id INTEGER PRIMARY KEY, company_id TEXT NOT NULL, title TEXT NOT NULL,
      created_at TEXT NOT NULL);
    CREATE TABLE pl_plan_entries (id INTEGER PRIMARY KEY,
      plan_id INTEGER NOT NULL REFERENCES pl_plans(id) ON DELETE CASCADE, what TEXT NOT NULL);
    CREATE TABLE pl_activity (id INTEGER PRIMARY KEY, company_id TEXT NOT NULL, at INTEGER NOT NULL);
    CREATE TABLE pl_billing (id INTEGER PRIMARY KEY, company_id TEXT NOT NULL, issued_on TEXT NOT NULL);
    CREATE INDEX users_company ON pl_users (company_id);
    CREATE INDEX users_deputy ON pl_users (deputy_id);
    CREATE INDEX plans_company ON pl_plans (company_id);
    CREATE INDEX entries_plan ON pl_plan_entries (plan_id);
    CREATE INDEX activity_company ON pl_activity (company_id);
    CREATE INDEX billing_company ON pl_billing (company_id);
    """,
    """\
  - {id: accounts, store: db, table: pl_users, category: account-data, key: [id],
     tenant: {by: column, column: company_id}, detach: [deputy_id]}
  - id: plans
    store: db
    table: pl_plans
    category: content
    key: [id]
    tenant: {by: column, column: company_id}
    times: {collection: {column: created_at, encoding: iso-text}}
    cascades: [{dataset: plan-entries, column: plan_id, effect: delete}]
  - id: plan-entries
    store: db
    table: pl_plan_entries
    category: content
    key: [id]
    tenant: {by: path, path: [{column: plan_id, table: pl_plans, key: id}], column: company_id}
  - {id: activity, store: db, table: pl_activity, category: usage-log, key: [id],
     tenant: {by: column, column: company_id}, times: {collection: {column: at, encoding: epoch-s}}, export: false}
  - id: billing
    store: db
    table: pl_billing
    category: billing-metadata
    key: [id]
    tenant: {by: column, column: company_id}
    times: {issued: {column: issued_on, encoding: date}}
    statutory: [{kind: invoice, holder: processor, start: issued, why: Invoices of the operator to the tenant}]
    export: false
""",
)

VERTRIEBSKRAFTWERK = _application(
    "vertriebskraftwerk",
    "hosting",
    "[]",
    """
    CREATE TABLE forms (id INTEGER PRIMARY KEY, mandate_id TEXT NOT NULL, title TEXT NOT NULL);
    CREATE TABLE form_submissions (id INTEGER PRIMARY KEY, form_id INTEGER NOT NULL REFERENCES forms(id),
      submitted_at TEXT NOT NULL);
    CREATE TABLE form_answers (id INTEGER PRIMARY KEY,
      submission_id INTEGER NOT NULL REFERENCES form_submissions(id), answer TEXT NOT NULL);
    CREATE TABLE contacts (id INTEGER PRIMARY KEY, mandate_id TEXT NOT NULL, email TEXT NOT NULL);
    CREATE TABLE reference_ids (reference_id TEXT PRIMARY KEY, mandate_id TEXT NOT NULL,
      contact_id INTEGER NOT NULL REFERENCES contacts(id));
    CREATE TABLE letters (id INTEGER PRIMARY KEY, mandate_id TEXT NOT NULL, sent_on TEXT NOT NULL);
    CREATE INDEX forms_mandate ON forms (mandate_id);
    CREATE INDEX submissions_form ON form_submissions (form_id);
    CREATE INDEX answers_submission ON form_answers (submission_id);
    CREATE INDEX contacts_mandate ON contacts (mandate_id);
    CREATE INDEX reference_mandate ON reference_ids (mandate_id);
    CREATE INDEX reference_contact ON reference_ids (contact_id);
    CREATE INDEX letters_mandate ON letters (mandate_id);
    """,
    """\
  - {id: forms, store: db, table: forms, category: form-answers, key: [id],
     tenant: {by: column, column: mandate_id}}
  - id: submissions
    store: db
    table: form_submissions
    category: form-answers
    key: [id]
    tenant: {by: path, path: [{column: form_id, table: forms, key: id}], column: mandate_id}
    times: {collection: {column: submitted_at, encoding: iso-text}}
  - id: answers
    store: db
    table: form_answers
    category: form-answers
    key: [id]
    tenant:
      by: path
      column: mandate_id
      path:
        - {column: submission_id, table: form_submissions, key: id}
        - {column: form_id, table: forms, key: id}
  - {id: contacts, store: db, table: contacts, category: contacts, key: [id],
     tenant: {by: column, column: mandate_id}}
  - {id: reference-ids, store: db, table: reference_ids, category: ai-mapping, key: [reference_id],
     tenant: {by: column, column: mandate_id}, export: false}
  - id: letters
    store: db
    table: letters
    category: communication-data
    key: [id]
    tenant: {by: column, column: mandate_id}
    times: {sent: {column: sent_on, encoding: date}}
    statutory: [{kind: letter, holder: processor, start: sent, why: Letters between operator and tenant}]
    export: false
""",
)

NEXCORE = _application(
    "nexcore",
    "hosting",
    "[{id: core-rolling, cycle: P35D}]",
    """
    CREATE TABLE customers (id INTEGER PRIMARY KEY, client_id TEXT NOT NULL, email TEXT NOT NULL);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, client_id TEXT NOT NULL,
      customer_id INTEGER NOT NULL REFERENCES customers(id), ordered_at TEXT NOT NULL);
    CREATE TABLE vouchers (id INTEGER PRIMARY KEY, client_id TEXT NOT NULL, order_id INTEGER REFERENCES orders(id),
      voucher_date TEXT NOT NULL);
    CREATE TABLE activity_log (id INTEGER PRIMARY KEY, client_id TEXT NOT NULL, at INTEGER NOT NULL);
    CREATE TABLE own_vouchers (number TEXT PRIMARY KEY, client_id TEXT NOT NULL, made_on TEXT NOT NULL);
    CREATE INDEX customers_client ON customers (client_id);
    CREATE INDEX orders_client ON orders (client_id);
    CREATE INDEX orders_customer ON orders (customer_id);
    CREATE INDEX vouchers_client ON vouchers (client_id);
    CREATE INDEX vouchers_order ON vouchers (order_id);
    CREATE INDEX activity_at ON activity_log (at);
    CREATE INDEX activity_client ON activity_log (client_id);
    CREATE INDEX own_vouchers_client ON own_vouchers (client_id);
    """,
    """\
  - {id: customers, store: db, table: customers, category: contacts, key: [id],
     tenant: {by: column, column: client_id}}
  - {id: orders, store: db, table: orders, category: business-records, key: [id],
     tenant: {by: column, column: client_id}, times: {collection: {column: ordered_at, encoding: iso-text}}}
  - id: vouchers
    store: db
    table: vouchers
    category: business-records
    key: [id]
    tenant: {by: column, column: client_id}
    times: {made: {column: voucher_date, encoding: date}}
    statutory: [{kind: voucher, holder: controller, start: made, why: Vouchers of the customer's own books}]
  - {id: activity, store: db, table: activity_log, category: usage-log, key: [id],
     tenant: {by: column, column: client_id}, times: {collection: {column: at, encoding: epoch-ms}}, export: false}
  - id: own-vouchers
    store: db
    table: own_vouchers
    category: account-data
    key: [number]
    tenant: {by: column, column: client_id}
    times: {made: {column: made_on, encoding: date}}
    statutory: [{kind: voucher, holder: processor, start: made, why: The operator's own vouchers about the customer}]
    export: false
""",
)

PARKING_REMINDER = _application(
    "parking-reminder",
    "n8n",
    "[]",
    """
    CREATE TABLE bookings (id INTEGER PRIMARY KEY, site TEXT NOT NULL, booked_until TEXT NOT NULL);
    CREATE TABLE drivers (id INTEGER PRIMARY KEY, site TEXT NOT NULL,
      booking_id INTEGER NOT NULL REFERENCES bookings(id), mobile TEXT NOT NULL, booked_until TEXT NOT NULL);
    CREATE TABLE sms_journal (id INTEGER PRIMARY KEY, site TEXT NOT NULL, at INTEGER NOT NULL);
    CREATE TABLE executions (id INTEGER PRIMARY KEY, started_at TEXT NOT NULL);
    CREATE TABLE invoices (number TEXT PRIMARY KEY, site TEXT NOT NULL, issued_on TEXT NOT NULL);
    CREATE INDEX bookings_site ON bookings (site);
    CREATE INDEX bookings_until ON bookings (booked_until);
    CREATE INDEX drivers_site ON drivers (site);
    CREATE INDEX drivers_booking ON drivers (booking_id);
    CREATE INDEX drivers_until ON drivers (booked_until);
    CREATE INDEX journal_at ON sms_journal (at);
    CREATE INDEX journal_site ON sms_journal (site);
    CREATE INDEX executions_started ON executions (started_at);
    CREATE INDEX invoices_site ON invoices (site);
    """,
    """\
  - {id: bookings, store: db, table: bookings, category: booking, key: [id],
     tenant: {by: column, column: site}, times: {booking-end: {column: booked_until, encoding: iso-text}}}
  - {id: drivers, store: db, table: drivers, category: contact, key: [id],
     tenant: {by: column, column: site}, times: {booking-end: {column: booked_until, encoding: iso-text}}}
  - {id: sms-journal, store: db, table: sms_journal, category: dispatch-log, key: [id],
     tenant: {by: column, column: site}, times: {collection: {column: at, encoding: epoch-s}}, export: false}
  - {id: executions, store: db, table: executions, category: system-log, key: [id],
     tenant: {by: none}, times: {collection: {column: started_at, encoding: iso-text}}, export: false}
  - id: invoices
    store: db
    table: invoices
    category: identification
    key: [number]
    tenant: {by: column, column: site}
    times:
      issued: {column: issued_on, encoding: date}
      booking-end: {column: issued_on, encoding: date}
    statutory: [{kind: invoice, holder: processor, start: issued, why: Invoices of the operator to the tenant}]
    export: false
""",
)

PARKING_ANONYMOUS = _application(
    "parking-reminder",
    "n8n",
    "[]",
    """
    CREATE TABLE bookings (id INTEGER PRIMARY KEY, site TEXT NOT NULL, number TEXT NOT NULL UNIQUE,
      booked_from TEXT NOT NULL, booked_until TEXT NOT NULL, price INTEGER NOT NULL);
    CREATE TABLE drivers (id INTEGER PRIMARY KEY, site TEXT NOT NULL, booking_id INTEGER REFERENCES bookings(id),
      name TEXT NOT NULL, mobile TEXT, booked_until TEXT NOT NULL);
    CREATE TABLE invoices (number TEXT PRIMARY KEY, site TEXT NOT NULL, contact TEXT NOT NULL, issued_on TEXT NOT NULL);
    CREATE INDEX bookings_site ON bookings (site);
    CREATE INDEX drivers_site ON drivers (site);
    CREATE INDEX drivers_booking ON drivers (booking_id);
    CREATE INDEX invoices_site ON invoices (site);
    """,
    """\
  - id: bookings
    store: db
    table: bookings
    category: booking
    key: [id]
    tenant: {by: column, column: site}
    times: {booking-end: {column: booked_until, encoding: iso-text}}
    persons: [{column: number, holds: id}]
    anonymise:
      - {how: keep, column: id, why: A running number that no driver is told and no other table keeps}
      - {how: keep, column: site, why: The controller}
      - {how: keep, column: booked_until, why: The start time of the period}
      - {how: token, column: number}
      - {how: date, column: booked_from, to: month}
      - {how: number, column: price, step: 500}
  - id: drivers
    store: db
    table: drivers
    category: contact
    key: [id]
    tenant: {by: column, column: site}
    times: {booking-end: {column: booked_until, encoding: iso-text}}
    persons: [{column: booking_id, holds: id}, {column: name, holds: name}, {column: mobile, holds: phone}]
    anonymise:
      - {how: keep, column: id, why: A running number that stands nowhere else}
      - {how: keep, column: site, why: The controller}
      - {how: keep, column: booked_until, why: The start time of the period}
      - {how: set-null, column: booking_id}
      - {how: constant, column: name, value: anonymised}
      - {how: set-null, column: mobile}
  - id: invoices
    store: db
    table: invoices
    category: identification
    key: [number]
    tenant: {by: column, column: site}
    times:
      issued: {column: issued_on, encoding: date}
      booking-end: {column: issued_on, encoding: date}
    statutory: [{kind: invoice, holder: processor, start: issued, why: Invoices of the operator to the tenant}]
    anonymise:
      - {how: keep, column: number, why: The invoice number of the operator's own books}
      - {how: keep, column: site, why: The controller}
      - {how: keep, column: issued_on, why: The start time of the statutory period}
      - {how: constant, column: contact, value: anonymised}
    export: false
""",
)

LOGS_ONLY = _application(
    "parking-reminder",
    "n8n",
    "[]",
    """
    CREATE TABLE sms_journal (id INTEGER PRIMARY KEY, site TEXT NOT NULL, at INTEGER NOT NULL);
    CREATE INDEX journal_at ON sms_journal (at);
    """,
    """\
  - {id: sms-journal, store: db, table: sms_journal, category: dispatch-log, key: [id],
     tenant: {by: column, column: site}, times: {collection: {column: at, encoding: epoch-s}}, export: false}
""",
)

ALL = (CLIENTPORT, PLANURO, VERTRIEBSKRAFTWERK, NEXCORE, PARKING_REMINDER)
