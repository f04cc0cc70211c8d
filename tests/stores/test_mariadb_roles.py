"""The roles of deploy/sql on MariaDB: they carry the whole line, see all that exists, and can do nothing beside."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
import pytest
from sqlalchemy.engine import make_url

from lifecycle.core.errors import LifecycleError
from lifecycle.flow import certify, coverage, cycle, execute, exporting, holding, look, offboard, planning
from lifecycle.flow.approve import approve
from lifecycle.ports.clock import SystemClock
from lifecycle.wiring.exports import package_writer
from tests import mariadb, portal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.flow.deployment import Deployment

SQL = Path(__file__).parents[2] / "deploy" / "sql" / "mariadb-roles.sql"
ROLES = ("lifecycle_planner", "lifecycle_executor")
TABLES = ("portal", "account", "ticket", "comment", "attachment", "invoice", "access_log")
ATTACHMENTS = """\
  - id: attachments
    store: main
    table: attachment
    category: communication-data
    key: [id]
    tenant: {by: path, path: [{column: ticket_id, table: ticket, key: id}], column: portal_id}
not_personal:
"""
CASCADE = "cascades: [{dataset: attachments, column: ticket_id, effect: delete}],\n     "
READ = {
    "portal": "id",
    "account": "id, portal_id",
    "ticket": "id, portal_id, parent_id, author_id, created_at",
    "comment": "id, ticket_id",
    "attachment": "id, ticket_id",
    "invoice": "id, portal_id, issued_on",
    "access_log": "id, portal_id, at",
}
FORBIDDEN = (
    "TRUNCATE access_log",
    "DROP TABLE access_log",
    "DROP TABLE lifecycle_receipt",
    "ALTER TABLE access_log ADD COLUMN more text",
    "CREATE TABLE more (id int)",
    "CREATE TABLE more (id int REFERENCES ticket (id))",
    "CREATE TRIGGER more BEFORE DELETE ON access_log FOR EACH ROW SET @x = 1",
    "CREATE ROLE more",
    "CREATE DATABASE more",
    "CREATE INDEX more ON access_log (ip)",
    "GRANT SELECT ON account TO CURRENT_USER",
    "SET GLOBAL read_only = 0",
    "SELECT ip FROM access_log",
    "SELECT email FROM account",
    "SELECT subject FROM ticket",
    "SELECT * FROM comment",
    "SELECT * FROM plan",
    "SELECT * FROM mysql.global_priv",
    "SELECT email FROM account INTO OUTFILE '/tmp/out'",
    "LOCK TABLES access_log WRITE",
    "DELETE FROM plan",
    "INSERT INTO access_log (id, ip) VALUES (-1, '192.0.2.1')",
    "UPDATE access_log SET at = now()",
    "UPDATE ticket SET portal_id = 'acme'",
    "UPDATE ticket SET id = id",
    "DELETE FROM lifecycle_receipt",
    "UPDATE lifecycle_receipt SET batch_id = 'other'",
    "TRUNCATE lifecycle_receipt",
    "DELETE FROM lifecycle_fence",
    "INSERT INTO lifecycle_fence SELECT * FROM lifecycle_fence",
    "UPDATE lifecycle_fence SET deployment = 'other'",
    "UPDATE lifecycle_fence SET identity = 'other'",
    "TRUNCATE lifecycle_hold",
    "INSERT INTO lifecycle_migration VALUES (99)",
    "DROP PROCEDURE lifecycle_triggers",
)
FORBIDDEN_TO_THE_PLANNER = (
    "DELETE FROM access_log",
    "INSERT INTO lifecycle_receipt (batch_id, state, deleted, cascaded) VALUES ('b', 'void', 0, '{}')",
    "UPDATE lifecycle_fence SET epoch = 99",
    "UPDATE lifecycle_fence SET stopped = false",
    "DELETE FROM lifecycle_hold",
    "UPDATE lifecycle_tenant SET grp = 'g-other'",
)


@dataclass(frozen=True)
class Roles(portal.World):
    """A world whose deployment logs in with the executor's role. `admin`: the administrator's address."""

    admin: str = ""


def statements(text: str) -> list[str]:
    """Split a file of statements as the client does."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in plain.split(";") if statement.strip()]


