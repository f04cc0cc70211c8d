"""The separate verifier: what is overdue is seen, whatever the executor, its mirrors and its clock make of it."""

from __future__ import annotations

import ast
import hashlib
import inspect
import secrets
import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from lifecycle.flow import cycle, execute, eyes, holding, late, look, offboard, overdue, planning, registers, slots
from lifecycle.ports.clock import SimulatedClock, SystemClock
from tests import portal
from tests.flow import world as made
from tests.flow.bugs import COMPILER_BUGS, EXECUTOR_BUGS
from tests.servers import libpq_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.flow.deployment import Deployment
    from lifecycle.flow.look import Look
    from lifecycle.flow.overdue import Seen
    from tests.flow.world import Line
    from tests.portal import World

RULE = ("clientport", "server-logs")


def logs_of(seen: Look) -> Seen:
    """Return what was seen of the log rule in the main store."""
    return next(one for one in seen.rules if (one.agreement, one.rule, one.store) == (*RULE, "main"))


def log_days(world: World, now: datetime, *, held: frozenset[str] = frozenset({made.HELD})) -> list[date]:
    """Return the local days of all believable logs of tenants that nobody holds, by plain Python."""
    days = []
    for tenant, at in world.rows("SELECT portal_id, at FROM access_log"):
        if at is not None and tenant in portal.TENANTS and tenant not in held:
            day = (at if isinstance(at, datetime) else datetime.fromisoformat(at)).astimezone(made.ZONE).date()
            if date(1971, 1, 1) <= day <= now.astimezone(made.ZONE).date():
                days.append(day)
    return days


def overdue_at(days: list[date], now: datetime) -> int:
    """Return how many of these days' logs should have gone before today began."""
    today = now.astimezone(made.ZONE).date()
    return sum(day + timedelta(days=made.LOG_DAYS) <= today for day in days)


def ceiling(day: date) -> datetime:
    """Return the beginning of the local day by which a log of that day must have gone."""
    return datetime.combine(day + timedelta(days=made.LOG_DAYS), time.min, tzinfo=made.ZONE)


def run(world: World, deployment: Deployment) -> None:
    """Let the executor do what is due."""
    execute.apply(deployment, made.plan_rule(world, deployment))


# ---- what is seen ----


def test_I24_overdue_due_and_odd_rows_are_counted(world: World) -> None:
    """Overdue, due, the oldest's ceiling, undatable, unknown and nobody's rows are those that plain Python finds."""
    days = log_days(world, world.now)
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        seen = look.look(deployment)
    logs, today = logs_of(seen), world.now.astimezone(made.ZONE).date()
    wanted = sum(day + timedelta(days=made.LOG_DAYS - made.MARGIN_DAYS) <= today for day in days)
    assert (logs.overdue, logs.due) == (overdue_at(days, world.now), wanted)
    assert logs.ceiling_of_oldest == logs.next_deadline == ceiling(min(days))
    assert (logs.undatable, logs.unattributed, logs.nobodys, logs.complete) == (3, 1, 1, True)
    assert seen.breached
    assert (seen.unanswered, seen.unbound, seen.disagreements, dict(seen.gaps)) == ((), (), (), {"main": 0})


def test_I24_after_a_run_the_next_deadline_is_that_of_the_oldest_row_left(world: World) -> None:
    """Nothing is overdue, nothing due, and the next ceiling lies ahead by the youngest of the margin."""
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        run(world, deployment)
        seen = look.look(deployment)
    days = log_days(world, world.now)
    logs = logs_of(seen)
    assert (logs.overdue, logs.due, logs.ceiling_of_oldest) == (0, 0, None)
    assert logs.next_deadline == ceiling(min(days))
    assert logs.next_deadline > world.now
    assert not seen.breached


