"""Anonymising in three databases, against a plain reading of each value."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset, PersonLink
from lifecycle.core.plan import Anonymise
from lifecycle.core.transform import CoarseDate, CoarseNumber, Constant, Keep, SetNull, Token
from lifecycle.ports.store import HoldRow, Store
from lifecycle.testing import store_world as w
from tests.stores import anonymised as a
from tests.stores.worlds import MariadbWorld, PostgresqlWorld, SqliteWorld, SqlWorld

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 300


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database."""
    return str(request.param)


@pytest.fixture
def world(request: pytest.FixtureRequest, kind: str) -> Any:
    """An application with one table of persons."""
    if kind == "sqlite":
        made: SqlWorld = SqliteWorld(request.getfixturevalue("sqlite_path"), (a.PERSONS,), a.ddl(kind))
    elif kind == "mariadb":
        made = MariadbWorld(request.getfixturevalue("mariadb_url"), (a.PERSONS,), a.ddl(kind))
    else:
        made = PostgresqlWorld(request.getfixturevalue("postgres_url"), (a.PERSONS,), a.ddl(kind))
        made.run("SET TimeZone = 'UTC'")
    yield made
    made.close()


@pytest.fixture
def store(world: SqlWorld) -> Store:
    """The product's handle on it."""
    return w.ready(world.store())


def fill(world: SqlWorld, kind: str, seed: int = 1) -> list[dict[str, Any]]:
    """Write persons, some of them already anonymised or nearly so; return the rows as the driver gives them."""
    rng = random.Random(f"persons {seed}")
    rows = [a.person(number, rng) for number in range(ROWS)]
    rows += [a.anonymous(ROWS + number, rng, kind, firm="acme") for number in range(40)]
    for number, name in enumerate(a.CHANGED):
        token = a.anonymous(ROWS + 100 + number, rng, kind, firm="acme", made=w.at(a.OLD))
        rows.append(token | {name: a.person(ROWS + 200 + number, rng)[name]})
    world.insert("persons", [a.stored(row, kind) for row in rows])
    return list(world.rows("persons"))


def run(store: Store, bound: Any, *, size: int = 50, prefix: str = "b") -> int:
    """Carry the whole walk out; return how many rows were changed."""
    after, done, number = None, 0, 0
    while (piece := store.cut(bound, after, size)) is not None:
        number += 1
        made = w.batch(store, bound, f"{prefix}{number:04d}", size=size, after=after, action=a.ACTION)
        done += store.apply(made).deleted
        after = piece.upto
    return done


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_I35_done_means_the_same_to_both_query_builders_and_to_a_plain_reader(
    world: SqlWorld, store: Store, kind: str, seed: int
) -> None:
    """The executor's keys, the verifier's count and the oracle agree on every value, odd ones too."""
    rows = fill(world, kind, seed)
    bound = a.bound()
    expected = a.wanted(rows, kind)
    assert {int(str(item.key[0])) for item in store.find(bound, None, 1_000)} == expected
    assert store.count(bound).items == store.residue(bound).items == len(expected)
    for transform in a.PERSONS.transforms:
        alone = replace(bound, selection=bound.selection.model_copy(update={"undone": (transform,)}))
        left = {row["id"] for row in rows if not _only(row, transform.column, kind)} & {
            row["id"] for row in rows if row["firm"] == "acme" and a._made(row["made"]) <= a.CUTOFF
        }
        assert {int(str(item.key[0])) for item in store.find(alone, None, 1_000)} == left, transform
        assert store.residue(alone).items == len(left), transform
    undone = sum(not a.is_done(row, kind) for row in rows)
    assert store.population("persons", a.PERSONS.transforms) == undone
    assert store.population("persons") == len(rows)


def _only(row: dict[str, Any], column: str, kind: str) -> bool:
    return row[column] is None or bool(a._DONE[column](row[column], kind))


def test_I01_nothing_of_a_due_person_is_left_and_nobody_else_is_touched(
    world: SqlWorld, store: Store, kind: str
) -> None:
    """Every declared column of every due row is done; rows of others, young and anonymised ones are as they were."""
    before = {row["id"]: row for row in fill(world, kind)}
    due = a.wanted(before.values(), kind)
    assert run(store, a.bound()) == len(due) > 0
    after = {row["id"]: row for row in world.rows("persons")}
    assert after.keys() == before.keys()
    assert all(a.is_done(after[key], kind) for key in due)
    assert {key: after[key] for key in after.keys() - due} == {key: before[key] for key in before.keys() - due}
    kept = [name for name in a.COLUMNS if name not in a.CHANGED]
    assert all(after[key][name] == before[key][name] for key in due for name in kept)
    text = repr([after[key] for key in due])
    planted = [before[key][name] for key in due for name in ("note", "email", "code", "external", "name")]
    assert [value for value in planted if value is not None and "canary" in str(value) and str(value) in text] == []
    assert store.count(a.bound()).items == store.residue(a.bound()).items == 0