def administer(url: str, *texts: str) -> None:
    connection = mariadb.connect(url)
    with connection.cursor() as cursor:
        for text in texts:
            cursor.execute(text)
    connection.close()


def database(url: str) -> str:
    """Return the database's name as GRANT reads it."""
    return (make_url(url).database or "").replace("_", "\\_")


@pytest.fixture
def world(mariadb_url: str, tmp_path: Path) -> Iterator[Roles]:
    """The portal with a cascade; the deployment's login has the executor's role and owns nothing."""
    now = SystemClock().now()
    portal.create_application(mariadb_url, now)
    administer(
        mariadb_url,
        "CREATE TABLE attachment (id INT PRIMARY KEY, ticket_id INT NOT NULL, name TEXT, "
        "FOREIGN KEY (ticket_id) REFERENCES ticket (id) ON DELETE CASCADE)",
        "INSERT INTO attachment SELECT id, id, 'photo.png' FROM ticket",
    )
    made = portal.create_deployment(tmp_path / "deployment", mariadb_url, now)
    inventory = made.folder / "inventory.yaml"
    text = inventory.read_text().replace("not_personal:\n", ATTACHMENTS)
    tickets = text.index("{id: tickets")
    text = text[:tickets] + text[tickets:].replace("tenant:", CASCADE + "tenant:", 1)
    inventory.write_text(text)
    # It may run again, as after an upgrade.
    administer(mariadb_url, *statements(SQL.read_text()), *statements(SQL.read_text()))
    administer(mariadb_url, f"GRANT REFERENCES ON `{database(mariadb_url)}`.* TO lifecycle_planner")
    administer(
        mariadb_url, *(f"GRANT SELECT ({columns}) ON {table} TO lifecycle_planner" for table, columns in READ.items())
    )
    administer(mariadb_url, *(f"GRANT DELETE ON {table} TO lifecycle_executor" for table in TABLES))
    try:
        with login(mariadb_url, "lifecycle_executor") as url:
            portal.point_to(made.folder, url)
            yield Roles(made.folder, mariadb_url, now, mariadb_url)
    finally:
        administer(mariadb_url, *(f"DROP ROLE {role}" for role in ROLES))


class login:  # noqa: N801 - reads as the context manager that it is
    """An account with the given role by default; its URL."""

    def __init__(self, url: str, role: str) -> None:
        self.admin, self.role, self.name = url, role, f"login_{secrets.token_hex(4)}"

    def __enter__(self) -> str:
        password = secrets.token_hex(12)
        administer(
            self.admin,
            f"CREATE USER {self.name} IDENTIFIED BY '{password}'",
            f"GRANT {self.role} TO {self.name}",
            f"SET DEFAULT ROLE {self.role} FOR {self.name}",
        )
        url = make_url(self.admin).set(username=self.name, password=password)
        return url.render_as_string(hide_password=False)

    def __exit__(self, *error: object) -> None:
        administer(self.admin, f"DROP USER {self.name}")


def refused(url: str, statement: str) -> bool:
    """Tell whether the server denies the statement to the login, and nothing else is wrong with it."""
    connection = mariadb.connect(url, autocommit=False)
    try:
        connection.cursor().execute(statement)
    except pymysql.err.Error as error:
        return error.args[0] in {1044, 1045, 1142, 1143, 1227, 1370, 1410}
    finally:
        connection.rollback()
        connection.close()
    return False