def test_I24_rows_become_overdue_on_the_day_of_their_ceiling(world: World) -> None:
    """While the executor does nothing, each passing day adds that day's rows and no other."""
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        run(world, deployment)
    days = log_days(world, world.now)
    for ahead in (3, 4, 30):
        now = world.now + timedelta(days=ahead)
        with world.open(clock=SimulatedClock(now)) as deployment:
            assert logs_of(look.look(deployment)).overdue == overdue_at(days, now)


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url"])
def test_I24_a_server_shows_planted_late_rows(request: pytest.FixtureRequest, server: str, tmp_path: Path) -> None:
    """The same facts on a server: late rows of another's transaction are seen by the next look."""
    world = made.tempting(tmp_path / "deployment", request.getfixturevalue(server))
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        made.hold(deployment, made.HELD, "access-log")
        made.end_contract(world, deployment)
        run(world, deployment)
        assert logs_of(look.look(deployment)).overdue == 0
        made.insert(world, "access_log", made.old_logs(world, 7))
        seen = look.look(deployment)
    old = (world.now - timedelta(days=300)).astimezone(made.ZONE).date()
    assert (logs_of(seen).overdue, logs_of(seen).ceiling_of_oldest) == (7, ceiling(old))
    assert (logs_of(seen).undatable, logs_of(seen).unattributed, logs_of(seen).nobodys) == (3, 1, 1)
    assert (seen.stale, seen.unanswered, dict(seen.gaps)) == ((), (), {"main": 0})


# ---- mirrors and holds ----


def test_I24_a_store_that_was_never_mirrored_hides_nothing(world: World) -> None:
    """Tenants of the register that no mirror has are seen; the look says that the mirror is stale."""
    assert world.rows("SELECT count(*) FROM lifecycle_tenant") == [(0,)]
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        before = look.look(deployment)
        planning.plan_rule(deployment, *RULE, author="lifecycle")
        after = look.look(deployment)
    assert logs_of(before) == logs_of(after)
    assert (before.stale, after.stale) == (("main",), ())


def test_I24_a_mirror_with_a_tenant_less_or_in_another_group_hides_nothing(world: World) -> None:
    """Whatever somebody wrote into the mirror, the register says whose promises count."""
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        planning.plan_rule(deployment, *RULE, author="lifecycle")
        whole = look.look(deployment)
        made.execute(world, "DELETE FROM lifecycle_tenant WHERE id = 'Acme'")
        made.execute(world, "UPDATE lifecycle_tenant SET grp = 'g-elsewhere' WHERE id = 'acme2'")
        seen = look.look(deployment)
    assert (logs_of(seen), seen.stale) == (logs_of(whole), ("main",))


def test_I24_a_hold_that_only_the_mirror_has_keeps_nothing(world: World) -> None:
    """A row in the mirror of holds without its entry in the register is no ground to keep anything: overdue."""
    days = log_days(world, world.now)
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        planning.plan_rule(deployment, *RULE, author="lifecycle")
        made.execute(world, "INSERT INTO lifecycle_hold (hold, tenant) VALUES ('h-forged', 'Acme')")
        seen = look.look(deployment)
    assert (logs_of(seen).overdue, seen.stale) == (overdue_at(days, world.now), ("main",))


def test_I07_holds_of_the_register_are_respected_and_end_with_their_release(world: World) -> None:
    """Held rows are not overdue, those of another dataset's hold are; once released, they all are."""
    everybody = log_days(world, world.now, held=frozenset())
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        assert logs_of(look.look(deployment)).overdue == overdue_at(log_days(world, world.now), world.now)
        holding.release(deployment, next(iter(deployment.state.items("hold")))[0], operator="op-one")
        assert logs_of(look.look(deployment)).overdue == overdue_at(everybody, world.now)
        made.hold(deployment, made.HELD, "invoices")
        assert logs_of(look.look(deployment)).overdue == overdue_at(everybody, world.now)


# ---- statutes ----


