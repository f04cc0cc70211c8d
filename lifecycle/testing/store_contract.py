# ruff: noqa: S101, N802, FBT001 - a suite of tests: asserts are the point, names carry invariants
"""The suite that every store passes: inherit the class and give it a fixture `world` (see `store_world.StoreWorld`).

Each docstring is a promise of the seam. Names carry the invariant that the promise serves.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any, ClassVar

import pytest

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset
from lifecycle.core.selection import Bound, IsNull, Not, OneOf, Selection, TenantScope
from lifecycle.evidence.errors import SealBroken
from lifecycle.ports.failpoint import Failpoint
from lifecycle.ports.store import Content, HoldRow, Json, Register, Store, TenantRow
from lifecycle.testing import store_world as w
from lifecycle.testing.store_world import StoreWorld, at, batch, before, of_all, of_groups, of_tenant, ready, walk

OLD, NEW = date(2025, 1, 10), date(2026, 2, 20)
CUTOFF = before(date(2025, 12, 31))
TODAY = w.TODAY
BEFORE_COMMIT = ("batch.begun", "batch.fenced", "batch.receipt-open", "batch.changed", "batch.receipt-sealed")


class Stopped(Exception):
    """A failpoint's end of the process."""


def stop_at(place: str) -> Failpoint:
    """Return a failpoint that ends at one place."""

    def failpoint(name: str) -> None:
        if name == place:
            raise Stopped(name)

    return failpoint


def log(number: int, firm: str | None = "acme", made: Any = None, **values: Any) -> dict[str, Any]:
    """Return a row of the logs, old unless told otherwise."""
    start = at(OLD) + timedelta(minutes=number) if made is None else made
    return {"id": number, "firm": firm, "made": start, "day": OLD, "kind": "login", **values}


def ids(world: StoreWorld, table: str = "logs") -> set[int]:
    """Return the ids that are there."""
    return {row["id"] for row in world.rows(table)}


