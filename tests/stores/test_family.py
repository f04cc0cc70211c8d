"""A family, by table or by schema, keeps the promises of the seam: one dataset, as many tables as tenants."""

from dataclasses import replace

import pytest
from sqlalchemy import event

from lifecycle.core.errors import Refused
from lifecycle.ports.store import HoldRow, TenantRow
from lifecycle.stores.sql.keys import open_member
from lifecycle.testing import store_world as w
from lifecycle.testing.store_contract import CUTOFF, StoreContract, ids, log
from lifecycle.testing.store_world import batch, of_groups, of_tenant, walk
from tests.stores.family_worlds import MariadbFamily, PostgresqlFamily, SqliteFamily, by_schema


class FamilyContract(StoreContract):
    """The same promises; where a family has another way to keep one, the test says which."""

    def test_the_mirror_equals_the_register(self, world, store):
        """Tenants that moved, went or came are so at once; a key begins with the member it lies in."""
        world.insert("logs", [log(1, "acme"), log(2, "borealis"), log(3, "delos")])
        store.mirror_tenants([TenantRow("acme", "short"), TenantRow("delos", "standard")])
        assert [tuple(map(str, found.key)) for found in store.find(of_groups(["short"]), None, 9)] == [("acme", "1")]
        assert store.oddities("logs", of_groups(["standard"])).unattributed == 1

    def test_pages_follow_each_other(self, world, store):
        """`find` pages by member and key: no item twice, none left out."""
        world.insert("tickets", [{"id": n, "firm": "acme" if n else "borealis", "title": "x"} for n in range(3)])
        world.insert("notes", [{"ticket": n % 3, "number": n, "body": "x"} for n in range(9)])
        seen, after = [], None
        while page := store.find(of_groups(["standard"], "notes"), after, 4):
            seen += [(found.key[0], *(int(str(part)) for part in found.key[1:])) for found in page]
            after = list(page[-1].key)
        assert seen == sorted(("acme" if n % 3 else "borealis", n % 3, n) for n in range(9))

    def test_counts_per_tenant_stay_in_memory(self, world, store):
        """A batch touches one member, and says whose; a receipt that is read later does not."""
        world.insert("logs", [log(n, "acme" if n % 3 else "borealis") for n in range(9)])
        receipts = list(walk(store, of_groups(["standard"]), 100))
        assert [dict(receipt.by_tenant) for receipt in receipts] == [{"acme": 6}, {"borealis": 3}]
        again = store.receipt(receipts[0].batch)
        assert (again.deleted, dict(again.by_tenant), again.digest) == (6, {}, receipts[0].digest)
        assert dict(store.breakdown(again, w.SEALING_KEY)) == {"acme": 6}

    def test_I19_a_finished_walk_has_no_further_piece(self, world, store):
        """Running again finds nothing to cut and adds no receipt, though held and unknown rows are still there."""
        world.insert("logs", [log(1), log(2, "borealis"), log(3, "nobody")])
        store.mirror_holds([HoldRow("h1", "borealis", None)])
        bound = of_groups(["standard"], "logs", CUTOFF)
        assert len(list(walk(store, bound, 2))) == 1
        assert store.cut(bound, None, 2) is None
        assert len(store.receipts(None, 9)) == 1

    def test_unattributed_and_null_tenants_are_nobodys(self, world, store):
        """Rows in tables of unknown tenants are counted, by both looks, and never selected."""
        world.insert("logs", [log(1), log(2, "nobody"), log(3, "ACME2")])
        bound = of_groups(["standard", "short"])
        odd = store.oddities("logs", bound)
        assert (store.count(bound).items, odd.unattributed, odd.null_tenant, odd.contested) == (1, 2, 0, 0)
        assert store.residue(bound).oddities == odd

    def test_rows_belong_to_tenants_by_path(self, world, store):
        """A note belongs to the tenant whose table it lies in; no path can break."""
        world.insert("tickets", [{"id": 1, "firm": "acme", "title": "x"}, {"id": 2, "firm": "borealis", "title": "x"}])
        world.insert("notes", [{"ticket": n, "number": 1, "body": "x"} for n in (1, 2)])
        assert store.count(of_tenant("acme", "notes")).items == store.residue(of_tenant("acme", "notes")).items == 1
        assert store.residue(of_tenant("acme", "tickets")).orphans == 0
        receipts = list(walk(store, of_groups(["standard"], "notes"), 9))
        assert [dict(receipt.by_tenant) for receipt in receipts] == [{"acme": 1}, {"borealis": 1}]
        assert world.rows("notes") == []

    def test_schema_hashes_and_findings(self, world, store):
        """The hash covers the shape: a new tenant's tables change nothing in it, and nothing is wrong with them."""
        names = [dataset.id for dataset in w.DATASETS]
        before = store.used_schema(names)
        assert before == store.used_schema(names[::-1]) != store.used_schema(names[:1])
        world.firm("delos")
        assert store.used_schema(names) == before
        assert [finding for finding in store.inspect(names) if finding.fatal] == []
        assert store.count(of_tenant("delos")).items == 0

    # ---- what only families have ----

    def test_I16_the_sealed_list_names_the_member(self, world, store):
        """Which of the many tables a batch changed stands in its sealed list."""
        world.insert("logs", [log(1)])
        receipt = store.apply(batch(store, of_groups(["standard"]), "b1"))
        schema, table = open_member(receipt.sealed, w.SEALING_KEY, "b1")
        assert table == ("logs_acme" if world.by == "table" else "logs")
        assert world.by == "table" or schema == "firm acme"

    def test_a_member_of_another_shape_is_a_finding_and_is_not_touched(self, world, store):
        """The others go on; its rows are nobody's, its tenant's own selection is refused by name."""
        world.insert("logs", [log(1), log(2, "borealis"), log(3, "cetus")])
        world.run(f"ALTER TABLE {world.named('logs', 'borealis')} ADD COLUMN extra {world.types['text']}")
        store = world.store()
        bound = of_groups(["standard", "short"], "logs", CUTOFF)
        odd = store.oddities("logs", bound)
        assert (odd.unattributed, store.residue(bound).oddities) == (1, odd)
        assert [found.fatal for found in store.inspect(["logs"]) if found.code == "family-shape"] == [False]
        assert not [found for found in store.inspect(["logs"]) if found.fatal]
        assert sum(receipt.deleted for receipt in walk(store, bound, 9)) == 2
        assert ids(world) == {2}
        for ask in (store.count, store.residue, lambda b: store.cut(b, None, 9)):
            with pytest.raises(Refused) as refused:
                ask(of_tenant("borealis"))
            assert refused.value.guard == "family-shape"
        assert store.population("logs") == 1

    def test_another_shape_of_most_members_ends_what_was_planned(self, world, store):
        """When most members change, the family's shape has changed: the hash is another."""
        before = store.used_schema(["logs"])
        for firm in ("acme", "borealis"):
            world.run(f"ALTER TABLE {world.named('logs', firm)} ADD COLUMN extra {world.types['text']}")
        assert store.used_schema(["logs"]) != before

    def test_where_no_shape_prevails_nothing_is_planned(self, world, store):
        """Two shapes, as frequent: nobody can tell which one was meant, unless `columns` says."""
        world.firm("delos")
        for firm in ("acme", "borealis"):
            world.run(f"ALTER TABLE {world.named('logs', firm)} ADD COLUMN extra {world.types['text']}")
            world.run(f"ALTER TABLE {world.named('tickets', firm)} ADD COLUMN extra {world.types['text']}")
        store = world.store()
        fatal = {(found.code, found.dataset) for found in store.inspect(["logs", "tickets"]) if found.fatal}
        assert ("family-shape", "logs") in fatal
        # The tickets' columns are declared: those with exactly these are the family.
        assert not {code for code, dataset in fatal if dataset == "tickets"}
        assert store.count(of_tenant("cetus", "tickets")).items == 0

    def test_I06_a_table_that_references_another_tenants_is_none_of_ours(self, world, store):
        """A foreign key from one tenant's table into another's makes both strange: neither is touched."""
        world.insert("tickets", [{"id": n, "firm": f, "title": "x"} for n, f in enumerate(("acme", "borealis"))])
        world.firm("delos")
        world.firm("eolus")
        parent = world.named("tickets", "acme")
        name = world.named("notes", "borealis")
        world.run(f"DROP TABLE {name}")
        number, text = world.types["integer"], world.types["text"]
        columns = f"ticket {number} REFERENCES {parent} (id), number {number}, body {text}"
        world.run(f"CREATE TABLE {name} ({columns}, PRIMARY KEY (ticket, number))")
        store = world.store()
        for tenant, dataset in (("acme", "tickets"), ("borealis", "notes")):
            with pytest.raises(Refused):
                store.count(of_tenant(tenant, dataset))
        bound = of_groups(["standard"], "tickets")
        assert store.oddities("tickets", bound) == store.residue(bound).oddities
        assert store.count(bound).items == store.residue(bound).items == 1

    def test_I06_a_piece_is_one_members(self, world, store):
        """Bounds of another member, or of two, change nothing."""
        world.insert("logs", [log(1), log(2, "borealis")])
        mine = batch(store, of_tenant("acme"), "b1")
        other = batch(store, of_tenant("borealis"), "b2")
        for changes in ({"upto": other.upto}, {"after": other.upto}, {"upto": {"member": "", "at": None}}):
            with pytest.raises(Refused) as refused:
                store.apply(replace(mine, **changes))
            assert refused.value.guard == "bounds"
        assert ids(world) == {1, 2}

    def test_I07_a_hold_keeps_the_member(self, world, store):
        """A hold on the tenant, or on its dataset, keeps the whole table; one on another dataset does not."""
        world.insert("logs", [log(1), log(2, "borealis"), log(3, "cetus")])
        store.mirror_holds(
            [HoldRow("h1", "acme", None), HoldRow("h2", "borealis", "logs"), HoldRow("h3", "cetus", "notes")]
        )
        bound = of_groups(["standard", "short"], "logs", CUTOFF)
        assert store.count(bound).items == store.residue(bound).items == 1
        assert sum(receipt.deleted for receipt in walk(store, bound, 9)) == 1
        assert ids(world) == {1, 2}

    def test_hundreds_of_members_are_counted_in_a_handful_of_statements(self, world, store):
        """Counting, looking for oddities and cutting ask many tables at once."""
        firms = [f"f{n:03d}" for n in range(250)]
        for firm in firms:
            world.firm(firm)
        world.insert("logs", [log(n, firm) for n, firm in enumerate(firms)])
        store.mirror_tenants([TenantRow(firm, "standard") for firm in firms])
        store = world.store()
        bound = of_groups(["standard"], "logs", CUTOFF)
        store.count(bound)
        asked = count_statements(store)
        assert store.count(bound).items == 250
        assert store.oddities("logs", bound).undatable == 0
        assert len(asked) <= 12
        assert store.residue(bound).items == store.population("logs") == 250


