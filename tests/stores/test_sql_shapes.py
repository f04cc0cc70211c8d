# ruff: noqa: E501 - tables of cases are read as tables
"""Shapes that real systems have, in SQLite, PostgreSQL and MariaDB: trees, cycles, cascades, triggers, missing keys."""

from __future__ import annotations

import ast
import re
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Cascade, Dataset, Hop, Tenancy, TimeColumn, Trigger
from lifecycle.core.plan import Detach
from lifecycle.core.selection import OneOf
from lifecycle.ports.store import HoldRow
from lifecycle.testing import store_world as w
from lifecycle.testing.store_world import batch, before, of_tenant, ready, walk
from tests.stores.worlds import MariadbWorld, PostgresqlWorld, SqliteWorld

TABLES = [
    "CREATE TABLE firm (id {text} PRIMARY KEY)",
    "CREATE TABLE node (id {integer} PRIMARY KEY, firm {text}, parent {integer} REFERENCES node (id))",
    "CREATE INDEX node_parent ON node (parent)",
    "CREATE TABLE post (id {integer} PRIMARY KEY, firm {text}, made {time}, best {integer})",
    "CREATE TABLE answer (id {integer} PRIMARY KEY, firm {text}, post {integer} REFERENCES post (id) ON DELETE CASCADE)",
    "CREATE INDEX answer_post ON answer (post)",
    "CREATE TABLE likes (id {integer} PRIMARY KEY, firm {text}, post {integer} REFERENCES post (id) ON DELETE SET NULL)",
    "CREATE TABLE loose (firm {text}, made {integer})",
    "CREATE TABLE left_side (id {integer} PRIMARY KEY, firm {text}, other {integer})",
    "CREATE TABLE right_side (id {integer} PRIMARY KEY, firm {text}, other {integer} REFERENCES left_side (id))",
    "CREATE VIEW shown AS SELECT id, firm FROM post",
]


def dataset(name, table=None, **values):
    values = {"key": ("id",), "tenant": Tenancy(by="column", column="firm"), "category": "x", **values}
    return Dataset(id=name, store=w.STORE, table=table or name, **values)


POST_TIME = {"made": TimeColumn(column="made", encoding="utc")}
NODE = dataset("node")
LOOSENED = dataset("loosened", "node", detach=("parent",))
POST = dataset("post", times=POST_TIME)
DECLARED = dataset(
    "declared",
    "post",
    times=POST_TIME,
    cascades=(
        Cascade(dataset="answer", column="post", effect="delete"),
        Cascade(dataset="likes", column="post", effect="set-null"),
    ),
)
DATASETS = (
    NODE,
    LOOSENED,
    POST,
    DECLARED,
    dataset("answer"),
    dataset("likes"),
    dataset("loose", key=("firm",), times={"made": TimeColumn(column="made", encoding="iso-text")}),
    dataset("left", "left_side", detach=("other",)),
    dataset("right", "right_side"),
    dataset("shown"),
    dataset("gone", "nowhere"),
    dataset("short", "post", times={"made": TimeColumn(column="created", encoding="utc")}),
    dataset(
        "far", "node", tenant=Tenancy(by="path", column="firm", path=(Hop(column="parent", table="post", key="best"),))
    ),
)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def world(request):
    types = {
        "sqlite": {"integer": "INTEGER", "text": "TEXT", "time": "TEXT"},
        "postgresql": {"integer": "bigint", "text": "text", "time": "timestamp"},
        "mariadb": {"integer": "bigint", "text": "varchar(190)", "time": "datetime"},
    }[request.param]
    tables = [statement.format(**types) for statement in TABLES]
    if request.param == "sqlite":
        made = SqliteWorld(request.getfixturevalue("sqlite_path"), DATASETS, tables)
        made.run("PRAGMA foreign_keys=ON")
    else:
        tables.append("ALTER TABLE left_side ADD FOREIGN KEY (other) REFERENCES right_side (id)")
        if request.param == "postgresql":
            made = PostgresqlWorld(request.getfixturevalue("postgres_url"), DATASETS, tables)
        else:
            made = MariadbWorld(request.getfixturevalue("mariadb_url"), DATASETS, tables)
    yield made
    made.close()


@pytest.fixture
def store(world):
    return ready(world.store())


def codes(store, name, *, fatal=True):
    return {finding.code for finding in store.inspect([name]) if finding.fatal or not fatal}


