"""Stores without transactions: what a batch may touch is durable before it, and what it took is kept in our state.

The store is the fake whose rows go one by one; everything else is the product.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core.errors import Corrupt, Refused, Transient
from lifecycle.evidence import seal
from lifecycle.evidence.errors import SealBroken
from lifecycle.flow import approve, certify, execute, journal, planning, sealed
from lifecycle.ports.failpoint import no_failpoint
from lifecycle.ports.store import HoldRow, Receipt
from lifecycle.stores.memory import ListedMemoryStore, open_keys
from tests import portal
from tests.flow import world as made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.flow.deployment import Deployment
    from tests.portal import World


class Killed(BaseException):
    """The process is gone, as far as the product can tell."""


def kill_at(name: str, nth: int) -> Callable[[str], None]:
    """Return a failpoint that ends the process at the nth hit of a name."""
    seen = Counter[str]()

    def failpoint(hit: str) -> None:
        seen[hit] += 1
        if hit == name and seen[hit] == nth:
            raise Killed(hit)

    return failpoint


@dataclasses.dataclass
class Target:
    """A world whose store is the fake, with one approved plan of the log rule."""

    world: World
    tables: dict[str, list[dict[str, Any]]]
    kept: ListedMemoryStore | None = None
    plan: str = ""

    @contextmanager
    def open(self, failpoint: Callable[[str], None] = no_failpoint) -> Iterator[Deployment]:
        """Open the deployment over the fake."""
        with self.world.open(failpoint=failpoint) as deployment:
            self.kept = ListedMemoryStore(
                "main",
                self.tables,
                deployment.policy.inventory.in_store("main"),
                deployment=deployment.id,
                failpoint=failpoint,
                beside=self.kept,
            )
            yield dataclasses.replace(deployment, stores={"main": self.kept})

    def logs(self) -> set[int]:
        """Return the log rows that are there."""
        return {row["id"] for row in self.tables["access_log"]}

    def lists(self) -> list[int]:
        """Open every sealed list that our state keeps."""
        with self.open() as deployment:
            return [
                int(key)
                for taken in sealed.every(deployment)
                for (key,) in open_keys(taken.body(), deployment.keys.sealing, taken.batch)
            ]


@pytest.fixture
def target(world: World) -> Target:
    """The tempting world's logs in the fake; what is due is approved and nothing has gone."""
    columns = ("id", "portal_id", "ip", "at")
    rows = world.rows("SELECT id, portal_id, ip, at FROM access_log")
    names = ("portal", "account", "ticket", "comment", "invoice", "letter", "plan")
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    tables["access_log"] = [dict(zip(columns, row, strict=True)) for row in rows]
    target = Target(world, tables)
    with target.open() as deployment:
        deployment.stores["main"].prepare(deployment.id)
        planned = planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
        assert planned is not None
        approve.approve(deployment, planned.hash, "op-one", world.key("op-one"))
        target.plan = planned.hash
    return target


def due(target: Target) -> set[int]:
    """Return what must go, by plain Python."""
    return {key for _, key in made.due_logs(made.read(target.world), target.world.now)}


def finish(target: Target) -> Any:
    """Carry the plan out to its end, as the next process."""
    with target.open() as deployment:
        ran = execute.apply(deployment, target.plan)
        job = journal.read_job(deployment, ran.job)
        assert not job.open
        assert job.done == ran.deleted
        return certify.issue(deployment, target.plan), ran


def test_I16_what_went_stands_in_exactly_one_sealed_list(target: Target) -> None:
    """Nothing keeps receipts in the store: our state's lists open, and name what went, once each."""
    before, must_go = target.logs(), due(target)
    _, ran = finish(target)
    assert before - target.logs() == must_go
    assert sorted(target.lists()) == sorted(must_go)
    assert (ran.outcome, ran.clean, ran.deleted) == ("done", True, len(must_go))


@pytest.mark.parametrize("name", ["intent.after", "item.gone", "batch.changed", "receipt.copied", "job.finished"])
@pytest.mark.parametrize("nth", [1, 2, 7])
def test_I16_after_a_crash_every_item_is_in_one_list(target: Target, name: str, nth: int) -> None:
    """Killed after the intent, between two items, before or after the receipt, and again during the recovery."""
    before, must_go = target.logs(), due(target)
    hits = 1 if name == "job.finished" else nth
    with target.open(kill_at(name, hits)) as deployment, pytest.raises(Killed):
        execute.apply(deployment, target.plan)
    with target.open(kill_at("void.after", 1)) as deployment, suppress(Killed):
        execute.apply(deployment, target.plan)
    finish(target)
    assert before - target.logs() == must_go
    assert sorted(target.lists()) == sorted(must_go)


