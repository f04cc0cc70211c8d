"""What a MariaDB server says about itself, and what of it forbids or endangers every plan."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from sqlalchemy.engine import Connection

from lifecycle.stores.sql import mariadb_catalogue
from lifecycle.stores.sql.dialects import Facts, Remark

_FACTS = """
SELECT VERSION() AS version, UTC_TIMESTAMP(6) AS clock, DATABASE() AS name, @@server_uid AS uid, @@hostname AS host,
  @@port AS port, @@global.read_only OR @@innodb_read_only AS read_only, @@log_bin AS logged,
  @@binlog_format AS format, @@wsrep_on AS cluster, @@innodb_flush_log_at_trx_commit AS flushed,
  (SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'SLAVES_RUNNING') AS replicating
"""
_SHOWN = {"SELECT", "REFERENCES", "ALL PRIVILEGES"}


def read(connection: Connection) -> Facts:
    """Read facts. A privileged account deletes on a read-only server as if it were none, so we look ourselves."""
    row: Any = connection.exec_driver_sql(_FACTS).one()
    held = mariadb_catalogue.privileges(connection, row.name)
    url = connection.engine.url
    return Facts(
        version=row.version,
        read_only=bool(row.read_only) or int(row.replicating or 0) > 0,
        clock=row.clock.replace(tzinfo=UTC),
        system=f"{row.uid}/{row.host}:{row.port}/{row.name}",
        alias=f"{url.host or ''}:{url.port or 3306}/{url.database}",
        more={"superuser": "on" if "SUPER" in held else "off"},
        notes=tuple(_notes(row, held, shown=mariadb_catalogue.shown_triggers(connection))),
    )


def _notes(row: Any, held: set[str], *, shown: bool) -> list[Remark]:
    found = []
    if row.logged and row.format == "STATEMENT":
        what = "the binary log's format is STATEMENT: the server refuses our transactions"
        found.append(Remark("binlog-format", what, "Set binlog_format to ROW or MIXED.", fatal=True))
    if row.cluster:
        what = "the server is a node of a cluster: a lock on one node does not hold on the others"
        found.append(Remark("cluster", what, "A hold could come too late; clusters are not served.", fatal=True))
    if row.flushed != 1:
        what = "the server acknowledges a commit before it is on disk: after a power cut deleted rows may be back"
        found.append(Remark("durability", what, "Set innodb_flush_log_at_trx_commit to 1."))
    if not held & _SHOWN:
        what = "our role is not shown every table and column of the database"
        found.append(
            Remark(
                "catalogue-hidden",
                what,
                "GRANT REFERENCES on the whole database: it shows, and reads nothing.",
                fatal=True,
            )
        )
    if not shown and not held & {"TRIGGER", "ALL PRIVILEGES"}:
        what = "our role is not shown the triggers of the database"
        found.append(
            Remark(
                "triggers-hidden",
                what,
                "Make the procedure lifecycle_triggers of deploy/sql/mariadb-roles.sql.",
                fatal=True,
            )
        )
    return found
