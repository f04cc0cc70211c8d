"""Somebody or something says no: rights, mandates, limits, guards, switches, schemas, documents, rows."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from lifecycle.core.mandate import Mandate
from lifecycle.flow import approve, controls, cycle, registers
from lifecycle.flow.deployment import instant
from lifecycle.ports.clock import SimulatedClock, SystemClock
from tests.servers import libpq_url
from tests.starvation.scenario import Scenario
from tests.starvation.site import AGREEMENT, BEFORE, FIRST_KEY, TABLE, grant, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.starvation.site import Site

# ---- rights ---------------------------------------------------------------------------------------------------------


class DeleteRevoked(Scenario):
    """An administrator revokes DELETE on the table from our role."""

    name = "delete-revoked"
    store = "postgresql"
    role = True

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        _as_owner(site, "REVOKE DELETE ON {table} FROM {role}")
        yield
        _as_owner(site, "GRANT DELETE ON {table} TO {role}")


class SelectRevoked(Scenario):
    """An administrator revokes SELECT on the table: neither worker nor verifier sees its rows any more."""

    name = "select-revoked"
    store = "postgresql"
    every = 10
    role = True
    known = True

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        _as_owner(site, "REVOKE SELECT ON {table} FROM {role}")
        yield
        _as_owner(site, "GRANT SELECT ON {table} TO {role}")


class OneTableInvisible(Scenario):
    """The verifier may not read another table any more, and DELETE is revoked on this one: it still sees this one."""

    name = "blind-on-another-table"
    store = "postgresql"
    role = True

    def prepare(self, site: Site) -> None:
        """Give the other table a rule, so that the verifier asks for it."""
        path = site.folder / "policies" / "agreements" / f"{AGREEMENT}.yaml"
        rule = (
            "  - {id: old-tickets, own: A figure of the test, category: [communication-data], start: collection,\n"
            "     gone_by: P10Y, action: delete}\n"
        )
        text = path.read_text()
        path.write_text(text.replace("  - id: offboarding\n", rule + "  - id: offboarding\n"))
        # Comments have no time of their own for such a rule to count from.
        inventory = site.folder / "inventory.yaml"
        comments = "    table: comment\n    category: "
        inventory.write_text(inventory.read_text().replace(comments + "communication-data", comments + "usage-data"))

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        _as_owner(site, "REVOKE SELECT ON ticket FROM {role}", "REVOKE DELETE ON {table} FROM {role}")
        yield
        _as_owner(site, "GRANT SELECT ON ticket TO {role}", "GRANT DELETE ON {table} TO {role}")


def _as_owner(site: Site, *statements: str) -> None:
    assert site.role is not None
    with psycopg.connect(libpq_url(site.owner), autocommit=True) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement).format(table=sql.Identifier(TABLE), role=sql.Identifier(site.role)))


# ---- mandates and limits --------------------------------------------------------------------------------------------


class MandateRevoked(Scenario):
    """An operator revokes the mandate: the rule observes and deletes nothing."""

    name = "mandate-revoked"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        with site.open() as deployment:
            for mandate in list(registers.every(deployment.state, "mandate", Mandate)):
                approve.revoke(deployment, mandate.id, "op-one", site.world.key("op-one"))
        yield
        sign(site)


class MandateExceeded(Scenario):
    """More is due than the mandate lets one run change: the rule observes."""

    name = "mandate-exceeded"
    most_items = 1_000

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        yield
        sign(site)

    def rows(self, site: Site) -> float:
        return site.insert(number=1_001)

    def bitten(self, site: Site) -> bool:
        return site.left() == 1_001


class HistoryStops(Scenario):
    """Far more is due than the rule's past runs removed: the history guard stops the run."""

    name = "history-guard"
    settings = "guards: {history_floor: 5}\n"
    grants = True

    def prepare(self, site: Site) -> None:
        """Let eight days pass in which one row a day was due."""
        start = SystemClock().now() - BEFORE - timedelta(hours=9)
        clock = SimulatedClock(start)
        grant(site, clock)
        for number in range(8):
            clock.advance(timedelta(hours=1))
            site.insert(number=1, first=number + 1_000_000)
            with site.world.open(clock=clock) as deployment:
                assert [turn.result for turn in cycle.tick(deployment)] == ["applied"]

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        yield
        sign(site)


def sign(site: Site) -> None:
    """Sign the plan that the daemon made last, as the alarm's runbook says."""
    plan = until(lambda: [line for line in site.turns() if line.get("plan_hash")], "a plan is there to be signed")[-1]
    with site.open() as deployment:
        approve.approve(deployment, plan["plan_hash"], "op-one", site.world.key("op-one"))


# ---- switches and guards --------------------------------------------------------------------------------------------


class StopFile(Scenario):
    """Somebody has put the STOP file into the folder and forgotten it."""

    name = "stop-file"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        (site.folder / "STOP").touch()
        yield
        (site.folder / "STOP").unlink()


class StopRegister(Scenario):
    """The kill switch stands in our state alone."""

    name = "stop-register"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        with site.open() as deployment, deployment.state.transaction() as tx:
            tx.put("setting", "stopped", b"true")
        yield
        with site.open() as deployment:
            controls.resume(deployment, None)


class StopSignal(Scenario):
    """Somebody sent SIGUSR1, the kill switch by signal: file, register and fences."""

    name = "stop-signal"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        site.daemon.signal(signal.SIGUSR1)
        site.daemon.seen("control.stopped")
        yield
        with site.open() as deployment:
            controls.resume(deployment, None)