def test_a_tree_goes_from_its_leaves(world, store):
    """Rows that reference each other go in layers, whatever the order of their keys; a foreign leaf keeps its branch."""
    tree = {1: None, 2: 1, 3: 2, 4: 3, 9: None, 8: 9, 7: 8, 20: None, 21: 20}
    world.insert("node", [{"id": number, "firm": "acme", "parent": parent} for number, parent in tree.items()])
    world.insert("node", [{"id": 22, "firm": "borealis", "parent": 21}])
    deleted = [receipt.deleted for receipt in walk(store, of_tenant("acme", "node"), 2)]
    assert sum(deleted) == 7
    assert max(deleted) <= 2
    assert {row["id"] for row in world.rows("node")} == {20, 21, 22}


def test_a_row_that_references_itself_goes(world, store):
    """A row may be its own parent."""
    world.insert("node", [{"id": 1, "firm": "acme", "parent": 1}])
    if isinstance(world, MariadbWorld):
        # InnoDB deletes no such row; where the column is declared under `detach`, it lets go first.
        with pytest.raises(Refused) as refused:
            list(walk(store, of_tenant("acme", "node"), 9))
        assert (refused.value.guard, len(world.rows("node"))) == ("constraint", 1)
        loosened = batch(store, of_tenant("acme", "loosened"), "b0", action=Detach(columns=("parent",)))
        assert store.apply(loosened).deleted == 1
    assert sum(receipt.deleted for receipt in walk(store, of_tenant("acme", "node"), 9)) == 1


def test_a_declared_cycle_is_detached_first(world, store):
    """Columns named under `detach` become NULL on the selected rows only; no other column may."""
    world.insert("left_side", [{"id": 1, "firm": "acme", "other": None}, {"id": 2, "firm": "borealis", "other": None}])
    world.insert("right_side", [{"id": 5, "firm": "acme", "other": 1}])
    for number in (1, 2):
        world.change("left_side", {"id": number}, {"other": 5})
    bound = of_tenant("acme", "left")
    with pytest.raises(Refused) as refused:
        store.apply(batch(store, bound, "b0", action=Detach(columns=("firm",))))
    assert refused.value.guard == "detach"
    assert store.apply(batch(store, bound, "b1", action=Detach(columns=("other",)))).deleted == 1
    assert store.apply(batch(store, bound, "b2", action=Detach(columns=("other",)))).deleted == 0
    assert {row["id"]: row["other"] for row in world.rows("left_side")} == {1: None, 2: 5}


def test_levels_follow_foreign_keys(world, store):
    """Children first; a cycle is an order only where a column is detached."""
    levels = store.levels(["post", "answer", "likes", "left", "right"])
    placed = {name: number for number, level in enumerate(levels) for name in level}
    assert placed["answer"] < placed["post"] > placed["likes"]
    assert placed["right"] < placed["left"]


def test_I11_what_forbids_a_plan_is_found(world, store):
    """Cascades, views, missing tables, columns and keys, wrong encodings and broken paths each have their finding."""
    assert codes(store, "post") == {"undeclared-cascade"}
    assert codes(store, "declared") == set()
    assert codes(store, "shown") >= {"not-a-table", "no-primary-key"}
    assert codes(store, "gone") == {"missing-table"}
    assert codes(store, "short") == {"missing-column"}
    assert codes(store, "loose") == {"no-primary-key", "time-type"}
    assert "path-not-unique" in codes(store, "far")
    # MariaDB makes the index of a foreign key itself.
    unindexed = "foreign-key-without-index" in codes(store, "post", fatal=False)
    assert unindexed is not isinstance(world, MariadbWorld)


def test_I11_a_trigger_must_be_declared(world, store):
    """A trigger on a touched table is found; declared with its effect it is fine; one that is gone is told."""
    if isinstance(world, SqliteWorld):
        world.run("CREATE TRIGGER audit AFTER DELETE ON node BEGIN SELECT 1; END")
    elif isinstance(world, MariadbWorld):
        world.run("CREATE TRIGGER audit AFTER DELETE ON node FOR EACH ROW SET @seen = 1")
    else:
        world.run("CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'")
        world.run("CREATE TRIGGER audit AFTER DELETE ON node FOR EACH ROW EXECUTE FUNCTION audit()")
    assert codes(store, "node") == {"undeclared-trigger"}
    known = dataset("node", triggers=(Trigger(name="audit", effect="none"), Trigger(name="old", effect="none")))
    world.datasets = (known,)
    assert codes(world.store(), "node", fatal=False) - {"superuser"} == {"missing-trigger"}