@contextmanager
def logged_letters(world: World, *rows: tuple[int, date]) -> Iterator[None]:
    """Make the letters records of the log rule that a statute keeps, and insert some."""
    path = world.folder / "inventory.yaml"
    text = path.read_text()
    block = made.LETTERS.replace("category: documents", "category: technical-data")
    block = block.replace("{issue:", "{collection:").replace("start: issue", "start: collection")
    path.write_text(text.replace(made.LETTERS, block))
    made.execute(world, "DELETE FROM letter")
    closed = date(1990, 1, 1).isoformat()
    made.insert(world, "letter", [(key, "Acme", "business", day.isoformat(), closed) for key, day in rows])
    made.execute(world, "DELETE FROM access_log")
    yield


def test_I08_a_statute_keeps_rows_past_their_ceiling_and_lets_go_in_time(world: World) -> None:
    """A kept letter is not overdue; when its floor ends a run has its margin to follow, then it is."""
    year = world.now.year
    issued, new_year = date(year - 6, 5, 4), datetime(year + 1, 1, 1, 0, 30, tzinfo=made.ZONE)
    with logged_letters(world, (1, issued), (2, date(year - 20, 5, 4))):
        found = []
        for now in (world.now, new_year, new_year + timedelta(days=2), new_year + timedelta(days=3)):
            with world.open(clock=SimulatedClock(now)) as deployment:
                found.append(logs_of(look.look(deployment)))
    assert [one.overdue for one in found] == [1, 1, 1, 2]
    assert found[0].due == 1
    assert found[1].due == 2
    with world.open(clock=SimulatedClock(new_year + timedelta(days=3))) as deployment:
        made.execute(world, "DELETE FROM letter WHERE id = 2")
        seen = logs_of(look.look(deployment))
    assert seen.ceiling_of_oldest == datetime(year + 1, 1, 4, tzinfo=made.ZONE)


# ---- ended contracts ----


def test_I24_an_offboarding_past_its_ceiling_is_overdue_by_tenant(world: World) -> None:
    """Before its ceiling an ended tenant has a deadline, after it every row that no statute keeps is overdue."""
    ends_on = (world.now - timedelta(days=40)).date()
    gone_by = datetime.combine(ends_on + timedelta(days=30 + 14), time.min, tzinfo=made.ZONE)
    before = gone_by - timedelta(hours=1)
    with world.open(clock=SimulatedClock(before)) as deployment:
        alias = deployment.alias(portal.LEAVER)
        early = look.look(deployment)
    with world.open(clock=SimulatedClock(gone_by)) as deployment:
        seen = look.look(deployment)
    rows = made.leaving(made.read(world), gone_by - timedelta(days=made.MARGIN_DAYS))
    assert [(one.store, one.overdue, one.next_deadline) for one in early.offboarding] == [("main", 0, gone_by)]
    assert [(one.alias, one.gone_by, one.overdue) for one in early.leaving] == [(alias, gone_by, 0)]
    assert [(one.store, one.overdue, one.ceiling_of_oldest) for one in seen.offboarding] == [
        ("main", len(rows), gone_by)
    ]
    assert [(one.alias, one.overdue) for one in seen.leaving] == [(alias, len(rows))]
    assert seen.breached


def test_an_open_export_window_has_its_end(world: World) -> None:
    """Until the last day of the longest window is over, the look names its end; then no more."""
    ends_on = (world.now - timedelta(days=40)).date()
    closes = datetime.combine(ends_on + timedelta(days=31), time.min, tzinfo=made.ZONE)
    # The register was written later than this; only dates count here.
    for now, wanted in ((closes - timedelta(minutes=1), closes), (closes, None)):
        with world.open(clock=SimulatedClock(now)) as deployment:
            assert [one.window_closes for one in look.look(deployment).leaving] == [wanted]


