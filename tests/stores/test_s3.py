"""Buckets keep the promises of the seam, on a real server: without versioning, and with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from lifecycle.ports.store import Closing
from lifecycle.testing import store_world as w
from lifecycle.testing.store_contract import CUTOFF, NEW, ItemContract, Stopped, ids, log, stop_at
from lifecycle.testing.store_world import at, batch, of_tenant, ready
from tests.stores.s3_world import S3World, Server, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.ports.store import Store


@pytest.fixture(scope="class")
def server() -> Iterator[Server]:
    """A server for each class: buckets of nobody are a gap."""
    with running() as server:
        yield server


class OfObjects(ItemContract):
    """What holds where nothing can be given back: a batch that was begun is closed by reading."""

    met_in_order: ClassVar[tuple[str, ...]] = (
        "batch.begun",
        "batch.fenced",
        "batch.receipt-open",
        "item.gone",
        "batch.changed",
        "batch.receipt-sealed",
        "batch.committed",
    )

    @pytest.mark.parametrize("place", ["batch.begun", "batch.fenced", "batch.receipt-open"])
    def test_I16_nothing_of_a_batch_shows_before_all_of_it(self, world: S3World, place: str) -> None:
        """A process that ends before the first request leaves everything as it was, and the batch can run again."""
        super().test_I16_nothing_of_a_batch_shows_before_all_of_it(world, place)
        assert ids(world) == set()

    @pytest.mark.parametrize("place", ["item.gone", "batch.changed", "batch.receipt-sealed"])
    def test_I16_what_went_before_the_receipt_is_read(self, world: S3World, place: str) -> None:
        """A process that ends after its requests leaves no receipt; closing the batch reads what went."""
        store = ready(world.store())
        world.insert("logs", [log(n) for n in range(3)])
        planned = batch(store, of_tenant("acme"), "b1")
        with pytest.raises(Stopped):
            world.store(stop_at(place)).apply(planned)
        assert (ids(world), store.receipt("b1")) == (set(), None)
        closed = store.void("b1", closing(planned))
        assert (closed.state, closed.deleted, dict(closed.kept)) == ("done", 3, {})
        assert sorted(world.open_keys(closed.sealed or b"", w.SEALING_KEY, "b1")) == [(0,), (1,), (2,)]
        again = store.void("b1", closing(planned))
        assert (again.digest, store.apply(replace(planned, epoch=2)).digest) == (closed.digest, closed.digest)

    def test_I20_a_closed_batch_takes_nothing_more(self, world: S3World, store: Store) -> None:
        """Closing raises the epoch first: the batch's own process, should it still live, is a stale one."""
        world.insert("logs", [log(n) for n in range(3)])
        planned = batch(store, of_tenant("acme"), "b1")
        assert store.void("b1", closing(planned)).state == "void"
        with pytest.raises(Exception, match="another leader"):
            store.apply(planned)
        assert len(ids(world)) == 3


def closing(planned: w.Batch) -> Closing:
    """Return what the flow gives to close a batch, as a later leader."""
    assert planned.listed is not None
    return Closing(w.DEPLOYMENT, planned.epoch + 1, planned.listed, w.SEALING_KEY, w.COMMITMENT_KEY)


class TestPlainBuckets(OfObjects):
    """The suite, without versioning: an object can be overwritten under a batch's hands."""

    tables: ClassVar[frozenset[str]] = frozenset({"logs-plain", "tickets-plain", "notes-plain", "system-log-plain"})

    @pytest.fixture
    def world(self, server: Server) -> S3World:
        """Plain buckets."""
        return S3World(server, versioned=False)


class TestVersionedBuckets(OfObjects):
    """The suite, with versioning: every version is a copy of its own."""

    tables: ClassVar[frozenset[str]] = frozenset(
        {"logs-versioned", "tickets-versioned", "notes-versioned", "system-log-versioned"}
    )

    @pytest.fixture
    def world(self, server: Server) -> S3World:
        """Versioned buckets."""
        return S3World(server, versioned=True)

    def test_I18_every_listed_item_is_accounted_for(self, world: S3World, store: Store) -> None:
        """A version never changes: what was written again is another one, and the listed one has vanished."""
        world.insert("logs", [log(n) for n in range(1, 6)])
        planned = batch(store, of_tenant("acme", "logs", CUTOFF), "b1")
        world.change("logs", {"id": 2}, {"made": at(NEW)})
        world.change("logs", {"id": 4}, {"firm": "borealis"})
        receipt = store.apply(planned)
        assert (receipt.deleted, dict(receipt.kept), ids(world)) == (3, {"vanished": 2}, {2, 4})
