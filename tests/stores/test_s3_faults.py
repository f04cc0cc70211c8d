"""S3 answers badly, or not at all: nothing is lost, nothing goes too much, nothing is called done that is not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from lifecycle.core.errors import Transient, Unknown
from lifecycle.stores.s3 import clients, open_keys, width
from lifecycle.testing import store_world as w
from lifecycle.testing.store_contract import CUTOFF, NEW, log
from lifecycle.testing.store_world import at, batch, of_groups, of_tenant, ready, walk
from tests.object_proxy import KINDS, Fault, deletions
from tests.stores.s3_world import S3World, Server, running
from tests.stores.test_s3 import closing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.ports.store import Receipt

OF_LISTINGS = ("500", "503", "html", "empty", "error-in-200", "half", "reset", "reset-after", "silence")
SILENT = {"silence", "silence-after"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for all of them."""
    with running() as server:
        yield server


@pytest.fixture(params=[False, True], ids=["plain", "versioned"])
def world(server: Server, request: pytest.FixtureRequest) -> S3World:
    """Buckets without versioning, and with it."""
    return S3World(server, versioned=request.param)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a second for an answer, and hardly at all between two attempts."""
    monkeypatch.setattr(clients, "READ_SECONDS", 1.0)
    monkeypatch.setattr(width, "_LONGEST_PAUSE", 0.01)


def filled(world: S3World) -> set[str]:
    """Write what is due, what is not yet, and a neighbour's; return the keys that must stay."""
    world.insert("logs", [log(n) for n in range(12)])
    world.insert("logs", [log(n, made=at(NEW)) for n in range(20, 23)])
    world.insert("logs", [log(n, "acme2") for n in range(30, 33)])
    return {key for key in keys(world) if key.startswith("acme2/") or int(key.split("/")[1].split(".")[0]) >= 20}


def keys(world: S3World) -> set[str]:
    """Return the keys that are there."""
    return {key for key, _ in world.server.everything(world.bucket("logs"))}


def named(receipt: Receipt) -> list[str]:
    """Return the keys that a receipt names."""
    assert receipt.sealed is not None
    return [key for key, _, _ in open_keys(receipt.sealed, w.SEALING_KEY, receipt.batch)]


@pytest.mark.parametrize("kind", KINDS)
def test_I18_one_bad_answer_is_read_again_and_the_batch_goes_on(world: S3World, kind: str) -> None:
    """A deletion answered badly once: every item has gone, is named once, and nothing else has."""
    store, stay = ready(world.store()), filled(world)
    planned = batch(store, of_tenant("acme", "logs", CUTOFF), "b1")
    fault = Fault(kind, deletions)
    world.server.proxy.faults.append(fault)
    receipt = store.apply(planned)
    assert fault.hit
    assert (receipt.deleted, dict(receipt.kept), keys(world)) == (12, {}, stay)
    assert len(named(receipt)) == len(set(named(receipt))) == 12
    assert store.residue(of_tenant("acme", "logs", CUTOFF)).items == 0


@pytest.mark.parametrize("kind", KINDS)
def test_I16_bad_answers_without_end_are_never_called_done(world: S3World, kind: str) -> None:
    """The batch fails or says what it kept; closed by reading, its receipt names what went and nothing else."""
    store, stay = ready(world.store()), filled(world)
    everything = keys(world)
    planned = batch(store, of_tenant("acme", "logs", CUTOFF), "b1")
    world.server.proxy.faults.append(Fault(kind, deletions, times=10**6))
    receipt: Receipt | None = None
    with contextlib.suppress(Transient, Unknown):
        receipt = store.apply(planned)
    world.server.proxy.faults.clear()
    if receipt is None:
        receipt = store.void("b1", closing(planned))
    gone = everything - keys(world)
    assert set(named(receipt) if receipt.state == "done" else []) == gone <= everything - stay
    assert receipt.state == "void" or receipt.deleted + sum(receipt.kept.values()) == 12
    store.advance_epoch(w.DEPLOYMENT, 2)
    assert sum(one.deleted for one in walk(store, of_tenant("acme", "logs", CUTOFF), 5, "c")) == 12 - len(gone)
    assert keys(world) == stay


@pytest.mark.parametrize("kind", OF_LISTINGS)
def test_I29_an_answer_that_is_no_listing_is_not_an_empty_one(world: S3World, kind: str) -> None:
    """Neither the executor nor fresh eyes take a broken page for 'nothing is left'."""
    store = ready(world.store())
    filled(world)
    bound = of_groups(["standard"], "logs", CUTOFF)
    world.server.proxy.faults.append(Fault(kind, listings, times=10**6))
    for ask in (store.count, store.residue, lambda b: store.cut(b, None, 9), lambda b: store.population("logs")):
        with pytest.raises(Transient):
            ask(bound)


def listings(method: str, path: str) -> bool:
    """Fit listings of the datasets' buckets."""
    return method == "GET" and ("versions" in path or "list-type=2" in path) and "/own-" not in path


def test_I01_what_comes_while_a_batch_runs_stays(world: S3World) -> None:
    """An upload, an overwrite and a new object in the very moment of the request: none of them goes."""
    store, stay = ready(world.store()), filled(world)
    planned = batch(store, of_tenant("acme", "logs", CUTOFF), "b1")
    bucket, done = world.bucket("logs"), list[str]()

    def meanwhile(method: str, path: str) -> None:
        if deletions(method, path) and not done:
            done.append(path)
            world.server.put(bucket, "acme/0.2025-01-10.dat", at(NEW), b"new")
            world.server.put(bucket, "acme/99.2025-01-10.dat", at(NEW), b"new")

    world.server.proxy.before = meanwhile
    receipt = store.apply(planned)
    assert keys(world) == stay | {"acme/0.2025-01-10.dat", "acme/99.2025-01-10.dat"}
    wanted = (12, {}) if world.versioned else (11, {"changed": 1})
    assert (receipt.deleted, dict(receipt.kept)) == wanted
    body = world.server.client.get_object(Bucket=bucket, Key="acme/0.2025-01-10.dat")["Body"].read()
    assert body == b"new"


def test_I20_a_fence_that_moves_in_the_middle_stops_the_rest(world: S3World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The epoch is asked for before each round of requests: what has not left stays, and is told."""
    monkeypatch.setattr("lifecycle.stores.s3.deleting.MOST_OF_REQUEST", 2)
    store = ready(world.store())
    filled(world)
    planned = batch(store, of_tenant("acme", "logs", CUTOFF), "b1")
    other, moved = world.store(), list[str]()

    def meanwhile(method: str, path: str) -> None:
        if deletions(method, path) and not moved:
            moved.append(path)
            other.advance_epoch(w.DEPLOYMENT, 7)

    world.server.proxy.before = meanwhile
    receipt = store.apply(planned)
    assert receipt.kept["stale-epoch"] == 12 - receipt.deleted > 0
    assert len(named(receipt)) == receipt.deleted


def test_a_server_that_asks_for_less_gets_less(world: S3World, monkeypatch: pytest.MonkeyPatch) -> None:
    """SlowDown halves the requests under way; answers without complaint let them grow again."""
    monkeypatch.setattr("lifecycle.stores.s3.deleting.MOST_OF_REQUEST", 1)
    store, stay = ready(world.store()), filled(world)
    world.server.proxy.faults.append(Fault("503", deletions, times=5, spare=1))
    widths = [store._width.now]
    receipt = store.apply(batch(store, of_tenant("acme", "logs", CUTOFF), "b1"))
    widths.append(store._width.now)
    assert (receipt.deleted, keys(world)) == (12, stay)
    assert widths[1] <= widths[0] + 2