def test_I33_rows_that_come_back_to_a_closed_tenant_are_overdue_at_once(world: World) -> None:
    """A closed contract is watched: young rows too, but for held ones and those of a statute; and by name."""
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        for name in ("acme2", "Acme"):
            tenant = offboard.find(deployment, name)
            yesterday = (world.now - timedelta(days=1)).date()
            offboard.move(deployment, tenant.model_copy(update={"contract_end": yesterday}), "closed")
        made.hold(deployment, "Acme")
        seen = look.look(deployment)
        alias = deployment.alias("acme2")
        for table in ("comment", "ticket", "account"):
            made.execute(world, f"DELETE FROM {table}")
        made.execute(world, "DELETE FROM access_log")
        made.execute(world, "DELETE FROM invoice")
        made.execute(world, "DELETE FROM letter")
        made.execute(world, "DELETE FROM portal")
        empty = look.look(deployment)
        made.insert(world, "portal", [("acme2", "Firm 1")])
        back = look.look(deployment)
    tables = made.read(world)
    assert {one.alias for one in seen.leaving if one.overdue} == {alias}
    closed = {one.alias: one.overdue for one in seen.leaving}[alias]
    old_invoices = sum(world.now.year > world.now.year - i + made.INVOICE_YEARS for i in range(12))
    # Accounts, tickets with two comments each, all logs; invoices out of their statute; the portal row is needed.
    odd = len(range(82, 94)) + 3 + 1
    assert closed == 6 + 12 * 3 + 20 + odd + old_invoices
    assert [one.overdue for one in empty.offboarding] == [0]
    assert [(one.alias, one.overdue) for one in back.leaving if one.overdue] == [(alias, 1)]
    assert set(tables["portal"]) == {"acme2"}


def test_I33_ever_so_many_closed_tenants_are_named_up_to_a_bound() -> None:
    """Whose rows came back is found by halving; beyond the bound rows are counted without a name."""
    rows = {f"t{number}": number % 3 for number in range(100)}
    asked: list[int] = []

    def ask(tenants: Any) -> int:
        asked.append(len(tenants))
        return sum(rows[tenant] for tenant in tenants)

    everybody = dict(late._named(ask, list(rows), 200))
    assert everybody == {name: count for name, count in rows.items() if count}
    some = dict(late._named(ask, list(rows), 5))
    assert (len(some), sum(some.values())) == (6, sum(rows.values()))
    asked.clear()
    assert dict(late._named(lambda tenants: ask(tenants) * 0, list(rows), 200)) == {}
    assert asked == [100]


# ---- what does not answer ----

SIDE = """\
  - {id: side, kind: sql, address: {file: side.url}, place: {country: DE, region: Frankfurt}}
datasets:
  - {id: side-log, store: side, table: access_log, category: technical-data, key: [id],
     tenant: {by: column, column: portal_id}, times: {collection: {column: at, encoding: iso-text}}}
"""


def with_side(world: World, folder: Path) -> Path:
    """Add a second store with logs of its own."""
    folder.mkdir()
    url = f"sqlite:///{folder}/side.db"
    with portal.raw(url) as connection:
        connection.execute("CREATE TABLE access_log (id INTEGER PRIMARY KEY, portal_id TEXT, ip TEXT, at TEXT)")
    made.insert(replace(world, url=url), "access_log", made.old_logs(world, 4))
    (world.folder / "side.url").write_text(url + "\n")
    (world.folder / "side.url").chmod(0o600)
    inventory = world.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("datasets:\n", SIDE))
    return folder


def test_I27_a_store_that_is_down_is_named_and_hides_no_other(world: World, tmp_path: Path) -> None:
    """The other store's figures stand; the silent one's are incomplete; no text of an error comes out."""
    side = with_side(world, tmp_path / "side")
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        both = look.look(deployment)
    shutil.rmtree(side)
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        seen = look.look(deployment)
    there = {one.store: one for one in both.rules}
    here = {one.store: one for one in seen.rules}
    assert (there["side"].overdue, there["side"].complete, both.stale) == (4, True, ("main", "side"))
    assert here["main"] == there["main"]
    assert (here["side"].complete, here["side"].overdue) == (False, 0)
    assert [(one.store, one.error, one.rule) for one in seen.unanswered] == [("side", "Refused", None)]
    assert set(seen.gaps) == {"main"}


