"""The roles of deploy/sql: enough for the whole line, and for nothing beside it."""

from __future__ import annotations

import secrets
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy.engine import make_url

from lifecycle.core.errors import LifecycleError
from lifecycle.flow import certify, cycle, execute, exporting, holding, look, offboard, planning, preflight
from lifecycle.flow.approve import approve
from lifecycle.ports.clock import SystemClock
from lifecycle.wiring.exports import package_writer
from tests import portal
from tests.servers import libpq_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.flow.deployment import Deployment

SQL = Path(__file__).parents[2] / "deploy" / "sql" / "postgresql-roles.sql"
ROLES = ("lifecycle_planner", "lifecycle_executor")

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

GRANTS = """
-- What plans read: keys, tenants, times, and the columns that reference another table.
GRANT SELECT (id) ON portal TO lifecycle_planner, lifecycle_executor;
GRANT SELECT (id, portal_id) ON account TO lifecycle_planner, lifecycle_executor;
GRANT SELECT (id, portal_id, parent_id, author_id, created_at) ON ticket TO lifecycle_planner, lifecycle_executor;
GRANT SELECT (id, ticket_id) ON comment, attachment TO lifecycle_planner, lifecycle_executor;
GRANT SELECT (id, portal_id, issued_on) ON invoice TO lifecycle_planner, lifecycle_executor;
GRANT SELECT (id, portal_id, at) ON access_log TO lifecycle_planner, lifecycle_executor;
-- What batches delete.
GRANT DELETE ON portal, account, ticket, comment, attachment, invoice, access_log TO lifecycle_executor;
-- Row locks: on the parents of a tenant path, and on a table whose rows take others along (both: ticket).
GRANT UPDATE (id) ON ticket TO lifecycle_executor;
"""

FORBIDDEN = (
    "TRUNCATE access_log",
    "DROP TABLE access_log",
    "DROP TABLE lifecycle.receipt",
    "ALTER TABLE access_log DISABLE TRIGGER ALL",
    "ALTER TABLE access_log ADD COLUMN more text",
    "CREATE TABLE lifecycle.more (id int)",
    "CREATE SCHEMA more",
    "CREATE ROLE more",
    "ALTER ROLE CURRENT_USER BYPASSRLS",
    "SET session_replication_role = replica",
    "SELECT ip FROM access_log",
    "SELECT email FROM account",
    "SELECT subject FROM ticket",
    "SELECT * FROM comment",
    "SELECT * FROM plan",
    "DELETE FROM plan",
    "COPY account TO STDOUT",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "INSERT INTO access_log (id, ip) VALUES (-1, '192.0.2.1')",
    "UPDATE access_log SET at = now()",
    "UPDATE access_log SET id = id",
    "UPDATE ticket SET portal_id = 'acme'",
    "UPDATE ticket SET created_at = now()",
    "SELECT id FROM access_log FOR UPDATE",
    "DELETE FROM lifecycle.receipt",
    "UPDATE lifecycle.receipt SET batch_id = 'other'",
    "TRUNCATE lifecycle.receipt",
    "DELETE FROM lifecycle.fence",
    "INSERT INTO lifecycle.fence SELECT * FROM lifecycle.fence",
    "UPDATE lifecycle.fence SET deployment = 'other'",
    "UPDATE lifecycle.fence SET identity = 'other'",
    "TRUNCATE lifecycle.hold",
    "INSERT INTO lifecycle.migration VALUES (99)",
)
FORBIDDEN_TO_THE_PLANNER = (
    "DELETE FROM access_log",
    "UPDATE ticket SET id = id",
    "SELECT id FROM ticket FOR SHARE",
    "INSERT INTO lifecycle.receipt (batch_id, state, deleted, cascaded) VALUES ('b', 'void', 0, '{}')",
    "UPDATE lifecycle.fence SET epoch = 99",
    "UPDATE lifecycle.fence SET stopped = false",
    "DELETE FROM lifecycle.hold",
    "UPDATE lifecycle.tenant SET grp = 'g-other'",
)


@dataclass(frozen=True)
class Roles(portal.World):
    """A world whose deployment logs in as a member of both roles. `admin`: the administrator's address."""

    admin: str = ""


@pytest.fixture
def world(postgres_url: str, tmp_path: Path) -> Iterator[Roles]:
    """The portal with a cascade; the deployment's login is a member of both roles and owns nothing."""
    now = SystemClock().now()
    portal.create_application(postgres_url, now)
    with portal.raw(postgres_url) as connection:
        connection.execute(
            "CREATE TABLE attachment (id INTEGER PRIMARY KEY, "
            "ticket_id INTEGER NOT NULL REFERENCES ticket(id) ON DELETE CASCADE, name TEXT)"
        )
        connection.execute("CREATE INDEX attachment_ticket ON attachment (ticket_id)")
        connection.execute("INSERT INTO attachment SELECT id, id, 'photo.png' FROM ticket")
    made = portal.create_deployment(tmp_path / "deployment", postgres_url, now)
    inventory = made.folder / "inventory.yaml"
    text = inventory.read_text().replace("not_personal:\n", ATTACHMENTS)
    tickets = text.index("{id: tickets")
    text = text[:tickets] + text[tickets:].replace("tenant:", CASCADE + "tenant:", 1)
    inventory.write_text(text)
    run_psql(postgres_url, ["--file", str(SQL), "--set", "schema=public"])
    # It may run again, as after an upgrade.
    run_psql(postgres_url, ["--file", str(SQL), "--set", "schema=public"])
    run_psql(postgres_url, ["--command", GRANTS])
    try:
        with login(postgres_url, *ROLES) as url:
            portal.point_to(made.folder, url)
            yield Roles(made.folder, postgres_url, now, postgres_url)
    finally:
        for role in ROLES:
            run_psql(postgres_url, ["--command", f"DROP OWNED BY {role}"], ["--command", f"DROP ROLE {role}"])