class StopInFence(Scenario):
    """The stop bit stands in the target's fence alone, as after a `resume` that did not reach the store."""

    name = "stop-in-fence"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        with site.open() as deployment:
            deployment.stores["main"].set_stop(stopped=True)
        yield
        with site.open() as deployment:
            deployment.stores["main"].set_stop(stopped=False)


class FenceOfAnotherEpoch(Scenario):
    """The fence has an epoch from a state that we do not have (restored from a backup): every batch is stale."""

    name = "epoch-ahead"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        site.execute("UPDATE lifecycle_fence SET epoch = epoch + 1000000")
        yield
        site.execute("UPDATE lifecycle_fence SET epoch = epoch - 1000000")


class FenceOfAStranger(Scenario):
    """The target's fence names another deployment: somebody pointed two deployments to one database."""

    name = "stranger-in-fence"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        site.execute("UPDATE lifecycle_fence SET deployment = 'somebody-else'")
        yield
        site.execute("UPDATE lifecycle_fence SET deployment = 'portal-test'")


class ClockBehind(Scenario):
    """The latest time on record lies in the future: the clock guard refuses every run."""

    name = "clock-behind"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        self._mark(site, timedelta(days=1))
        yield
        self._mark(site, timedelta(0))

    @staticmethod
    def _mark(site: Site, ahead: timedelta) -> None:
        body = json.dumps({"at": instant(SystemClock().now() + ahead)}).encode()
        with site.open() as deployment, deployment.state.transaction() as tx:
            tx.put("setting", "high-water", body)


class HoldsUnreadable(Scenario):
    """An entry of the hold register cannot be read: nobody knows what is held, so nothing is deleted."""

    name = "holds-unreadable"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        self._state(site, "INSERT INTO record (kind, name, body) VALUES ('hold', 'broken', x'7b')")
        yield
        self._state(site, "DELETE FROM record WHERE kind = 'hold' AND name = 'broken'")

    @staticmethod
    def _state(site: Site, statement: str) -> None:
        with closing(sqlite3.connect(site.state, timeout=10)) as connection, connection:
            connection.execute(statement)


# ---- schema, documents, rows ----------------------------------------------------------------------------------------


class ColumnAdded(Scenario):
    """The application's update adds a column: the mandate's schema is another one, and the rule observes."""

    name = "column-added"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        site.execute(f"ALTER TABLE {TABLE} ADD COLUMN agent TEXT")
        yield
        site.execute(f"ALTER TABLE {TABLE} DROP COLUMN agent")


class TriggerAdded(Scenario):
    """The application's update adds a trigger that nobody declared: no plan is made over it."""

    name = "trigger-added"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        site.execute(f"CREATE TRIGGER keeps AFTER DELETE ON {TABLE} BEGIN SELECT 1; END")
        yield
        site.execute("DROP TRIGGER keeps")


class RuleShortened(Scenario):
    """A shorter period comes into force: it binds at once, and no mandate covers it."""

    name = "rule-shortened"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        path = site.folder / "policies" / "agreements" / f"{AGREEMENT}.yaml"
        path.write_text(path.read_text().replace("gone_by: P90D", "gone_by: P60D"))
        site.daemon.seen("documents.reloaded")
        yield
        sign(site)

    def rows(self, site: Site) -> float:
        return site.insert(days=70)


class PoisonedRow(Scenario):
    """A table that nobody declared references one row: it cannot go, the others do, and it is told."""

    name = "poisoned-row"

    def prepare(self, site: Site) -> None:
        """The table is there before the mandate, so that the mandate covers the schema."""
        site.execute(
            f"CREATE TABLE appeal (id INTEGER PRIMARY KEY, log_id INTEGER REFERENCES {TABLE}(id))",
            "CREATE INDEX appeal_log ON appeal (log_id)",
        )

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        yield
        site.execute("DELETE FROM appeal")

    def rows(self, site: Site) -> float:
        # In one transaction: the row is referenced before the worker can see it.
        site.also = (f"INSERT INTO appeal VALUES (1, {FIRST_KEY + 7})",)
        return site.insert()

    def bitten(self, site: Site) -> bool:
        """The poisoned row is there; no other one had to wait for it (I27)."""
        return site.left() == 1


class RowRefused(Scenario):
    """A trigger of the application, declared as harmless, raises for one customer's rows at COMMIT."""

    name = "row-refused-at-commit"
    store = "postgresql"

    def prepare(self, site: Site) -> None:
        """The trigger is declared and there before the mandate; it raises once it is armed."""
        site.execute(
            "CREATE TABLE armed (id INTEGER PRIMARY KEY)",
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT FROM armed) THEN "
            "RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NULL; END $$",
            f"CREATE CONSTRAINT TRIGGER keeps AFTER DELETE ON {TABLE} DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION keep()",
        )
        path = site.folder / "inventory.yaml"
        text, before = path.read_text(), "table: access_log, category: technical-data, key: [id],"
        assert before in text
        path.write_text(text.replace(before, before + " triggers: [{name: keeps, effect: none}],"))

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        site.execute("INSERT INTO armed VALUES (1)")
        yield
        site.execute("DELETE FROM armed")


ALL: tuple[type[Scenario], ...] = (
    DeleteRevoked,
    SelectRevoked,
    OneTableInvisible,
    MandateRevoked,
    MandateExceeded,
    HistoryStops,
    StopFile,
    StopRegister,
    StopSignal,
    StopInFence,
    FenceOfAnotherEpoch,
    FenceOfAStranger,
    ClockBehind,
    HoldsUnreadable,
    ColumnAdded,
    TriggerAdded,
    RuleShortened,
    PoisonedRow,
    RowRefused,
)