def test_I09_dates_beyond_every_calendar_are_removed(postgres_url: str) -> None:
    """Infinity, years before Christ and of six digits break no statement: they are no dates, and go."""
    world = PostgresqlWorld(postgres_url, (a.PERSONS,), a.ddl("postgresql"))
    store = w.ready(world.store())
    rng = random.Random(4)
    odd = ("infinity", "-infinity", "4713-01-01 BC", "294277-01-01", "5874897-12-31", "9999-12-31")
    rows = [a.person(n, rng, firm="acme", made=w.at(a.OLD), born=None, seen=None) for n in range(len(odd))]
    world.insert("persons", rows)
    for number, value in enumerate(odd):
        world.run("UPDATE persons SET born = %s::date WHERE id = %s", [value, number])
    for number, value in ((0, "infinity"), (1, "-infinity"), (2, "4713-01-01 BC"), (3, "294276-12-31")):
        world.run("UPDATE persons SET seen = %s::timestamptz WHERE id = %s", [value, number])
    assert store.count(a.bound()).items == store.residue(a.bound()).items == len(odd)
    assert run(store, a.bound()) == len(odd)
    left = world.run("SELECT born::text, seen FROM persons ORDER BY id").fetchall()
    assert [row["born"] for row in left] == [None] * 5 + ["9999-01-01"]
    assert {row["seen"] for row in left} == {None}
    world.close()


def test_I09_dates_that_no_calendar_has_are_removed_on_mariadb(mariadb_url: str) -> None:
    """Zeros in a date, the 31st of February and the first second of a TIMESTAMP break no statement: they go."""
    world = MariadbWorld(mariadb_url, (a.PERSONS,), a.ddl("mariadb"))
    world.run("SET sql_mode = 'ALLOW_INVALID_DATES'")
    store = w.ready(world.store())
    rng = random.Random(4)
    odd = ("0000-00-00", "2025-00-10", "2025-01-00", "2025-02-31", "0000-01-01", "0001-02-03", "9999-12-31")
    rows = [a.person(n, rng, firm="acme", made=w.at(a.OLD), born=None, seen=None) for n in range(len(odd))]
    world.insert("persons", [a.stored(row, "mariadb") for row in rows])
    for number, value in enumerate(odd):
        world.run("UPDATE persons SET born = %s, left_at = %s WHERE id = %s", [value, f"{value} 11:00:00", number])
    for number, value in ((0, "1970-01-01 00:00:01"), (1, "1970-02-01 00:00:00"), (2, "2038-01-19 03:14:07")):
        world.run("UPDATE persons SET seen = %s WHERE id = %s", [value, number])
    for name in ("born", "seen", "left_at"):
        alone = next(transform for transform in a.PERSONS.transforms if transform.column == name)
        asked = replace(a.bound(), selection=a.bound().selection.model_copy(update={"undone": (alone,)}))
        assert store.count(asked).items == store.residue(asked).items, name
    assert store.count(a.bound()).items == store.residue(a.bound()).items == len(odd)
    assert run(store, a.bound()) == len(odd)
    assert store.count(a.bound()).items == store.residue(a.bound()).items == 0
    left = world.run("SELECT CAST(born AS CHAR) AS born, seen FROM persons ORDER BY id").fetchall()
    assert [row["born"] for row in left] == [None] * 5 + ["0001-01-01", "9999-01-01"]
    assert [str(row["seen"]) for row in left if row["seen"]] == ["1970-02-01 00:00:00", "2038-01-01 00:00:00"]
    world.close()