class StoreContract:
    """Promises of the store seam."""

    met_in_order: ClassVar[tuple[str, ...]] = (*BEFORE_COMMIT, "batch.committed")
    """The failpoints of a batch of one item."""

    tables: ClassVar[frozenset[str]] = frozenset(w.COLUMNS)
    """What the catalogue calls the datasets' tables."""

    @pytest.fixture
    def store(self, world: StoreWorld) -> Store:
        """A prepared store."""
        return ready(world.store())

    def test_facts_are_there_before_preparation(self, world: StoreWorld) -> None:
        """`probe` works before `prepare`, and says so; the fingerprint changes with the deployment's fence."""
        store = world.store()
        first = store.probe()
        store.prepare(w.DEPLOYMENT)
        second = store.probe()
        assert (first.prepared, second.prepared) == (False, True)
        assert first.fingerprint != second.fingerprint == world.store().probe().fingerprint
        assert second.clock.utcoffset() == timedelta(0)

    def test_preparing_twice_changes_nothing(self, world: StoreWorld) -> None:
        """`prepare` may run again: fence, epoch and mirrors stay."""
        store = ready(world.store(), epoch=7)
        store.prepare(w.DEPLOYMENT)
        assert store.fence().epoch == 7

    def test_a_target_belongs_to_one_deployment(self, world: StoreWorld) -> None:
        """Another deployment can neither prepare nor lead on this target."""
        store = ready(world.store())
        with pytest.raises(Refused) as refused:
            store.prepare("another-deployment")
        assert refused.value.guard == "deployment"
        with pytest.raises(Refused):
            store.advance_epoch("another-deployment", 9)
        assert store.fence().deployment == w.DEPLOYMENT

    def test_without_a_fence_nothing_goes(self, world: StoreWorld) -> None:
        """An unprepared target has no fence to read and no epoch to raise."""
        with pytest.raises(Refused) as refused:
            world.store().fence()
        assert refused.value.guard == "not-prepared"
        with pytest.raises(Refused):
            world.store().advance_epoch(w.DEPLOYMENT, 1)

    def test_I20_the_epoch_never_falls(self, store: Store) -> None:
        """A higher epoch refuses a lower one; the same one again is fine."""
        store.advance_epoch(w.DEPLOYMENT, 5)
        store.advance_epoch(w.DEPLOYMENT, 5)
        with pytest.raises(Refused) as refused:
            store.advance_epoch(w.DEPLOYMENT, 4)
        assert (refused.value.guard, store.fence().epoch) == ("stale-epoch", 5)

    def test_I05_an_empty_register_is_refused(self, world: StoreWorld, store: Store) -> None:
        """No tenants means a failed look-up, not that every tenant is gone."""
        world.insert("logs", [log(1)])
        with pytest.raises(Refused) as refused:
            store.mirror_tenants([])
        assert refused.value.guard == "empty-register"
        assert store.count(of_groups(["standard"])).items == 1

    def test_the_mirror_equals_the_register(self, world: StoreWorld, store: Store) -> None:
        """Tenants that moved, went or came are so in the mirror at once."""
        world.insert("logs", [log(1, "acme"), log(2, "borealis"), log(3, "delos")])
        store.mirror_tenants([TenantRow("acme", "short"), TenantRow("delos", "standard")])
        assert [found.key[0] for found in store.find(of_groups(["short"]), None, 9)] in ([1], ["1"])
        assert store.oddities("logs", of_groups(["standard"])).unattributed == 1

    def test_the_hold_version_rises_with_every_change(self, store: Store) -> None:
        """Adding and releasing raise the version; writing the same holds again does not."""
        first = store.mirror_holds([HoldRow("h1", "acme", None)])
        assert store.mirror_holds([HoldRow("h1", "acme", None)]) == first
        assert store.mirror_holds([HoldRow("h1", "acme", "logs")]) == first + 1
        assert store.mirror_holds([]) == first + 2 == store.fence().hold_version

    def test_count_and_walk_mean_the_same_rows(self, world: StoreWorld, store: Store) -> None:
        """What is counted is found, walked and deleted: nothing else, nothing less."""
        world.insert("logs", [log(n, "acme" if n % 2 else "borealis") for n in range(1, 30)])
        world.insert("logs", [log(50, made=at(NEW)), log(51, "cetus")])
        bound = of_groups(["standard"], "logs", CUTOFF)
        assert store.count(bound).items == len(store.find(bound, None, 99)) == 29
        assert store.count(bound).oldest == OLD
        receipts = list(walk(store, bound, 4))
        assert max(receipt.deleted for receipt in receipts) <= 4
        assert (sum(receipt.deleted for receipt in receipts), ids(world)) == (29, {50, 51})

    def test_pages_follow_each_other(self, world: StoreWorld, store: Store) -> None:
        """`find` pages by key: no item twice, none left out."""
        world.insert("notes", [{"ticket": n % 3, "number": n, "body": "x"} for n in range(9)])
        world.insert("tickets", [{"id": n, "firm": "acme", "title": "x"} for n in range(3)])
        bound, seen = of_tenant("acme", "notes"), list[tuple[int, ...]]()
        after: Json = None
        while page := store.find(bound, after, 4):
            seen += [tuple(int(str(part)) for part in found.key) for found in page]
            after = list(page[-1].key)
        assert seen == sorted((n % 3, n) for n in range(9))

    def test_I01_a_row_that_became_young_again_stays(self, world: StoreWorld, store: Store) -> None:
        """The predicate is repeated inside the change: a row touched after the cut survives."""
        world.insert("logs", [log(n) for n in range(1, 6)])
        planned = batch(store, of_tenant("acme", "logs", CUTOFF), "b1")
        world.change("logs", {"id": 3}, {"made": at(NEW)})
        assert (store.apply(planned).deleted, ids(world)) == (4, {3})

    def test_I01_a_row_that_moved_to_another_tenant_stays(self, world: StoreWorld, store: Store) -> None:
        """The scope is repeated inside the change, on the row and at the end of a path."""
        world.insert("tickets", [{"id": n, "firm": "acme", "title": "x"} for n in (1, 2)])
        world.insert("notes", [{"ticket": n, "number": 1, "body": "x"} for n in (1, 2)])
        planned = batch(store, of_tenant("acme", "notes"), "b1")
        world.change("tickets", {"id": 2}, {"firm": "borealis"})
        assert store.apply(planned).deleted == 1
        assert [row["ticket"] for row in world.rows("notes")] == [2]

    def test_I04_no_batch_exceeds_what_the_plan_has_left(self, world: StoreWorld, store: Store) -> None:
        """One row more than planned refuses the batch and rolls everything back, receipt included."""
        world.insert("logs", [log(n) for n in range(1, 6)])
        planned = batch(store, of_tenant("acme", "logs", CUTOFF), "b1", remaining=4)
        with pytest.raises(Refused) as refused:
            store.apply(planned)
        assert (refused.value.guard, len(ids(world)), store.receipt("b1")) == ("limit", 5, None)

    def test_I04_a_limit_of_0_deletes_0(self, world: StoreWorld, store: Store) -> None:
        """Nothing left means nothing deleted."""
        world.insert("logs", [log(1)])
        with pytest.raises(Refused):
            store.apply(batch(store, of_tenant("acme"), "b1", remaining=0))
        assert ids(world) == {1}

    def test_I05_empty_never_means_all(self, world: StoreWorld, store: Store) -> None:
        """No tenant, no bound, a whole table of tenants' rows: refused by every method that selects."""
        world.insert("logs", [log(1)])
        fine = batch(store, of_tenant("acme"), "b1")
        for bound in (
            of_tenant(""),
            Bound(Selection(dataset="logs", scope=TenantScope(tenant=w.ALIAS))),
            of_all("logs"),
        ):
            for use in (store.count, store.residue, lambda b: store.cut(b, None, 9), lambda b: store.find(b, None, 9)):
                with pytest.raises(Refused):
                    use(bound)
        wrong: tuple[dict[str, Any], ...] = ({"upto": None}, {"upto": []}, {"upto": {"by": "key", "pass": 1, "at": []}})
        for changes in wrong:
            with pytest.raises(Refused):
                store.apply(batch(store, of_tenant("acme"), "b1", **changes))
        assert (ids(world), fine.id) == ({1}, "b1")

    def test_I05_a_tenant_that_the_register_lost_is_not_deleted(self, world: StoreWorld, store: Store) -> None:
        """A tenant missing from the mirror is unattributed: nobody's to delete."""
        world.insert("logs", [log(1)])
        planned = batch(store, of_tenant("acme"), "b1")
        store.mirror_tenants([TenantRow("borealis", "standard")])
        with pytest.raises(Refused) as refused:
            store.apply(planned)
        assert (refused.value.guard, ids(world)) == ("unknown-tenant", {1})

    @pytest.mark.parametrize("tenant", ["acme", "Acme", "acmé", "acme\u0301", "0", "a'c;--"])
    def test_I06_tenants_are_told_apart_byte_by_byte(self, world: StoreWorld, store: Store, tenant: str) -> None:
        """Case, padding, Unicode form, quotes: a neighbour that looks alike is another tenant."""
        firms = [
            "acme",
            "Acme",
            "ACME",
            "acme ",
            " acme",
            "acmé",
            "acme\u0301",
            "ACMÉ",
            "acm",
            "acme1",
            "0",
            "00",
            "a'c;--",
        ]
        world.insert("logs", [log(n, firm) for n, firm in enumerate(firms)])
        store.mirror_tenants([TenantRow(firm, "g" if firm == tenant else "other") for firm in firms])
        own = firms.index(tenant)
        assert store.count(of_groups(["g"])).items == store.residue(of_groups(["g"])).items == 1
        assert store.residue(of_tenant(tenant)).items == 1
        assert sum(receipt.deleted for receipt in walk(store, of_tenant(tenant), 100)) == 1
        assert set(range(len(firms))) - ids(world) == {own}

    @pytest.mark.parametrize("dataset", [None, "logs"])
    def test_I07_held_rows_survive(self, world: StoreWorld, store: Store, dataset: str | None) -> None:
        """A hold keeps its tenant's rows, in all datasets or in its own; a count shows how many."""
        world.insert("logs", [log(1, "acme"), log(2, "borealis")])
        store.mirror_holds([HoldRow("h1", "acme", dataset), HoldRow("h2", "borealis", "tickets")])
        bound = of_groups(["standard"], "logs", CUTOFF)
        unheld = Bound(bound.selection.model_copy(update={"respect_holds": False}))
        assert (store.count(bound).items, store.count(unheld).items, store.residue(bound).items) == (1, 2, 1)
        assert sum(receipt.deleted for receipt in walk(store, bound, 9)) == 1
        assert ids(world) == {1}

    def test_I24_a_stale_mirror_hides_nothing_from_a_look_with_the_register(
        self, world: StoreWorld, store: Store
    ) -> None:
        """Rows of tenants that the mirror lacks or has in another group count; a released hold keeps nothing."""
        world.insert("logs", [log(1, "acme"), log(2, "delos"), log(3, "borealis"), log(4, "cetus"), log(5, "nobody")])
        store.mirror_holds([HoldRow("h1", "acme", None), HoldRow("h2", "borealis", "tickets")])
        world.insert("system_log", [{"id": 1, "made": at(OLD)}])
        now = [TenantRow(tenant, "standard") for tenant in ("acme", "borealis", "cetus", "delos")]
        bound = of_groups(["standard"], "logs", CUTOFF)
        seen = store.residue(bound, Register(now, [HoldRow("h3", "cetus", "logs")]))
        assert (store.residue(bound).items, seen.items, seen.oddities.unattributed) == (1, 3, 1)
        assert store.residue(of_all("system", CUTOFF), Register(now, [HoldRow("h3", "cetus", "system")])).items == 0
        with store.looking() as ask:
            assert ask(bound, Register(now, [HoldRow("h3", "cetus", "logs")])) == seen
            with pytest.raises(Refused):
                ask(of_all("logs"))
            world.insert("logs", [log(6, "acme")])
            again = ask(bound, Register(now, []), narrow=True)
            assert (again.items, again.oddities.unattributed) == (5, 0)
        mirrored = store.mirrored()
        assert set(mirrored.tenants) == set(w.TENANTS)
        assert set(mirrored.holds) == {HoldRow("h1", "acme", None), HoldRow("h2", "borealis", "tickets")}

    def test_I07_a_hold_that_came_after_the_cut_refuses_the_batch(self, world: StoreWorld, store: Store) -> None:
        """A batch made before a hold was written does not run after it."""
        world.insert("logs", [log(1)])
        planned = batch(store, of_tenant("acme"), "b1")
        store.mirror_holds([HoldRow("h1", "acme", None)])
        with pytest.raises(Refused) as refused:
            store.apply(planned)
        assert (refused.value.guard, ids(world)) == ("holds-changed", {1})

    def test_I07_a_hold_on_a_dataset_without_tenants_keeps_all_of_it(self, world: StoreWorld, store: Store) -> None:
        """Where rows cannot be told apart, a hold that names the dataset holds the whole."""
        world.insert("system_log", [{"id": 1, "made": at(OLD)}])
        assert store.count(of_all("system", CUTOFF)).items == 1
        store.mirror_holds([HoldRow("h1", "acme", "system")])
        assert store.count(of_all("system", CUTOFF)).items == store.residue(of_all("system", CUTOFF)).items == 0

    def test_I07_only_a_count_may_look_past_holds(self, world: StoreWorld, store: Store) -> None:
        """A selection without holds is refused wherever something could be changed by it."""
        world.insert("logs", [log(1)])
        bound = of_tenant("acme")
        unheld = Bound(bound.selection.model_copy(update={"respect_holds": False}), "acme")
        for use in (lambda b: store.cut(b, None, 9), store.residue):
            with pytest.raises(Refused):
                use(unheld)
        with pytest.raises(Refused):
            store.apply(replace(batch(store, bound, "b1"), bound=unheld))
        assert ids(world) == {1}

    def test_I09_undatable_rows_are_counted_and_stay(self, world: StoreWorld, store: Store) -> None:
        """Missing, ancient and future times satisfy no cutoff."""
        odd = [None, at(date(1970, 1, 1)), at(date(1900, 1, 1)), at(w.TODAY + timedelta(days=2))]
        world.insert("logs", [log(n) | {"made": made} for n, made in enumerate(odd)])
        world.insert("logs", [log(10)])
        bound = of_tenant("acme", "logs", before(w.TODAY))
        assert (store.count(bound).items, store.oddities("logs", bound).undatable) == (1, 4)
        seen = store.residue(bound)
        assert (seen.items, seen.oddities.undatable) == (1, 4)
        assert sum(receipt.deleted for receipt in walk(store, bound, 9)) == 1
        assert ids(world) == {0, 1, 2, 3}

    @pytest.mark.parametrize(
        ("made", "due"), [((9, 30, 21), True), ((9, 30, 22), False), ((1, 31, 22), True), ((1, 31, 23), False)]
    )
    def test_I14_a_day_is_the_local_one(self, world: StoreWorld, store: Store, made: Any, due: bool) -> None:
        """The cutoff's day ends at local midnight, in summer as in winter."""
        month, day, hour = made
        world.insert("logs", [log(1, made=at(date(2025, month, day), hour))])
        bound = of_tenant("acme", "logs", before(date(2025, month, day)))
        assert store.count(bound).items == store.residue(bound).items == int(due)

    def test_conditions_narrow(self, world: StoreWorld, store: Store) -> None:
        """Conditions are two-valued: NULL equals nothing, and `Not` of that is true."""
        world.insert("logs", [log(1, kind="login"), log(2, kind=None), log(3, kind="Login"), log(4, kind="other")])
        one = OneOf(column="kind", values=("login", "other"))
        found = [
            store.count(of_tenant("acme", only=(condition,))).items
            for condition in (one, Not(inner=one), IsNull(column="kind"), Not(inner=IsNull(column="kind")))
        ]
        assert found == [2, 2, 1, 3]
        assert store.residue(of_tenant("acme", only=(Not(inner=one),))).items == 2

    def test_I16_the_sealed_list_is_what_went(self, world: StoreWorld, store: Store) -> None:
        """A receipt's list opens with the key and its batch id only, and names each deleted row once."""
        world.insert("tickets", [{"id": n, "firm": "acme", "title": "x"} for n in range(3)])
        world.insert("notes", [{"ticket": n, "number": n * 7, "body": "x"} for n in range(3)])
        receipt = store.apply(batch(store, of_tenant("acme", "notes"), "b1"))
        assert receipt.sealed is not None
        assert sorted(world.open_keys(receipt.sealed, w.SEALING_KEY, "b1")) == [(0, 0), (1, 7), (2, 14)]
        assert (receipt.digest or "").startswith("hmac-sha256:")
        for key, name in ((w.SEALING_KEY, "b2"), (w.COMMITMENT_KEY, "b1")):
            with pytest.raises(SealBroken):
                world.open_keys(receipt.sealed, key, name)

    def test_counts_per_tenant_stay_in_memory(self, world: StoreWorld, store: Store) -> None:
        """`apply` says how many rows went for each tenant; a receipt that is read later does not."""
        world.insert("logs", [log(n, "acme" if n % 3 else "borealis") for n in range(9)])
        receipt = store.apply(batch(store, of_groups(["standard"]), "b1"))
        assert dict(receipt.by_tenant) == {"acme": 6, "borealis": 3}
        again = store.receipt("b1")
        assert again is not None
        assert (again.deleted, dict(again.by_tenant), again.digest) == (9, {}, receipt.digest)

    @pytest.mark.parametrize("place", BEFORE_COMMIT)
    def test_I16_nothing_of_a_batch_shows_before_all_of_it(self, world: StoreWorld, place: str) -> None:
        """A process that ends before COMMIT leaves everything as it was, and the batch can run again."""
        store = ready(world.store())
        world.insert("logs", [log(n) for n in range(3)])
        planned = batch(store, of_tenant("acme"), "b1")
        with pytest.raises(Stopped):
            world.store(stop_at(place)).apply(planned)
        assert (len(ids(world)), store.receipt("b1")) == (3, None)
        assert store.apply(planned).deleted == 3

    def test_I16_after_commit_everything_shows(self, world: StoreWorld) -> None:
        """A process that ends after COMMIT leaves a receipt that another one reads."""
        store = ready(world.store())
        world.insert("logs", [log(n) for n in range(3)])
        with pytest.raises(Stopped):
            world.store(stop_at("batch.committed")).apply(batch(store, of_tenant("acme"), "b1"))
        found = store.receipt("b1")
        assert found is not None
        assert (found.state, found.deleted, ids(world)) == ("done", 3, set())

    def test_failpoints_are_met_in_order(self, world: StoreWorld) -> None:
        """Each named place of a batch is met once, in the order of the line."""
        seen: list[str] = []

        def note(name: str) -> None:
            seen.append(name)

        store = ready(world.store(note))
        world.insert("logs", [log(1)])
        store.apply(batch(store, of_tenant("acme"), "b1"))
        assert tuple(seen) == self.met_in_order

    def test_I18_a_void_receipt_wins_for_ever(self, world: StoreWorld, store: Store) -> None:
        """A batch whose intent was closed can never take effect."""
        world.insert("logs", [log(1)])
        planned = batch(store, of_tenant("acme"), "b1")
        assert store.void("b1").state == "void"
        assert (store.apply(planned).state, ids(world)) == ("void", {1})

    def test_I18_a_committed_batch_wins_over_its_void(self, world: StoreWorld, store: Store) -> None:
        """Closing an intent that had committed returns its receipt."""
        world.insert("logs", [log(1)])
        store.apply(batch(store, of_tenant("acme"), "b1"))
        assert (store.void("b1").state, store.void("b1").deleted) == ("done", 1)

    def test_I19_a_batch_may_be_delivered_twice(self, world: StoreWorld, store: Store) -> None:
        """The second delivery changes nothing, even when new rows match, and returns the first one's receipt."""
        world.insert("logs", [log(1)])
        planned = batch(store, of_tenant("acme"), "b1")
        first = store.apply(planned)
        world.insert("logs", [log(1)])
        second = store.apply(planned)
        assert (second.state, second.deleted, second.digest, ids(world)) == ("done", 1, first.digest, {1})

    def test_I19_a_finished_walk_has_no_further_piece(self, world: StoreWorld, store: Store) -> None:
        """Running again finds nothing to cut and adds no receipt, though held and unknown rows are still there."""
        world.insert("logs", [log(1), log(2, "borealis"), log(3, "nobody"), log(4, None)])
        store.mirror_holds([HoldRow("h1", "borealis", None)])
        bound = of_groups(["standard"], "logs", CUTOFF)
        assert len(list(walk(store, bound, 2))) == 1
        assert store.cut(bound, None, 2) is None
        assert len(store.receipts(None, 9)) == 1

    @pytest.mark.parametrize("epoch", [0, 4, 6])
    def test_I20_another_epoch_deletes_nothing(self, world: StoreWorld, epoch: int) -> None:
        """Only the leader whose epoch the fence shows may write."""
        store = ready(world.store(), epoch=5)
        world.insert("logs", [log(1)])
        with pytest.raises(Refused) as refused:
            store.apply(batch(store, of_tenant("acme"), "b1", epoch=epoch))
        assert (refused.value.guard, ids(world)) == ("stale-epoch", {1})

    def test_I28_a_stopped_target_takes_no_batch(self, world: StoreWorld, store: Store) -> None:
        """The stop bit refuses until it is lifted."""
        world.insert("logs", [log(1)])
        planned = batch(store, of_tenant("acme"), "b1")
        store.set_stop(stopped=True)
        with pytest.raises(Refused) as refused:
            store.apply(planned)
        assert (refused.value.guard, store.fence().stopped, ids(world)) == ("stopped", True, {1})
        store.set_stop(stopped=False)
        assert store.apply(planned).deleted == 1

    def test_another_deployments_batch_is_refused(self, world: StoreWorld, store: Store) -> None:
        """A batch names its deployment, and the fence agrees or refuses."""
        world.insert("logs", [log(1)])
        with pytest.raises(Refused) as refused:
            store.apply(batch(store, of_tenant("acme"), "b1", deployment="another"))
        assert (refused.value.guard, ids(world)) == ("deployment", {1})

    def test_receipts_wait_for_their_checkpoint(self, world: StoreWorld, store: Store) -> None:
        """Receipts are listed until a checkpoint covers them; the fence remembers the checkpoint."""
        world.insert("logs", [log(n) for n in range(5)])
        made = [receipt.batch for receipt in walk(store, of_tenant("acme"), 2)]
        assert [receipt.batch for receipt in store.receipts(None, 2)] == made[:2]
        assert [receipt.batch for receipt in store.receipts(made[1], 9)] == made[2:]
        store.acknowledge(made[:2], "checkpoint-1")
        assert [receipt.batch for receipt in store.receipts(None, 9)] == made[2:]
        assert store.fence().checkpoint == "checkpoint-1"
        assert store.receipt(made[0]) is not None

    def test_unattributed_and_null_tenants_are_nobodys(self, world: StoreWorld, store: Store) -> None:
        """Rows of unknown tenants and of none are counted, by both looks, and never selected."""
        world.insert("logs", [log(1), log(2, "nobody"), log(3, None), log(4, "")])
        bound = of_groups(["standard", "short"])
        odd = store.oddities("logs", bound)
        assert (store.count(bound).items, odd.unattributed, odd.null_tenant, odd.contested) == (1, 2, 1, 0)
        assert store.residue(bound).oddities == odd

    def test_I21_rows_of_nobody_may_be_the_leavers(self, world: StoreWorld, store: Store) -> None:
        """One tenant's scope counts them as its group's does, by both looks: no certificate over them is final."""
        world.insert("logs", [log(1), log(2, "nobody"), log(3, "borealis")])
        bound = of_tenant("acme")
        odd = store.oddities("logs", bound)
        assert (store.count(bound).items, odd.unattributed) == (1, 1)
        assert store.residue(bound).oddities == odd
        with store.looking() as ask:
            assert ask(bound, narrow=True).oddities.unattributed == 0

    def test_rows_belong_to_tenants_by_path(self, world: StoreWorld, store: Store) -> None:
        """A note belongs to its ticket's firm; a note without a ticket is an orphan, not anybody's."""
        world.insert("tickets", [{"id": 1, "firm": "acme", "title": "x"}, {"id": 2, "firm": "borealis", "title": "x"}])
        world.insert("notes", [{"ticket": n, "number": 1, "body": "x"} for n in (1, 2, 99)])
        assert store.count(of_tenant("acme", "notes")).items == store.residue(of_tenant("acme", "notes")).items == 1
        assert store.residue(of_tenant("acme", "notes")).orphans == 1
        assert store.residue(of_tenant("acme", "tickets")).orphans == 1
        receipt = store.apply(batch(store, of_groups(["standard"], "notes"), "b1"))
        assert (receipt.deleted, dict(receipt.by_tenant)) == (2, {"acme": 1, "borealis": 1})
        assert [row["ticket"] for row in world.rows("notes")] == [99]

    def test_a_parent_stays_while_a_child_needs_it(self, world: StoreWorld, store: Store) -> None:
        """`unreferenced_by` keeps what remaining rows of another dataset reference."""
        world.insert("tickets", [{"id": n, "firm": "acme", "title": "x"} for n in (1, 2)])
        world.insert("notes", [{"ticket": 1, "number": 1, "body": "x"}])
        bound = of_tenant("acme", "tickets")
        free = Bound(bound.selection.model_copy(update={"unreferenced_by": ("notes",)}), "acme")
        assert (store.count(bound).items, store.count(free).items, store.residue(free).items) == (2, 1, 1)
        assert sum(receipt.deleted for receipt in walk(store, free, 9)) == 1
        assert ids(world, "tickets") == {1}

    def test_children_come_before_their_parents(self, store: Store) -> None:
        """Levels put what hangs on a path before what it hangs on."""
        levels = store.levels(["tickets", "logs", "notes"])
        placed = {name: number for number, level in enumerate(levels) for name in level}
        assert placed["notes"] < placed["tickets"]
        assert set(placed) == {"tickets", "logs", "notes"}

    def test_I31_an_export_is_the_tenants_rows(self, world: StoreWorld, store: Store) -> None:
        """Rows of the scope, held ones too, with the tenant of each row for the check."""
        world.insert(
            "tickets", [{"id": n, "firm": "acme" if n < 3 else "borealis", "title": f"t{n}"} for n in range(5)]
        )
        store.mirror_holds([HoldRow("h1", "acme", None)])
        with store.export("tickets", of_tenant("acme", "tickets")) as export:
            rows = [tuple(row) for row in export.rows]
            assert export.columns[:2] == ("id", "title")
            assert export.tenant_index is not None
            assert {row[export.tenant_index] for row in rows} == {"acme"}
        assert [row[:2] for row in rows] == [(0, "t0"), (1, "t1"), (2, "t2")]

    def test_residue_sees_what_was_left(self, world: StoreWorld, store: Store) -> None:
        """After the walk nothing is left; a row that turns up later is seen."""
        world.insert("logs", [log(n) for n in range(5)])
        bound = of_tenant("acme", "logs", CUTOFF)
        list(walk(store, bound, 2))
        assert store.residue(bound).items == 0
        world.insert("logs", [log(9)])
        left = store.residue(bound)
        assert (left.items, left.oldest) == (1, OLD)

    def test_schema_hashes_and_findings(self, store: Store) -> None:
        """The world's tables are sound, and their hash is the same each time."""
        names = [dataset.id for dataset in w.DATASETS]
        assert store.used_schema(names) == store.used_schema(names[::-1])
        assert store.used_schema(names) != store.used_schema(names[:1])
        assert [finding for finding in store.inspect(names) if finding.fatal] == []
        assert {table.name for table in store.catalogue().tables} == self.tables

    def test_a_row_is_looked_up_by_its_key_within_its_scope(self, world: StoreWorld, store: Store) -> None:
        """Its start days and nothing else; an undatable one has none; another tenant's row is not there."""
        world.insert("logs", [log(1), log(2, made=at(TODAY + timedelta(days=9)), day=None), log(3, "borealis")])
        store.mirror_holds([HoldRow("h-1", "acme", None)])
        keys = [str(found.key[-1]) for found in store.find(of_groups(["standard"]), None, 9)]
        assert keys == ["3"]
        found = [store.starts(of_tenant("acme"), [key], w.ZONE, TODAY) for key in ("1", "2", "3", "4")]
        assert [one and dict(one.days) for one in found] == [
            {"made": OLD, "day": OLD},
            {"made": None, "day": None},
            None,
            None,
        ]
        with pytest.raises(Refused) as refused:
            store.starts(of_tenant("acme"), ["1", "2"], w.ZONE, TODAY)
        assert refused.value.guard == "bounds"

    def test_a_long_look_and_its_signals_change_nothing(self, world: StoreWorld, store: Store) -> None:
        """Doctor's look over sound tables finds nothing in the way; samples give counts; nobody throttles."""
        world.insert("logs", [log(n, kind=f"mail{n}@example.com") for n in range(5)])
        names = [dataset.id for dataset in w.DATASETS]
        before_ = world.rows("logs")
        assert [finding for finding in store.examine(names).findings if finding.fatal] == []
        there = [table for table in store.catalogue().tables if any(c.name == "kind" for c in table.columns)]
        seen = [one for one in store.likeness([(table.schema, table.name) for table in there]) if one.sampled]
        assert [(one.sampled, one.emails) for one in seen if one.column == "kind"] == [(5, 5)]
        assert sum(one.emails for one in seen) == 5
        store.pressure(names)
        assert store.held_back() is None
        assert world.rows("logs") == before_

    def test_an_unknown_dataset_is_refused(self, store: Store) -> None:
        """Only declared datasets can be named."""
        with pytest.raises(Refused) as refused:
            store.count(of_tenant("acme", "nothing"))
        assert refused.value.guard == "dataset"

    def test_I23_nothing_personal_is_shown(self, world: StoreWorld, store: Store) -> None:
        """Neither a batch nor a receipt nor a refusal shows a tenant's id, a key or a secret."""
        world.insert("logs", [log(4711, "acme")])
        planned = batch(store, of_tenant("acme"), "b1", remaining=0)
        with pytest.raises(Refused) as refused:
            store.apply(planned)
        receipt = store.apply(batch(store, of_tenant("acme"), "b1"))
        shown = repr(planned.bound) + repr(receipt) + str(refused.value)
        assert "acme" not in shown
        assert repr(w.SEALING_KEY) not in repr(planned)

    def test_closing_twice_is_safe(self, store: Store) -> None:
        """A closed store may be closed again."""
        store.close()
        store.close()
        assert isinstance(w.LOGS, Dataset)