def test_the_roles_carry_the_whole_line(world: Roles, tmp_path: Path) -> None:
    """Plan, hold, approve, apply, verify, look, certify, export: a shared pass and an offboarding with a cascade."""
    with world.open() as deployment:
        leaver = offboard.find(deployment, portal.LEAVER)
        leaver = offboard.end(deployment, leaver, ends_on=(world.now - timedelta(days=40)).date())
        ground = holding.Ground(basis="legal-order", reason="A dispute")
        holding.set_hold(deployment, offboard.find(deployment, "zebra"), ground, operator="op-one")
        logs = planning.plan_rule(deployment, "clientport", "server-logs", author="lifecycle")
        assert logs is not None
        approve(deployment, logs.hash, "op-one", world.key("op-one"), grant_mandate=True)
        assert carried_out(deployment, logs) == logs.plan.expected() > 0
        leave = planning.plan_offboarding(deployment, leaver, author="lifecycle")
        for operator in portal.OPERATORS:
            approve(deployment, leave.hash, operator, world.key(operator))
        assert carried_out(deployment, leave) == leave.plan.expected() > 0
        assert certify.issue(deployment, leave.hash).completeness
        assert {turn.result for turn in cycle.tick(deployment)} == {"idle"}
        seen = look.look(deployment)
    assert (seen.breached, seen.unanswered, seen.stale) == (False, (), ())
    owned = "SELECT count(*) FROM ticket WHERE portal_id = 'acme'", "SELECT count(*) FROM attachment"
    assert [world.rows(sql) for sql in owned] == [[(0,)], [(3 * 12,)]]
    assert world.rows("SELECT count(*) FROM access_log WHERE portal_id = 'zebra'") == [(40,)]
    # Whole rows are read for an export alone, and only where the administrator says so.
    with pytest.raises(LifecycleError) as error:
        deliver(world, tmp_path / "first")
    assert not any(word in str(error.value) for word in ("example.com", "Firm", "Acme"))
    administer(world.admin, *(f"GRANT SELECT ON {table} TO lifecycle_planner" for table in TABLES))
    assert deliver(world, tmp_path / "second")["tickets"] == 12


def carried_out(deployment: Deployment, planned: planning.Planned) -> int:
    """Apply a plan and return how many rows it deleted; the job ends clean."""
    ran = execute.apply(deployment, planned.hash)
    assert (ran.outcome, ran.clean) == ("done", True)
    return ran.deleted


def deliver(world: Roles, folder: Path) -> dict[str, int]:
    """Export a tenant and return its rows by dataset."""
    folder.mkdir()
    with world.open() as deployment:
        tenant = offboard.find(deployment, "Acme")
        writer = package_writer(deployment, deployment.zone_of(tenant))
        _, manifest = exporting.export(deployment, tenant, writer, folder)
    return {dataset.dataset: dataset.rows for dataset in manifest.datasets}


def test_I10_what_the_roles_may_not_do(world: Roles) -> None:
    """No DDL, no TRUNCATE, no other column, no receipt undone; the planner changes nothing."""
    rows = "SELECT count(*) FROM access_log"
    before = world.rows(rows)
    with login(world.admin, "lifecycle_executor") as url:
        assert [statement for statement in FORBIDDEN if not refused(url, statement)] == []
    with login(world.admin, "lifecycle_planner") as url:
        assert [s for s in (*FORBIDDEN, *FORBIDDEN_TO_THE_PLANNER) if not refused(url, s)] == []
    assert world.rows(rows) == before


def test_I11_the_roles_see_what_they_may_not_read(world: Roles) -> None:
    """Every table, column, key and trigger: what an administrator sees, the role's catalogue has too."""
    administer(world.admin, "CREATE TRIGGER audit AFTER DELETE ON ticket FOR EACH ROW SET @x = 1")
    administer(world.admin, "CREATE TABLE newsletter (email varchar(99) PRIMARY KEY)")
    with world.open() as deployment:
        store = deployment.stores["main"]
        seen = store.catalogue()
        found = {finding.code for finding in store.inspect(["tickets"]) if finding.fatal}
        undeclared = {gap.table for gap in coverage.gaps(deployment, "main")}
    portal.point_to(world.folder, world.admin)
    with world.open() as deployment:
        assert seen == deployment.stores["main"].catalogue()
    assert found == {"undeclared-trigger"}
    assert undeclared == {"newsletter"}


def test_I11_a_role_that_is_shown_less_is_refused(world: Roles) -> None:
    """Without REFERENCES and the procedure the catalogue would be silent about tables and triggers: both are fatal."""
    administer(
        world.admin,
        f"REVOKE REFERENCES ON `{database(world.admin)}`.* FROM lifecycle_planner",
        "REVOKE EXECUTE ON PROCEDURE lifecycle_triggers FROM lifecycle_planner",
    )
    with world.open() as deployment:
        found = {finding.code for finding in deployment.stores["main"].inspect(["tickets"]) if finding.fatal}
    assert found >= {"catalogue-hidden", "triggers-hidden"}