def test_I01_a_time_that_renews_itself_stays_as_it_is(mariadb_url: str) -> None:
    """MariaDB sets such a column to the present with each change: as a start time, and as a column that is kept."""
    renewed = "timestamp(6) NULL DEFAULT NULL ON UPDATE current_timestamp(6)"
    kept = a.PERSONS.model_copy(update={"anonymise": (*a.TREATMENTS, Keep(column="touched", why="Nobody's"))})
    world = MariadbWorld(mariadb_url, (kept,), a.ddl("mariadb"))
    world.run(f"ALTER TABLE persons MODIFY made {renewed}, ADD touched {renewed}")
    store = w.ready(world.store())
    rng = random.Random(5)
    rows = [a.person(n, rng, firm="acme", made=w.at(a.OLD), touched=w.at(a.OLD)) for n in range(20)]
    world.insert("persons", [a.stored(row, "mariadb") for row in rows])
    before = world.rows("persons")
    assert run(store, a.bound()) == 20
    after = world.rows("persons")
    assert all(a.is_done(row, "mariadb") for row in after)
    assert [(row["made"], row["touched"]) for row in after] == [(row["made"], row["touched"]) for row in before]
    world.close()


@pytest.mark.parametrize(
    ("word", "transform", "fits"),
    [
        ("char(4) COLLATE utf8mb4_bin", Constant(column="note", value="x "), False),
        ("char(4) COLLATE utf8mb4_bin", Constant(column="note", value="x"), True),
        ("varchar(9) CHARACTER SET latin1", Constant(column="note", value="日本"), False),
        ("tinytext", Constant(column="note", value="日" * 100), False),
        ("tinytext", Constant(column="note", value="日" * 85), True),
        ("tinyint", Constant(column="note", value=128), False),
        ("tinyint unsigned", Constant(column="note", value=255), True),
        ("decimal(4,2)", Constant(column="note", value=100), False),
        ("decimal(4,2)", Constant(column="note", value=-99), True),
        ("enum('a')", Constant(column="note", value="a"), False),
        ("double", CoarseNumber(column="note", step=2), False),
        ("varchar(9)", CoarseDate(column="note", to="year"), False),
        ("datetime(3)", CoarseDate(column="note", to="year"), True),
        ("bigint unsigned", CoarseNumber(column="note", step=1000), True),
        ("uuid", Token(column="note"), True),
        ("uuid", Token(column="note", suffix="@x"), False),
    ],
    ids=str,
)
def test_what_a_column_of_mariadb_cannot_hold_is_refused_beforehand(
    mariadb_url: str, word: str, transform: Any, fits: bool
) -> None:
    """What fits is done after the change; what the server would cut, round, convert or refuse is never tried."""
    treated = tuple(transform if one.column == "note" else one for one in a.TREATMENTS)
    persons = a.PERSONS.model_copy(update={"anonymise": treated})
    world = MariadbWorld(mariadb_url, (persons,), a.ddl("mariadb"))
    world.run(f"ALTER TABLE persons MODIFY note {word}")
    store = w.ready(world.store())
    found = {finding.code for finding in store.inspect(["persons"], ["persons"]) if finding.fatal}
    assert ("transform-type" in found) is not fits
    if fits:
        rng = random.Random(6)
        value = {"decimal(4,2)": 3, "datetime(3)": "2025-07-08 09:10:11.123", "bigint unsigned": 2**64 - 1}
        rows = [a.person(n, rng, firm="acme", made=w.at(a.OLD), note=value.get(word)) for n in range(3)]
        world.insert("persons", [a.stored(row, "mariadb") for row in rows])
        bound = a.bound(dataset=persons)
        action = Anonymise(transforms=persons.transforms, granted_by="3.5")
        assert store.apply(w.batch(store, bound, "b1", size=9, action=action)).deleted == 3
        assert store.count(bound).items == store.residue(bound).items == 0
    world.close()


def test_I19_a_second_run_changes_nothing(world: SqlWorld, store: Store, kind: str) -> None:
    """What is done is not selected: no piece is cut, no token is drawn anew."""
    fill(world, kind)
    assert run(store, a.bound()) > 0
    first = world.rows("persons")
    assert store.cut(a.bound(), None, 50) is None
    assert run(store, a.bound(), prefix="again") == 0
    assert world.rows("persons") == first


def test_tokens_are_random_and_differ_from_row_to_row(world: SqlWorld, store: Store, kind: str) -> None:
    """No two rows share a token, and the same value gets another one the next time."""
    rng = random.Random(5)
    rows = [a.person(n, rng, firm="acme", made=w.at(a.OLD), code=f"c{n}") for n in range(200)]
    world.insert("persons", [a.stored(row, kind) for row in rows])
    run(store, a.bound())
    first = world.rows("persons")
    for name in ("email", "code"):
        assert len({row[name] for row in first}) == 200
    assert len({row["external"] for row in first if row["external"] is not None}) > 150
    world.change("persons", {"id": 7}, {"email": rows[7]["email"]})
    old = next(row for row in first if row["id"] == 7)
    assert run(store, a.bound(), prefix="again") == 1
    new = next(row for row in world.rows("persons") if row["id"] == 7)
    assert new["email"] != old["email"]
    assert new["code"] == old["code"], "what is done already stays"


