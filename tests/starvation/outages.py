"""Something is down, cut off, slow, read-only or full: the store, its network, or our own state."""

from __future__ import annotations

import resource
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tests.servers import libpq_url
from tests.starvation.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.starvation.proxy import Network
    from tests.starvation.site import Site


class ServerStopped(Scenario):
    """The target's server is stopped; rows that the verifier had seen pass their ceiling meanwhile."""

    name = "server-stopped"
    store = "postgresql"
    every = 10
    known = True
    own_server = True

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        assert site.server is not None
        site.server.stop()
        try:
            yield
        finally:
            site.server.restart()

    def bitten(self, site: Site) -> bool:
        """Nobody deletes in a server that is not there."""
        try:
            psycopg.connect(libpq_url(site.owner), connect_timeout=1).close()
        except psycopg.OperationalError:
            return True
        return False


class _OverNetwork(Scenario):
    store = "postgresql"
    every = 10
    known = True
    proxied = True

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        assert site.network is not None
        self.worsen(site.network)
        yield
        site.network.become("open")

    def worsen(self, network: Network) -> None:
        raise NotImplementedError


class NetworkCut(_OverNetwork):
    """The network to the target is cut: connections end, new ones are refused."""

    name = "network-cut"

    def worsen(self, network: Network) -> None:
        network.become("cut")


class ReloadInOutage(NetworkCut):
    """The network is cut, and then documents change: the reload forgets no ceiling that was known."""

    name = "reload-in-outage"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        with super().fault(site):
            with site.settings.open("a") as file:
                file.write("# Somebody has touched the settings.\n")
            site.daemon.seen("documents.reloaded")
            yield


class RestartInOutage(NetworkCut):
    """The network is cut, and then the daemon is killed and started again: it forgets no ceiling that was known."""

    name = "restart-in-outage"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        with super().fault(site):
            site.start_again()
            yield


class NetworkSilent(_OverNetwork):
    """The network swallows everything: connections stand, nothing is answered, nothing ends."""

    name = "network-silent"

    def worsen(self, network: Network) -> None:
        network.become("silent")


class StoreSlow(_OverNetwork):
    """Every answer of the store takes seconds: turns and looks begin and do not end in time."""

    name = "store-slow"

    def worsen(self, network: Network) -> None:
        network.become("slow", delay=2.0)


class TargetReadOnly(Scenario):
    """The target fails over to a read-only copy of itself: it answers every question and takes no change."""

    name = "target-read-only"
    store = "postgresql"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        self._set(site, "on")
        yield
        self._set(site, "off")

    def _set(self, site: Site, value: str) -> None:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        with psycopg.connect(libpq_url(site.owner), autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute("SET default_transaction_read_only = off")
            statement = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
            connection.execute(statement.format(sql.Identifier(name), sql.SQL(value)))
            connection.execute(others, (name,))

    def rows(self, site: Site) -> float:
        """Bring them as the application does that still writes to the old primary."""
        site.session = ("SET TRANSACTION READ WRITE",)
        return site.insert()


class StateFull(Scenario):
    """Our own files cannot grow any more (as on a full disk): neither state nor log nor checkpoint is written."""

    name = "state-full"
    store = "postgresql"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        pid = site.daemon.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        yield
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


class StateLocked(Scenario):
    """Another process (a backup tool) holds the write lock of our state."""

    name = "state-locked"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        with closing(sqlite3.connect(site.state, isolation_level=None, timeout=5)) as session:
            session.execute("BEGIN IMMEDIATE")
            yield
            session.execute("ROLLBACK")


ALL: tuple[type[Scenario], ...] = (
    ServerStopped,
    NetworkCut,
    ReloadInOutage,
    RestartInOutage,
    NetworkSilent,
    StoreSlow,
    TargetReadOnly,
    StateFull,
    StateLocked,
)