OF_ROWS = (
    "test_pages_follow_each_other",
    "test_I01_a_row_that_moved_to_another_tenant_stays",
    "test_conditions_narrow",
    "test_I16_the_sealed_list_is_what_went",
    "test_unattributed_and_null_tenants_are_nobodys",
    "test_rows_belong_to_tenants_by_path",
    "test_a_parent_stays_while_a_child_needs_it",
    "test_children_come_before_their_parents",
    "test_I31_an_export_is_the_tenants_rows",
    "test_the_mirror_equals_the_register",
    "test_a_row_is_looked_up_by_its_key_within_its_scope",
    "test_a_long_look_and_its_signals_change_nothing",
)
"""Promises about columns, keys of several of them, paths and references: items with names have others."""


class ItemContract(StoreContract):
    """The same promises, for stores of files or objects: items with a name, below their tenant's prefix.

    The world takes the same rows; `rows` gives them back by the items that are there, `open_keys` gives `(id,)`.
    """

    def test_pages_follow_each_other_by_name(self, world: StoreWorld, store: Store) -> None:
        """`find` pages by name: no item twice, none left out, in the order of the walk."""
        world.insert("logs", [log(n, "acme" if n % 2 else "borealis") for n in range(9)])
        bound, seen = of_groups(["standard"]), list[tuple[Json, ...]]()
        after: Json = None
        while page := store.find(bound, after, 4):
            seen += [found.key for found in page]
            after = list(page[-1].key)
        assert len(set(seen)) == len(seen) == 9
        assert [found.key for found in store.find(bound, None, 99)] == seen

    def test_I16_the_sealed_list_is_what_went_by_name(self, world: StoreWorld, store: Store) -> None:
        """A receipt's list opens with the key and its batch id only, and names each deleted item once."""
        world.insert("logs", [log(n) for n in range(3)])
        receipt = store.apply(batch(store, of_tenant("acme"), "b1"))
        assert receipt.sealed is not None
        assert sorted(world.open_keys(receipt.sealed, w.SEALING_KEY, "b1")) == [(0,), (1,), (2,)]
        assert dict(store.breakdown(receipt, w.SEALING_KEY)) == {"acme": 3}
        for key, name in ((w.SEALING_KEY, "b2"), (w.COMMITMENT_KEY, "b1")):
            with pytest.raises(SealBroken):
                world.open_keys(receipt.sealed, key, name)

    def test_nothing_that_is_not_listed_is_touched(self, world: StoreWorld, store: Store) -> None:
        """Items that came within the bounds after the cut wait for their turn; a batch without a list is none."""
        world.insert("logs", [log(1), log(9)])
        planned = batch(store, of_tenant("acme"), "b1")
        world.insert("logs", [log(5)])
        assert (store.apply(planned).deleted, ids(world)) == (2, {5})
        with pytest.raises(Refused) as refused:
            store.apply(replace(batch(store, of_tenant("acme"), "b2"), listed=None))
        assert (refused.value.guard, ids(world)) == ("bounds", {5})

    def test_I18_every_listed_item_is_accounted_for(self, world: StoreWorld, store: Store) -> None:
        """An item that changed and one that vanished since the cut are kept, each for its reason."""
        world.insert("logs", [log(n) for n in range(1, 6)])
        planned = batch(store, of_tenant("acme", "logs", CUTOFF), "b1")
        world.change("logs", {"id": 2}, {"made": at(NEW)})
        world.change("logs", {"id": 4}, {"firm": "borealis"})
        receipt = store.apply(planned)
        assert receipt.deleted + sum(receipt.kept.values()) == 5
        assert (dict(receipt.kept), ids(world)) == ({"changed": 1, "vanished": 1}, {2, 4})

    def test_unknown_and_missing_prefixes_are_nobodys(self, world: StoreWorld, store: Store) -> None:
        """Items of unknown tenants and of none are counted, by both looks, and never selected."""
        world.insert("logs", [log(1), log(2, "nobody"), log(3, None)])
        bound = of_groups(["standard", "short"])
        odd = store.oddities("logs", bound)
        assert (store.count(bound).items, odd.unattributed, odd.null_tenant, odd.contested) == (1, 1, 1, 0)
        assert store.residue(bound).oddities == odd

    def test_the_mirror_equals_the_register_for_items(self, world: StoreWorld, store: Store) -> None:
        """Tenants that moved, went or came are so in the mirror at once."""
        world.insert("logs", [log(1, "acme"), log(2, "borealis"), log(3, "delos")])
        store.mirror_tenants([TenantRow("acme", "short"), TenantRow("delos", "standard")])
        assert store.count(of_groups(["short"])).items == store.count(of_groups(["standard"])).items == 1
        assert store.oddities("logs", of_groups(["standard"])).unattributed == 1

    def test_an_item_is_looked_up_by_its_name_within_its_scope(self, world: StoreWorld, store: Store) -> None:
        """Its start days and nothing else; another tenant's item is not there; nobody throttles."""
        world.insert("logs", [log(1), log(2, made=at(TODAY + timedelta(days=9))), log(3, "borealis")])
        store.mirror_holds([HoldRow("h-1", "acme", None)])
        unheld = Bound(of_groups(["standard"]).selection.model_copy(update={"respect_holds": False}))
        keys = sorted(str(found.key[0]) for found in store.find(unheld, None, 9))
        found = [store.starts(of_tenant("acme"), [key], w.ZONE, TODAY) for key in (*keys, "acme/none")]
        assert [one and one.days["made"] for one in found] == [OLD, None, None, None]
        assert [one is None for one in found] == [False, False, True, True]
        with pytest.raises(Refused) as refused:
            store.starts(of_tenant("acme"), ["1", "2"], w.ZONE, TODAY)
        assert refused.value.guard == "bounds"
        names = [dataset.id for dataset in w.DATASETS]
        assert [finding for finding in store.examine(names).findings if finding.fatal] == []
        store.pressure(names)
        assert store.held_back() is None

    def test_I31_an_export_has_the_tenants_contents(self, world: StoreWorld, store: Store) -> None:
        """Items of the scope, held ones too, each with its content and its tenant for the check."""
        world.insert(
            "tickets", [{"id": n, "firm": "acme" if n < 3 else "borealis", "title": f"t{n}"} for n in range(5)]
        )
        store.mirror_holds([HoldRow("h1", "acme", None)])
        with store.export("tickets", of_tenant("acme", "tickets")) as export:
            assert export.contents is not None
            assert export.tenant_index is not None
            read: list[bytes] = []
            for row in export.rows:
                cell = row[export.contents]
                assert isinstance(cell, Content)
                assert row[export.tenant_index] == "acme"
                with cell.opened() as stream:
                    read.append(stream.read())
        assert sorted(read) == [b"t0", b"t1", b"t2"]


for _name in OF_ROWS:
    # Not collected: what stands for each is above.
    setattr(ItemContract, _name, None)