def test_I01_a_row_that_became_active_again_is_not_changed(world: SqlWorld, store: Store, kind: str) -> None:
    """The predicate is repeated in the statement: a row that is young again between cut and apply stays as it is."""
    rng = random.Random(6)
    world.insert("persons", [a.stored(a.person(n, rng, firm="acme", made=w.at(a.OLD)), kind) for n in range(20)])
    made = w.batch(store, a.bound(), "b1", size=50, action=a.ACTION)
    world.change("persons", {"id": 3}, {"made": w.at(a.YOUNG)})
    before = next(row for row in world.rows("persons") if row["id"] == 3)
    receipt = store.apply(made)
    assert receipt.deleted == 19
    assert next(row for row in world.rows("persons") if row["id"] == 3) == before
    assert store.apply(made) == replace(receipt, by_tenant={}), "a second delivery finds the receipt"
    keys = world.open_keys(receipt.sealed, w.SEALING_KEY, "b1")
    assert {int(key[0]) for key in keys} == set(range(20)) - {3}


def test_I32_anonymised_values_leave_the_file(sqlite_path: Path) -> None:
    """After a walk neither the database, its indexes nor its write-ahead log holds a value that was replaced."""
    world = SqliteWorld(sqlite_path, (a.PERSONS,), a.ddl("sqlite"))
    world.run("PRAGMA journal_mode=WAL")
    store = w.ready(world.store())
    rng = random.Random(7)
    rows = [a.person(n, rng, firm="acme", made=w.at(a.OLD), name=f"canary name {n}") for n in range(300)]
    world.insert("persons", [a.stored(row, "sqlite") for row in rows])
    world.connection.close()
    assert run(store, a.bound()) == 300
    store.close()
    files = [path for path in sqlite_path.parent.iterdir() if path.is_file()]
    assert sum(path.read_bytes().count(b"canary") for path in files) == 0


class Killed(Exception):
    """The process ends here."""


POINTS = ("batch.begun", "batch.fenced", "batch.receipt-open", "batch.changed", "batch.receipt-sealed")


def test_I16_a_batch_that_dies_changed_all_or_nothing(world: SqlWorld, store: Store, kind: str) -> None:
    """Before COMMIT no value and no receipt is left behind; after it both are there, and recovery reads them."""
    rng = random.Random(11)
    world.insert("persons", [a.stored(a.person(n, rng, firm="acme", made=w.at(a.OLD)), kind) for n in range(9)])
    before = world.rows("persons")

    def dies(at: str) -> Callable[[str], None]:
        def failpoint(name: str) -> None:
            if name == at:
                raise Killed

        return failpoint

    for number, point in enumerate(POINTS):
        with pytest.raises(Killed):
            world.store(dies(point)).apply(w.batch(store, a.bound(), f"b{number}", action=a.ACTION))
        assert world.rows("persons") == before, point
        assert store.void(f"b{number}").state == "void"
    with pytest.raises(Killed):
        world.store(dies("batch.committed")).apply(w.batch(store, a.bound(), "b9", action=a.ACTION))
    assert (store.void("b9").state, store.void("b9").deleted) == ("done", 9)
    assert all(a.is_done(row, kind) for row in world.rows("persons"))


def test_I07_held_rows_are_not_anonymised(world: SqlWorld, store: Store, kind: str) -> None:
    """A hold keeps the row with every value in it."""
    before = fill(world, kind)
    store.mirror_holds([HoldRow("h", "acme", None)])
    assert store.count(a.bound()).items == store.residue(a.bound()).items == 0
    assert store.cut(a.bound(), None, 50) is None
    assert world.rows("persons") == before


def test_only_what_the_inventory_declares_is_anonymised(world: SqlWorld, store: Store, kind: str) -> None:
    """Fewer transforms, other ones, or a selection that does not fit are refused, and nothing is changed."""
    before = fill(world, kind)
    fewer = Anonymise(transforms=a.ACTION.transforms[:3], granted_by="3.5")
    other = Anonymise(transforms=(Constant(column="country", value="XX"),), granted_by="3.5")
    for number, action in enumerate((fewer, other)):
        with pytest.raises(Refused) as refused:
            store.apply(w.batch(store, a.bound(), f"b{number}", action=action))
        assert refused.value.guard == "anonymise"
    plain = w.of_tenant("acme", "persons", w.before(a.CUTOFF))
    with pytest.raises(Refused) as refused:
        store.apply(w.batch(store, plain, "b9", action=a.ACTION))
    assert refused.value.guard == "anonymise"
    assert world.rows("persons") == before