class login:  # noqa: N801 - reads as the context manager that it is
    """A role that may log in, a member of the given roles; its URL."""

    def __init__(self, url: str, *roles: str) -> None:
        self.admin, self.roles, self.name = url, roles, f"login_{secrets.token_hex(4)}"

    def __enter__(self) -> str:
        password = secrets.token_hex(12)
        run_psql(self.admin, ["--command", f"CREATE ROLE {self.name} LOGIN PASSWORD '{password}'"])
        for role in self.roles:
            run_psql(self.admin, ["--command", f"GRANT {role} TO {self.name}"])
        url = make_url(self.admin).set(username=self.name, password=password)
        return url.render_as_string(hide_password=False)

    def __exit__(self, *error: object) -> None:
        run_psql(self.admin, ["--command", f"DROP OWNED BY {self.name}"], ["--command", f"DROP ROLE {self.name}"])


def run_psql(url: str, *arguments: list[str]) -> None:
    """Run psql as an administrator would, each argument list in one call; any error fails."""
    for one in arguments:
        command = ["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", *one, libpq_url(url)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def refused(url: str, statement: str) -> bool:
    """Tell whether the server denies the statement to the login, and nothing else is wrong with it."""
    with psycopg.connect(libpq_url(url)) as connection:
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            return True
        finally:
            connection.rollback()
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
    exported = "portal, account, ticket, comment, attachment, invoice, access_log"
    run_psql(world.admin, ["--command", f"GRANT SELECT ON {exported} TO lifecycle_planner"])
    assert deliver(world, tmp_path / "second")["tickets"] == 12


TREATED = """anonymise: [
       {how: keep, column: id, why: A number}, {how: keep, column: portal_id, why: The tenant},
       {how: keep, column: at, why: The start time}, {how: token, column: ip}], tenant: {by: column, column: portal_id},
     times: {collection: {column: at, """
ANONYMISING = """
GRANT SELECT (ip), UPDATE (ip, at) ON access_log TO lifecycle_executor;
GRANT SELECT (ip) ON access_log TO lifecycle_planner;
"""


def test_the_roles_anonymise_with_the_grants_that_are_named_for_it(world: Roles) -> None:
    """Without UPDATE on the transformed column and the start time the server refuses; with them the line is whole."""
    agreement = world.folder / "policies" / "agreements" / "clientport.yaml"
    rule = "gone_by: P90D\n    action: "
    text = agreement.read_text().replace(f"{rule}delete", f'{rule}anonymise\n    anonymise_clause: "§ 4"', 1)
    agreement.write_text(text)
    inventory = world.folder / "inventory.yaml"
    before, name, after = inventory.read_text().partition("id: access-log")
    there = "tenant: {by: column, column: portal_id}, times: {collection: {column: at, "
    assert after.count(there) == 1
    inventory.write_text(before + name + after.replace(there, TREATED))
    with world.open() as deployment, pytest.raises(LifecycleError) as error:
        planning.plan_rule(deployment, "clientport", "server-logs", author="lifecycle")
    assert getattr(error.value, "guard", None) == "privilege"
    run_psql(world.admin, ["--command", ANONYMISING])
    with world.open() as deployment:
        logs = planning.plan_rule(deployment, "clientport", "server-logs", author="lifecycle")
        assert logs is not None
        approve(deployment, logs.hash, "op-one", world.key("op-one"))
        assert carried_out(deployment, logs) == logs.plan.expected() > 0
        assert certify.issue(deployment, logs.hash).completeness
    rows = world.rows("SELECT count(*) FROM access_log WHERE ip LIKE 'anon~%'")
    assert rows == [(logs.plan.expected(),)]


def test_doctor_finds_the_roles_neither_too_narrow_nor_too_wide(world: Roles) -> None:
    """With deploy/sql and the dataset's grants only the return of whole rows is missing, where nobody granted it."""
    with world.open() as deployment:
        found = preflight.doctor(deployment)
        assert found.fatal == ()
        assert {finding.code for finding in found.findings} == {"may-not-return"}
        exported = "portal, account, ticket, comment, attachment, invoice, access_log"
        run_psql(world.admin, ["--command", f"GRANT SELECT ON {exported} TO lifecycle_planner"])
        assert preflight.doctor(deployment).findings == ()


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
    """No DDL, no TRUNCATE, no other column, no receipt undone; the planner changes nothing; neither owns anything."""
    rows = "SELECT count(*) FROM access_log"
    before = world.rows(rows)
    with login(world.admin, *ROLES) as url:
        assert [statement for statement in FORBIDDEN if not refused(url, statement)] == []
    with login(world.admin, "lifecycle_planner") as url:
        assert [s for s in (*FORBIDDEN, *FORBIDDEN_TO_THE_PLANNER) if not refused(url, s)] == []
    flags = "rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
    names = ", ".join(f"'{role}'" for role in ROLES)
    assert world.rows(f"SELECT {flags} FROM pg_roles WHERE rolname IN ({names})") == [(False,) * 6] * 2
    owned = "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner"
    assert world.rows(f"{owned} WHERE r.rolname IN ({names})") == [(0,)]
    assert world.rows(rows) == before