def test_I27_a_permission_that_was_revoked_is_named(postgres_url: str, tmp_path: Path) -> None:
    """What our role may not read any more is said, for that dataset alone; the other rows are still looked at."""
    role, password = f"looker_{secrets.token_hex(4)}", secrets.token_hex(8)
    with psycopg.connect(libpq_url(postgres_url), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
        try:
            world = made.tempting(tmp_path / "deployment", postgres_url)
            admin.execute(f"GRANT USAGE ON SCHEMA public, lifecycle TO {role}")
            admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public, lifecycle TO {role}")
            admin.execute(f"REVOKE SELECT ON access_log FROM {role}")
            with world.open() as deployment:
                made.end_contract(world, deployment)
            reader = make_url(postgres_url).set(username=role, password=password)
            portal.point_to(world.folder, reader.render_as_string(hide_password=False))
            with world.open(clock=SimulatedClock(world.now + timedelta(days=20))) as deployment:
                seen = look.look(deployment)
        finally:
            admin.execute(f"DROP OWNED BY {role}")
            admin.execute(f"DROP ROLE {role}")
    assert not logs_of(seen).complete
    assert {(one.store, one.dataset) for one in seen.unanswered} == {("main", "access-log")}
    assert {one.error for one in seen.unanswered} <= {"Refused", "Transient"}
    assert [(one.complete, one.overdue > 30) for one in seen.offboarding] == [(False, True)]


def test_I27_what_cannot_be_resolved_is_counted(world: World) -> None:
    """A tenant whose agreement no document holds binds nothing: the look says how many there are, never who."""
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        lost = offboard.find(deployment, "Acme").model_copy(update={"agreement_version": "0.1"})
        with deployment.state.transaction() as tx:
            registers.put(tx, "tenant", deployment.alias("Acme"), lost)
        seen = look.look(deployment)
    assert [(one.error, one.tenants) for one in seen.unbound] == [("InvalidDocument", 1)]
    assert "Acme" not in repr(seen)
    assert logs_of(seen).unattributed == 1


def test_I05_an_empty_register_is_said(world: World) -> None:
    """Without tenants nothing is bound: no figure claims that all is well."""
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        with deployment.state.transaction() as tx:
            for name, _ in list(deployment.state.items("tenant")):
                tx.remove("tenant", name)
        seen = look.look(deployment)
    assert (seen.rules, [one.error for one in seen.unbound]) == ((), ["Refused"])


def test_I11_an_undeclared_table_is_a_gap(world: World) -> None:
    """Coverage is part of the look."""
    made.execute(world, "CREATE TABLE forgotten (id INTEGER PRIMARY KEY, email TEXT)")
    with world.open(clock=SimulatedClock(world.now)) as deployment:
        assert dict(look.look(deployment).gaps) == {"main": 1}


def test_I12_the_spread_of_the_clocks_is_told(postgres_url: str, tmp_path: Path) -> None:
    """The look goes by our own clock and tells how far the stores' are away; it refuses nothing."""
    world = made.tempting(tmp_path / "deployment", postgres_url)
    with world.open() as deployment:
        ahead = replace(deployment, clock=SimulatedClock(SystemClock().now() + timedelta(hours=1)))
        assert look.look(deployment).spread_seconds < 30
        assert 3_500 < look.look(ahead).spread_seconds < 3_700


# ---- the executor's word ----


def test_I25_an_idle_run_over_due_rows_is_an_error(world: World) -> None:
    """Rows were due before the run, the run says that nothing was, they are still there: told until it is not so."""
    clock = SimulatedClock(world.now)
    with world.open(clock=clock) as deployment:
        before = look.look(deployment)
        clock.advance(timedelta(minutes=5))
        turn = slots.present(deployment, *RULE, clock.now())
        with deployment.state.exclusive() as epoch:
            slots.claim(deployment, turn, epoch, clock.now())
            slots.ended(deployment, turn, clock.now(), "idle")
        clock.advance(timedelta(minutes=5))
        seen = look.look(deployment, before)
        clock.advance(timedelta(minutes=5))
        again = look.look(deployment, seen)
        assert look.look(deployment).disagreements == ()
        run(world, deployment)
        after = look.look(deployment, again)
    wanted = [(*RULE, logs_of(before).due)]
    assert [(one.agreement, one.rule, one.due) for one in seen.disagreements] == wanted
    assert again.disagreements == seen.disagreements
    assert after.disagreements == ()


def test_I25_rows_that_came_after_an_idle_run_are_no_disagreement(world: World) -> None:
    """What the application wrote late is due, and nobody's mistake."""
    clock = SimulatedClock(world.now)
    with world.open(clock=clock) as deployment:
        run(world, deployment)
        before = look.look(deployment)
        clock.advance(timedelta(minutes=5))
        turns = {(turn.agreement, turn.rule): turn.result for turn in cycle.tick(deployment)}
        made.insert(world, "access_log", made.old_logs(world, 3))
        seen = look.look(deployment, before)
    assert turns[RULE] == "idle"
    assert (logs_of(seen).due, seen.disagreements) == (3, ())


# ---- what it may not do ----

CHANGES = {
    "apply", "find", "count", "cut", "void", "acknowledge", "prepare", "advance_epoch", "set_stop", "export",
    "mirror", "mirror_tenants", "mirror_holds", "transaction", "put", "write", "record", "checkpoint", "exclusive",
}  # fmt: skip
OF_THE_EXECUTOR = {"planning", "execute", "scan", "verify", "weighing", "withholding", "cycle", "recover", "binding"}


@pytest.mark.parametrize("module", [look, late, eyes, overdue], ids=lambda module: str(module.__name__))
def test_I35_the_verifier_shares_nothing_with_what_deletes(module: Any) -> None:
    """Neither imports nor calls: nothing of the executor's, no write, no count of its query builder."""
    tree = ast.parse(inspect.getsource(module))
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in [*(node.module or "").split("."), *(alias.name for alias in node.names)]
    }
    assert not called & CHANGES
    assert not imported & (OF_THE_EXECUTOR | {"mirror_tenants", "mirror_holds"})


