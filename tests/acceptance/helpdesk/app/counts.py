"""Counts and digests of the ticket system's rows, table by table and queue by queue, in plain SQL written by hand.

An oracle: it knows this one application by heart, and shares neither code nor queries with the product.

    python counts.py

Prints {"tables": {table: rows}, "queues": {table: {slug or "-": {"rows": n, "digest": md5}}},
"oldest": {column: when}}. "-" stands for rows that belong to no queue. Reads HELPDESK_DATABASE_URL.
"""

import json
import os
from typing import Any

import psycopg
from psycopg import sql

QUEUES = "SELECT slug, id FROM helpdesk_queue"
OF_TICKET = "SELECT q.slug, t.id FROM helpdesk_ticket t JOIN helpdesk_queue q ON q.id = t.queue_id"
OF_FOLLOWUP = f"SELECT t.slug, f.id FROM helpdesk_followup f JOIN ({OF_TICKET}) t ON t.id = f.ticket_id"
OF_CATEGORY = "SELECT q.slug, c.id FROM helpdesk_kbcategory c LEFT JOIN helpdesk_queue q ON q.id = c.queue_id"
OF_ITEM = f"SELECT c.slug, i.id FROM helpdesk_kbitem i JOIN ({OF_CATEGORY}) c ON c.id = i.category_id"
OF_CHECKLIST = f"SELECT t.slug, l.id FROM helpdesk_checklist l JOIN ({OF_TICKET}) t ON t.id = l.ticket_id"


def _below(table: str, column: str, parents: str) -> str:
    return f"SELECT p.slug, x.id FROM {table} x JOIN ({parents}) p ON p.id = x.{column}"


# Which queue a row is of, by the one path that the application itself goes.
QUEUE_OF = {
    "helpdesk_queue": QUEUES,
    "helpdesk_ticket": OF_TICKET,
    "helpdesk_followup": OF_FOLLOWUP,
    "helpdesk_followupattachment": _below("helpdesk_followupattachment", "followup_id", OF_FOLLOWUP),
    "helpdesk_ticketchange": _below("helpdesk_ticketchange", "followup_id", OF_FOLLOWUP),
    "helpdesk_ticketcc": _below("helpdesk_ticketcc", "ticket_id", OF_TICKET),
    "helpdesk_ticketcustomfieldvalue": _below("helpdesk_ticketcustomfieldvalue", "ticket_id", OF_TICKET),
    "helpdesk_ticketdependency": _below("helpdesk_ticketdependency", "ticket_id", OF_TICKET),
    "helpdesk_checklist": OF_CHECKLIST,
    "helpdesk_checklisttask": _below("helpdesk_checklisttask", "checklist_id", OF_CHECKLIST),
    "helpdesk_kbcategory": OF_CATEGORY,
    "helpdesk_kbitem": OF_ITEM,
    "helpdesk_kbiattachment": _below("helpdesk_kbiattachment", "kbitem_id", OF_ITEM),
    "helpdesk_kbitem_voted_by": _below("helpdesk_kbitem_voted_by", "kbitem_id", OF_ITEM),
    "helpdesk_kbitem_downvoted_by": _below("helpdesk_kbitem_downvoted_by", "kbitem_id", OF_ITEM),
    "helpdesk_presetreply_queues": _below("helpdesk_presetreply_queues", "queue_id", QUEUES),
    "helpdesk_ignoreemail_queues": _below("helpdesk_ignoreemail_queues", "queue_id", QUEUES),
    "helpdesk_escalationexclusion_queues": _below("helpdesk_escalationexclusion_queues", "queue_id", QUEUES),
}
TIMES = (
    ("django_admin_log", "action_time"),
    ("django_session", "expire_date"),
    ("helpdesk_followup", "date"),
    ("helpdesk_ticket", "created"),
    ("helpdesk_ticket", "modified"),
)


def main() -> None:
    """Reads everything in one snapshot and prints it."""
    with psycopg.connect(os.environ["HELPDESK_DATABASE_URL"], options="-c timezone=UTC") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        seen = {
            "tables": _tables(connection),
            "queues": {table: _queues(connection, table) for table in QUEUE_OF},
            "oldest": {f"{table}.{column}": _oldest(connection, table, column) for table, column in TIMES},
        }
    print(json.dumps(seen))


def _tables(connection: psycopg.Connection) -> dict[str, int]:
    names = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
    ).fetchall()
    count = sql.SQL("SELECT count(*) FROM {}")
    return {name: _value(connection, count.format(sql.Identifier(name))) for (name,) in names}


def _queues(connection: psycopg.Connection, table: str) -> dict[str, dict[str, object]]:
    # Every row is shown as the server prints it whole, so that a change in any column changes the digest.
    query = sql.SQL(
        "SELECT coalesce(o.slug, '-'), count(*), md5(string_agg(md5(x::text), '' ORDER BY x.id))"
        " FROM {table} x JOIN ({owner}) o ON o.id = x.id GROUP BY 1"
    ).format(table=sql.Identifier(table), owner=sql.SQL(QUEUE_OF[table]))
    return {slug: {"rows": rows, "digest": digest} for slug, rows, digest in connection.execute(query)}


def _oldest(connection: psycopg.Connection, table: str, column: str) -> str | None:
    query = sql.SQL("SELECT min({}) FROM {}").format(sql.Identifier(column), sql.Identifier(table))
    oldest = _value(connection, query)
    return oldest.isoformat() if oldest else None


def _value(connection: psycopg.Connection, query: sql.Composed) -> Any:
    ((value,),) = connection.execute(query).fetchall()
    return value


if __name__ == "__main__":
    main()