def test_I16_a_list_opens_for_its_own_batch_and_purpose_only(target: Target) -> None:
    """A planned list is no list of what went, nor one of another batch; the intent's is gone with it."""
    with target.open(kill_at("item.gone", 1)) as deployment, pytest.raises(Killed):
        execute.apply(deployment, target.plan)
    with target.open() as deployment:
        [(name, body)] = deployment.state.items("intent")
        planned = sealed.Listing.model_validate(json.loads(body)["listing"])
        listed = json.loads(sealed.opened(deployment, name, planned))
        assert len(listed[1]) == planned.items == 5
        with pytest.raises(Corrupt):
            sealed.opened(deployment, "b-other", planned)
        assert b"Acme" not in body
    finish(target)
    with target.open() as deployment:
        assert next(iter(deployment.state.items("intent")), None) is None
        taken = next(iter(sealed.every(deployment)))
        with pytest.raises(SealBroken):
            seal.open_sealed(deployment.keys.sealing, taken.body(), f"planned/{taken.batch}".encode())


def test_I18_an_answer_that_leaves_items_out_is_unknown(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that says nothing of an item is asked again by reading: what went is receipted, nothing is guessed."""
    real, must_go, silences = ListedMemoryStore.apply, due(target), [1, 2]

    def silent(store: ListedMemoryStore, batch: Any) -> Receipt:
        receipt = real(store, batch)
        return dataclasses.replace(receipt, deleted=receipt.deleted - silences.pop()) if silences else receipt

    monkeypatch.setattr(ListedMemoryStore, "apply", silent)
    _, ran = finish(target)
    assert ran.deleted == len(must_go)
    assert sorted(target.lists()) == sorted(must_go)


def test_I18_what_cannot_be_read_again_blocks_the_certificate(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store does not say what became of a batch, its job neither goes on nor is certified."""
    with target.open(kill_at("item.gone", 2)) as deployment, pytest.raises(Killed):
        execute.apply(deployment, target.plan)

    def deaf(store: ListedMemoryStore, batch_id: str, closing: Any = None) -> Receipt:
        raise Transient("no answer")

    with monkeypatch.context() as patch, target.open() as deployment:
        patch.setattr(ListedMemoryStore, "void", deaf)
        with pytest.raises(Transient):
            execute.apply(deployment, target.plan)
        with pytest.raises(Refused):
            certify.issue(deployment, target.plan)
    finish(target)
    assert sorted(target.lists()) == sorted(due(target))


def test_I01_an_item_that_changed_after_the_cut_is_kept_and_counted(target: Target) -> None:
    """Its identity is not the listed one: the receipt says kept, and the row is judged anew."""
    victim = min(due(target))
    young = portal.stamp(target.world.now - timedelta(hours=1))

    def revive(hit: str) -> None:
        if hit == "intent.after":
            for row in target.tables["access_log"]:
                if row["id"] == victim:
                    row["at"] = young

    with target.open(revive) as deployment:
        ran = execute.apply(deployment, target.plan)
        entries = journal.decoded(deployment.state.of_job(ran.job))
        kept = sum(entry["kept"] for _, entry in entries if entry["type"] == "batch.receipt")
    assert (ran.outcome, ran.clean, kept) == ("done", True, 1)
    assert victim in target.logs()
    assert sorted(target.lists()) == sorted(due(target) - {victim})


def test_I07_a_hold_between_two_items_keeps_the_rest(target: Target) -> None:
    """Fence and holds are asked before each item; what is kept is looked at again under the new holds."""
    must_go = due(target)
    mine = {row["id"] for row in target.tables["access_log"] if row["portal_id"] == "acme2"} & must_go
    seen: set[int] = set()

    def hold(hit: str) -> None:
        if hit == "item.gone" and not seen:
            seen.update(target.logs())
            with target.world.open() as other:
                made.hold(other, "acme2", "access-log")
            assert target.kept is not None
            target.kept.mirror_holds([HoldRow("h-new", "acme2", "access-log")])

    with target.open(hold) as deployment:
        assert execute.apply(deployment, target.plan).clean
    assert target.logs() >= mine & seen
    assert sorted(target.lists()) == sorted(must_go - (mine & seen))


def test_I20_after_the_recovery_the_first_process_takes_nothing(target: Target) -> None:
    """A process that was stopped between two items goes on after its successor closed its batch: it takes nothing."""
    left: list[set[int]] = []

    def stopped(hit: str) -> None:
        if hit == "item.gone" and not left:
            assert target.kept is not None
            target.kept.advance_epoch("portal-test", 99)
            left.append(target.logs())

    with target.open(stopped) as deployment, pytest.raises(Refused) as refused:
        execute.apply(deployment, target.plan)
    assert refused.value.guard == "stale-epoch"
    assert target.logs() == left[0]


def test_the_lists_are_kept_for_their_dispute_window(target: Target) -> None:
    """Lists older than four years go with the end of the next job; younger ones stay."""
    finish(target)
    with target.open() as deployment:
        taken = next(iter(sealed.every(deployment)))
        with deployment.state.transaction() as tx:
            for days in (sealed.KEEP_DAYS + 1, sealed.KEEP_DAYS - 1):
                day = taken.day - timedelta(days=days)
                body = taken.model_copy(update={"day": day, "batch": f"b-old-{days}"})
                tx.put("sealed", f"{day}/b-old-{days}", sealed.registers.body_of(body))
        with deployment.state.transaction() as tx:
            sealed.forget(deployment, tx)
        names = {one.batch for one in sealed.every(deployment)}
    assert f"b-old-{sealed.KEEP_DAYS - 1}" in names
    assert f"b-old-{sealed.KEEP_DAYS + 1}" not in names