def test_I11_declared_cascades_are_counted(world, store):
    """What goes or changes along is counted before, by `count` and in the receipt; a hold on it keeps the parent."""
    world.insert("post", [{"id": n, "firm": "acme", "made": "2025-01-01 00:00:00"} for n in (1, 2)])
    world.insert("answer", [{"id": n, "firm": "acme", "post": 1} for n in range(3)])
    world.insert("likes", [{"id": 1, "firm": "acme", "post": 2}])
    bound = of_tenant("acme", "declared", before(date(2025, 12, 31)))
    assert dict(store.count(bound).cascade) == {"answer": 3, "likes": 1}
    store.mirror_holds([HoldRow("h", "acme", "answer")])
    assert store.count(bound).items == store.residue(bound).items == 0
    store.mirror_holds([])
    receipt = store.apply(batch(store, bound, "b1"))
    assert (receipt.deleted, dict(receipt.cascaded)) == (2, {"answer": 3, "likes": 1})
    again = store.receipt("b1")
    assert again is not None
    assert again.cascaded == receipt.cascaded
    assert world.rows("answer") == []


def test_I14_the_used_schema_notices_what_matters(world, store):
    """A new column or an inbound foreign key changes the hash; an index does not."""
    first = store.used_schema(["node"])
    world.run("CREATE INDEX node_firm ON node (firm)")
    assert store.used_schema(["node"]) == first
    world.run("CREATE TABLE leaf (id bigint PRIMARY KEY, node bigint REFERENCES node (id))")
    second = store.used_schema(["node"])
    world.run("ALTER TABLE node ADD COLUMN note text")
    third = store.used_schema(["node"])
    assert first != second
    assert second != third
    assert first != third


def test_a_constraint_refuses_the_whole_batch(world, store):
    """A row that somebody else still references rolls the batch back, and the refusal shows no value."""
    world.insert(
        "left_side", [{"id": 4711, "firm": "acme", "other": None}, {"id": 4712, "firm": "acme", "other": None}]
    )
    world.insert("right_side", [{"id": 1, "firm": "borealis", "other": 4711}])
    with pytest.raises(Refused) as refused:
        store.apply(batch(store, of_tenant("acme", "left"), "b1"))
    assert refused.value.guard == "constraint"
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)
    assert "4711" not in str(refused.value)
    assert (len(world.rows("left_side")), store.receipt("b1")) == (2, None)


def test_values_of_another_type_are_refused(world, store):
    """A text against a number column is refused, not converted."""
    world.insert("node", [{"id": 1, "firm": "acme", "parent": None}])
    for only in (OneOf(column="parent", values=("1",)), OneOf(column="firm", values=(1,))):
        with pytest.raises(Refused) as refused:
            store.count(of_tenant("acme", "node", only=(only,)))
        assert refused.value.guard == "value-type"


def test_I10_every_statement_on_a_target_is_bounded(world, store):
    """A log of all statements of a whole life holds no DROP, no TRUNCATE, no DELETE or UPDATE without WHERE."""
    seen = []
    target = store._engine
    sa.event.listen(target, "before_cursor_execute", lambda c, cursor, statement, *_: seen.append(statement))
    world.insert("node", [{"id": n, "firm": "acme", "parent": None} for n in range(5)])
    store.mirror_holds([HoldRow("h", "borealis", None)])
    list(walk(store, of_tenant("acme", "node"), 2))
    store.acknowledge(["b0001"], "c")
    store.mirror_holds([])
    assert len(seen) > 20
    for statement in seen:
        assert not re.search(r"\b(DROP|TRUNCATE(?!\)))\b", statement, re.IGNORECASE), statement
        if re.match(r"\s*(WITH .*)?(DELETE|UPDATE)\b", statement, re.IGNORECASE | re.DOTALL):
            assert re.search(r"\bWHERE\b", statement, re.IGNORECASE), statement


def test_I10_no_code_of_a_store_can_drop_or_truncate():
    """The source holds no such word in SQL, and builds every DELETE and UPDATE with a WHERE."""
    folder = Path(__file__).parents[2] / "lifecycle" / "stores"
    files = sorted(folder.rglob("*.py"))
    assert files
    for file in files:
        tree = ast.parse(file.read_text())
        docs = {
            id(n.body[0].value)
            for n in ast.walk(tree)
            if hasattr(n, "body") and isinstance(n.body, list) and n.body and isinstance(n.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                assert not re.search(r"\b(DROP|DELETE\s+FROM)\b|\bTRUNCATE(?!\))\b", node.value), (
                    file.name,
                    node.value,
                )
            if isinstance(node, ast.Attribute) and node.attr in {"drop", "drop_all", "DropTable", "truncate"}:
                raise AssertionError((file.name, node.lineno))
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"sa.delete", "sa.update"}:
                parents = [
                    p
                    for p in ast.walk(tree)
                    if isinstance(p, ast.Attribute) and any(c is node for c in ast.walk(p.value))
                ]
                assert any(parent.attr == "where" for parent in parents), (file.name, node.lineno)