def test_I35_no_bug_of_the_executor_changes_what_is_seen(unplanned: World) -> None:
    """Whatever is wrong with what counts, walks and deletes, the look finds the same rows overdue."""
    with unplanned.open(clock=SimulatedClock(unplanned.now + timedelta(days=20))) as deployment:
        right = look.look(deployment)
        blinded = []
        for bug in (*COMPILER_BUGS, *EXECUTOR_BUGS):
            with pytest.MonkeyPatch.context() as patch:
                bug.plant(patch)
                if look.look(deployment) != right:
                    blinded.append(bug.name)
    assert blinded == []
    assert right.breached


def test_I35_a_look_writes_nothing(line: Line, planned_home: Path) -> None:
    """Neither the store nor our state has another byte afterwards, stale mirrors or not."""
    made.execute(line.world, "DELETE FROM lifecycle_tenant")
    with line.world.open(clock=SimulatedClock(line.world.now)) as deployment:
        before = (contents(planned_home / "app.db"), deployment.state.size(), list(deployment.state.items("setting")))
        look.look(deployment)
        after = (contents(planned_home / "app.db"), deployment.state.size(), list(deployment.state.items("setting")))
    assert before == after


def contents(path: Path) -> str:
    """Return a digest of a database's file; its journal is empty once nobody writes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