def count_statements(store):
    """Count the statements that the store sends from now on."""
    seen = []
    event.listen(store._engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    return seen


class TestFamilyByTableOnSqlite(FamilyContract):
    @pytest.fixture
    def world(self, sqlite_path):
        made = SqliteFamily(sqlite_path)
        yield made
        made.close()

    @pytest.mark.parametrize("tenant", ["acme", "acmé", "acme\u0301", "0", "a'c;--", "acme "])
    def test_I06_tenants_are_told_apart_byte_by_byte(self, world, store, tenant):
        """SQLite folds the case of names: tables that differ only in it cannot stand beside each other."""
        firms = ["acme", "acme ", " acme", "acmé", "acme\u0301", "acm", "acme1", "0", "00", "a'c;--"]
        world.insert("logs", [log(n, firm) for n, firm in enumerate(firms)])
        store.mirror_tenants([TenantRow(firm, "g" if firm == tenant else "other") for firm in firms])
        assert store.count(of_groups(["g"])).items == store.residue(of_groups(["g"])).items == 1
        assert store.residue(of_tenant(tenant)).items == 1
        assert store.count(of_tenant(tenant.upper() if tenant.islower() else "x")).items == 0
        assert sum(receipt.deleted for receipt in walk(store, of_tenant(tenant), 100)) == 1
        assert set(range(len(firms))) - ids(world) == {firms.index(tenant)}


class TestFamilyByTableOnPostgresql(FamilyContract):
    @pytest.fixture
    def world(self, postgres_url):
        made = PostgresqlFamily(postgres_url)
        yield made
        made.close()


class TestFamilyBySchemaOnPostgresql(FamilyContract):
    @pytest.fixture
    def world(self, postgres_url):
        made = PostgresqlFamily(postgres_url, family=by_schema)
        yield made
        made.close()


class TestFamilyByTableOnMariadb(FamilyContract):
    @pytest.fixture
    def world(self, mariadb_url):
        made = MariadbFamily(mariadb_url)
        yield made
        made.close()

    @pytest.mark.parametrize("tenant", ["acme", "Acme", "ACME", "acmé", "acme\u0301", "0", "a'c;--"])
    def test_I06_tenants_are_told_apart_byte_by_byte(self, world, store, tenant):
        """MariaDB takes no blank at a name's end; everything else tells two tables apart here."""
        firms = ["acme", "Acme", "ACME", " acme", "acmé", "acme\u0301", "acm", "acme1", "0", "00", "a'c;--"]
        world.insert("logs", [log(n, firm) for n, firm in enumerate(firms)])
        store.mirror_tenants([TenantRow(firm, "g" if firm == tenant else "other") for firm in firms])
        assert store.count(of_groups(["g"])).items == store.residue(of_groups(["g"])).items == 1
        assert store.residue(of_tenant(tenant)).items == 1
        assert store.count(of_tenant("x")).items == store.residue(of_tenant("x")).items == 0
        assert sum(receipt.deleted for receipt in walk(store, of_tenant(tenant), 100)) == 1
        assert set(range(len(firms))) - ids(world) == {firms.index(tenant)}
