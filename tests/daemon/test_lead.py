"""Two replicas on one PostgreSQL: what the deposed one has seen is nobody's truth any more."""

from __future__ import annotations

import io
import re
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from lifecycle.daemon.service import Service
from lifecycle.wiring.deployment import Options
from tests.daemon.process import deployment
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OF_A_LOOK = ("overdue_records", "overdue_oldest_age_seconds")
OF_THE_LOGS = '{rule="server-logs",store="main"}'


@pytest.fixture
def folder(tmp_path, postgres_url):
    """A small portal with rows past their ceiling, and a state that several replicas can share."""
    cli = deployment(tmp_path / "deployment")
    settings = cli.folder / "lifecycle.yaml"
    (cli.folder / "state.url").write_text(postgres_url)
    (cli.folder / "state.url").chmod(0o600)
    settings.write_text(re.sub(r"(?m)^state:.*$", "state: {file: state.url}", settings.read_text()))
    (cli.folder / "checkpoint").unlink()
    cli("db", "upgrade")
    cli("tenant", "add", "tenant-stays-4711", "--agreement", "clientport", "--start", "2020-01-01", "--firm", "One Ltd")
    return cli.folder


@contextmanager
def replica(folder: Path) -> Iterator[Service]:
    """Open a replica without starting it."""
    service = Service(folder, io.StringIO(), Options())
    with closing(_Closing(service)):
        yield service


class _Closing:
    def __init__(self, service: Service) -> None:
        self.close = service._close


def metric(service: Service, name: str) -> float:
    """Return one sample of a replica's metrics."""
    found = re.search(rf"^lifecycle_{re.escape(name)} (\S+)$", service._metrics().decode(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def looked(service: Service) -> tuple[float, ...]:
    """Return what the replica says of rows past their ceiling."""
    return tuple(metric(service, name + OF_THE_LOGS) for name in OF_A_LOOK)


def change_documents(folder: Path) -> None:
    """Let the settings be other bytes than before."""
    with (folder / "lifecycle.yaml").open("a") as file:
        file.write("# changed\n")


def test_I24_a_leader_that_reloads_while_another_takes_the_lead_forgets_what_it_saw(folder):
    """The old figures must not stand for ever beside the new leader's: `max` over the replicas would never clear."""
    with replica(folder) as first, replica(folder) as second:
        first._keep_leading()
        first._look()
        assert looked(first) > (0, 0)
        second._keep_leading()
        assert not second._leads()
        change_documents(folder)
        first._reload_if_changed()
        assert not first._leads()
        until(lambda: second._keep_leading() or second._leads(), "the standby leads")
        first._keep_leading()
        first._look()
        assert not first._leads()
        assert (metric(first, "leader"), metric(second, "leader")) == (0, 1)
        assert looked(first) == (0, 0)
        second._look()
        assert looked(second) > (0, 0)


def test_I24_a_leader_that_reloads_and_leads_again_keeps_what_it_saw(folder):
    """Nobody else came: no deadline is forgotten for the length of a look."""
    with replica(folder) as first:
        first._keep_leading()
        first._look()
        seen = looked(first)
        change_documents(folder)
        first._reload_if_changed()
        first._keep_leading()
        assert first._leads()
        assert looked(first) == seen


def test_I24_who_was_deposed_during_a_turn_and_then_reloads_tells_of_the_next_loss_too(folder):
    """A loss that was told before the reload does not silence the next one."""
    with replica(folder) as first:
        for _ in range(2):
            until(lambda: first._keep_leading() or first._leads(), "it leads")
            first._look()
            assert looked(first) > (0, 0)
            with first._turn:
                first._lease._gone.set()
                first._keep_leading()
            assert metric(first, "leader") == 0
            assert looked(first) == (0, 0)
            change_documents(folder)
            first._reload_if_changed()