def test_I01_a_trigger_that_makes_the_row_young_again_is_noticed(world: SqlWorld, store: Store, kind: str) -> None:
    """Start times are written back; where the database changes them all the same, the batch is undone."""
    rng = random.Random(8)
    world.insert("persons", [a.stored(a.person(n, rng, firm="acme", made=w.at(a.OLD)), kind) for n in range(5)])
    before = world.rows("persons")
    trigger(world, kind, "made", "'2026-02-20 12:00:00'")
    with pytest.raises(Refused) as refused:
        store.apply(w.batch(store, a.bound(), "b1", action=a.ACTION))
    assert refused.value.guard == "start-time"
    assert world.rows("persons") == before
    assert store.receipt("b1") is None


def test_a_trigger_that_writes_the_value_again_is_noticed(world: SqlWorld, store: Store, kind: str) -> None:
    """What the statement wrote must stand there when the batch ends."""
    rng = random.Random(9)
    world.insert("persons", [a.stored(a.person(n, rng, firm="acme", made=w.at(a.OLD)), kind) for n in range(5)])
    before = world.rows("persons")
    trigger(world, kind, "note", "'as it was'")
    with pytest.raises(Refused) as refused:
        store.apply(w.batch(store, a.bound(), "b1", action=a.ACTION))
    assert refused.value.guard == "anonymise"
    assert world.rows("persons") == before


def trigger(world: SqlWorld, kind: str, column: str, value: str) -> None:
    """Let the database overwrite a column whenever a row is changed."""
    if kind == "sqlite":
        world.run(
            f"CREATE TRIGGER touch AFTER UPDATE OF name ON persons BEGIN "
            f"UPDATE persons SET {column} = {value} WHERE id = NEW.id; END"
        )
        return
    if kind == "mariadb":
        world.run(f"CREATE TRIGGER touch BEFORE UPDATE ON persons FOR EACH ROW SET NEW.{column} = {value}")
        return
    world.run(
        f"CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.{column} := ''{value[1:-1]}''; "
        "RETURN NEW; END'"
    )
    world.run("CREATE TRIGGER touch BEFORE UPDATE ON persons FOR EACH ROW EXECUTE FUNCTION touch()")


def test_a_deletion_takes_anonymised_rows_too(world: SqlWorld, store: Store, kind: str) -> None:
    """At the contract's end a tenant's anonymised rows go like all others."""
    rows = fill(world, kind)
    run(store, a.bound())
    bound = w.of_tenant("acme", "persons")
    assert sum(receipt.deleted for receipt in w.walk(store, bound, 400, "d")) == sum(r["firm"] == "acme" for r in rows)
    assert {row["firm"] for row in world.rows("persons")} == {row["firm"] for row in rows} - {"acme"}


# ---- what forbids it beforehand ----

SHAPES = [
    "CREATE TABLE country (code {text} PRIMARY KEY)",
    "CREATE TABLE owner (id {integer} PRIMARY KEY, firm {text}, email {text})",
    """CREATE TABLE shape (id {integer} PRIMARY KEY, firm {text}, must {text} NOT NULL, once {text} UNIQUE,
    country {text} REFERENCES country (code), owner {integer} REFERENCES owner (id), short {short}, number {integer},
    sum {integer} GENERATED ALWAYS AS (number + 1) STORED, alias {text} UNIQUE, raw {raw})""",
    "CREATE TABLE below (id {integer} PRIMARY KEY, firm {text}, alias {text} REFERENCES shape (alias))",
    "CREATE INDEX below_alias ON below (alias)",
]
KEPT = {name: Keep(column=name, why="It names nobody") for name in (
    "id", "firm", "must", "once", "country", "owner", "short", "number", "sum", "alias", "raw")}  # fmt: skip
GOOD = {"must": Token(column="must"), "owner": SetNull(column="owner")}


def shape(**changes: Any) -> Dataset:
    """Return the dataset with these treatments; None leaves a column out."""
    treated = {**KEPT, **GOOD, **changes}
    return Dataset(
        id="shape",
        store=w.STORE,
        table="shape",
        category="content",
        key=("id",),
        tenant=a.PERSONS.tenant,
        anonymise=tuple(one for one in treated.values() if one is not None),
    )


