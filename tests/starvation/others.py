"""Where nobody looks any more, or looks by old documents: another alarm than the overdue one is the one that counts."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from lifecycle.core.tenant import Tenant
from lifecycle.flow import offboard
from lifecycle.state.leader import LEADER
from lifecycle.wiring.creation import create_state
from tests import portal
from tests.servers import libpq_url
from tests.starvation.refusals import RuleShortened, sign
from tests.starvation.scenario import Scenario
from tests.starvation.site import AGREEMENT, ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.starvation.site import Site


class LeaderLost(Scenario):
    """The lead is taken from the daemon by a session that does nothing with it: NoLeader counts, nobody looks."""

    name = "leader-lost"
    store = "postgresql"
    alarm = "NoLeader"

    def prepare(self, site: Site) -> None:
        """Move our own state to PostgreSQL, where replicas share it, before anything stands in it."""
        for name in ("state.db", "state.db-wal", "state.db-shm", "checkpoint"):
            (site.folder / name).unlink(missing_ok=True)
        (site.folder / "state.url").write_text(site.owner)
        (site.folder / "state.url").chmod(0o600)
        text = site.settings.read_text()
        assert 'state: {url: "sqlite:///state.db"}' in text
        site.settings.write_text(text.replace('state: {url: "sqlite:///state.db"}', "state: {file: state.url}"))
        create_state(site.folder)
        with site.world.open() as deployment:
            for tenant in portal.TENANTS:
                offboard.register(deployment, Tenant(id=tenant, agreement=AGREEMENT))

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        end = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'lifecycle lead' AND datname = current_database()"
        )
        with psycopg.connect(libpq_url(site.owner), autocommit=True) as idle:
            idle.execute("SET lock_timeout = '10s'")
            with psycopg.connect(libpq_url(site.owner), autocommit=True) as other:
                # Whoever waits is served first: the daemon cannot be quicker.
                idle.pgconn.send_query(f"SELECT pg_advisory_lock({LEADER.key})".encode())
                other.execute(end)
            while idle.pgconn.get_result() is not None:
                pass
            # Until it notices it may end what it has begun: the writer's lock and the epoch see to that.
            site.daemon.seen("leader.lost")
            yield

    def told(self, site: Site) -> str:
        """Whether the overdue alarm is silent while nobody looks."""
        return "DeadlineBreached " + ("fires too" if site.firing("DeadlineBreached") else "is silent: nobody looks")


class ProcessStopped(Scenario):
    """The daemon itself is stopped (SIGSTOP): it answers no scrape, and Down counts."""

    name = "daemon-stopped"
    every = 10
    alarm = "Down"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        site.daemon.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            site.daemon.signal(signal.SIGCONT)

    def told(self, site: Site) -> str:
        """Nothing is told by a process that is stopped."""
        return "silence"


class ProcessKilled(Scenario):
    """The daemon is killed and nobody starts it again: Down counts."""

    name = "daemon-killed"
    every = 10
    alarm = "Down"
    heals = False

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        site.daemon.signal(signal.SIGKILL)
        site.daemon.ended()
        yield

    def told(self, site: Site) -> str:
        """Nothing is told by a process that is gone."""
        return "silence"


class ReloadRefused(RuleShortened):
    """A shorter period is written together with a mistake: the old documents stay in force, DocumentsStale counts."""

    name = "reload-refused"
    alarm = "DocumentsStale"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        path = site.folder / "policies" / "agreements" / f"{AGREEMENT}.yaml"
        text = path.read_text().replace("gone_by: P90D", "gone_by: P60D")
        path.write_text(text + "\nmistake: 1\n")
        site.daemon.seen("reload.failed")
        yield
        path.write_text(text)
        site.daemon.seen("documents.reloaded")
        sign(site)

    def told(self, site: Site) -> str:
        """Whether the old documents' verifier says anything of the new promise."""
        return "DeadlineBreached " + ("fires too" if site.firing("DeadlineBreached") else "is silent: by the old rules")


class Unattributed(Scenario):
    """Rows of a tenant that the register does not know: nobody's to delete, not overdue, an alarm of their own."""

    name = "unattributed-rows"
    alarm = "UnattributedRecords"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        yield
        with site.open() as deployment:
            offboard.register(deployment, Tenant(id=_STRANGER, agreement=AGREEMENT))

    def rows(self, site: Site) -> float:
        return site.insert(tenant=_STRANGER)

    def bitten(self, site: Site) -> bool:
        """They are there, and nobody says that a ceiling was missed: no promise about them is known."""
        return site.left() == ROWS and not site.firing("DeadlineBreached")

    def told(self, site: Site) -> str:
        """What the overdue alarm makes of them."""
        return "DeadlineBreached is silent: no promise binds them"


class PromisesUnresolved(Scenario):
    """The agreement is replaced by one of another name, and nobody moved the tenants: they are bound by nothing."""

    name = "promises-unresolved"
    alarm = "PromisesUnresolved"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        path = site.folder / "policies" / "agreements" / f"{AGREEMENT}.yaml"
        text = path.read_text()
        path.write_text(text.replace(f"id: {AGREEMENT}\n", f"id: {AGREEMENT}-next\n", 1))
        site.daemon.seen("documents.reloaded")
        yield
        path.write_text(text)

    def told(self, site: Site) -> str:
        """What the overdue alarm makes of it."""
        return "DeadlineBreached " + ("fires too" if site.firing("DeadlineBreached") else "is silent: nothing binds")


_STRANGER = "stranger"

ALL: tuple[type[Scenario], ...] = (
    LeaderLost,
    ProcessStopped,
    ProcessKilled,
    ReloadRefused,
    Unattributed,
    PromisesUnresolved,
)