OWNER = Dataset(
    id="owner", store=w.STORE, table="owner", category="content", key=("id",), tenant=a.PERSONS.tenant,
    persons=(PersonLink(column="email", holds="email"),),
)  # fmt: skip


@pytest.fixture
def shaped(request: pytest.FixtureRequest, kind: str) -> Any:
    """A world whose table has every shape that forbids something."""
    words = {
        "sqlite": {"integer": "INTEGER", "text": "TEXT", "short": "VARCHAR(20)", "raw": "REAL"},
        "postgresql": {"integer": "bigint", "text": "text", "short": "character varying(20)", "raw": "jsonb"},
        "mariadb": {"integer": "bigint", "text": "varchar(190)", "short": "varchar(20)", "raw": "longblob"},
    }[kind]
    tables = [statement.format(**words) for statement in SHAPES]
    if kind == "sqlite":
        made: SqlWorld = SqliteWorld(request.getfixturevalue("sqlite_path"), (), tables)
    elif kind == "mariadb":
        made = MariadbWorld(request.getfixturevalue("mariadb_url"), (), tables)
    else:
        made = PostgresqlWorld(request.getfixturevalue("postgres_url"), (), tables)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"number": None}, "unaccounted-column"),
        ({"must": SetNull(column="must")}, "not-nullable"),
        ({"once": Constant(column="once", value="x")}, "unique-column"),
        ({"once": Token(column="once")}, None),
        ({"once": SetNull(column="once")}, None),
        ({"country": Constant(column="country", value="XX")}, "foreign-key-column"),
        ({"country": SetNull(column="country")}, None),
        ({"owner": Keep(column="owner", why="Wrong: it leads to a person")}, "linking-identifier"),
        ({"short": Token(column="short")}, "transform-type"),
        ({"short": Token(column="short", digits=16)}, "transform-type"),
        ({"short": Constant(column="short", value="x" * 21)}, "transform-type"),
        ({"short": Constant(column="short", value="x" * 20)}, None),
        ({"number": Constant(column="number", value="text")}, "transform-type"),
        ({"number": Token(column="number")}, "transform-type"),
        ({"number": CoarseDate(column="number", to="month")}, "transform-type"),
        ({"number": CoarseNumber(column="number", step=10)}, None),
        ({"must": CoarseNumber(column="must", step=10)}, "transform-type"),
        ({"sum": SetNull(column="sum")}, "generated-column"),
        ({"alias": SetNull(column="alias")}, "referenced-column"),
        ({"raw": Constant(column="raw", value=True)}, "transform-type"),
        ({"nothing": SetNull(column="nothing")}, "missing-column"),
    ],
    ids=str,
)
def test_I11_what_forbids_anonymising_is_found_beforehand(
    shaped: SqlWorld, changes: dict[str, Any], code: str | None
) -> None:
    """Each shape that the statement would break on, or that would leave somebody named, is refused with what to do."""
    shaped.datasets = (shape(**changes), OWNER)
    found = [finding for finding in shaped.store().inspect(["shape"], ["shape"]) if finding.fatal]
    plain = {finding.code for finding in shaped.store().inspect(["shape"]) if finding.fatal}
    assert {finding.code for finding in found} - plain == ({code} if code else set())
    assert all(finding.fix for finding in found)


def test_rows_that_name_somebody_and_reference_these_are_told(shaped: SqlWorld) -> None:
    """A child that keeps its person is the link to its anonymised parent; one that is anonymised too is not."""
    person = PersonLink(column="alias", holds="name")
    below = OWNER.model_copy(update={"id": "below", "table": "below", "persons": (person,)})
    shaped.datasets = (shape(), OWNER, below)
    assert "linked-from" in {f.code for f in shaped.store().inspect([], ["shape"])}
    treated = below.model_copy(update={"anonymise": (SetNull(column="alias"),)})
    shaped.datasets = (shape(), OWNER, treated)
    assert "linked-from" not in {f.code for f in shaped.store().inspect([], ["shape"])}


def test_I11_a_dataset_that_does_not_say_how_is_not_anonymised(shaped: SqlWorld) -> None:
    """Without declarations nothing is guessed."""
    shaped.datasets = (shape().model_copy(update={"anonymise": ()}), OWNER)
    codes = {finding.code for finding in shaped.store().inspect(["shape"], ["shape"]) if finding.fatal}
    assert "anonymise-undeclared" in codes
