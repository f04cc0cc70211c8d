# ruff: noqa: E501 - tables of cases are read as tables
"""One selection, three databases, three readings: SQL, the verifier's SQL, and a plain filter that is written here.

The filter shares no code with the product: it reads Python values with the standard library and decides row by row.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from lifecycle.core.inventory import Dataset, Tenancy, TimeColumn
from lifecycle.core.selection import (
    AllOf,
    AnyOf,
    Before,
    Bound,
    GroupScope,
    IsNull,
    Not,
    OneOf,
    Selection,
    TenantScope,
)
from lifecycle.ports.store import HoldRow, TenantRow
from lifecycle.stores.sql import SqlStore
from tests import mariadb
from tests.servers import libpq_url

ROWS, SELECTIONS = 400, 60
ZONES = ["Europe/Berlin", "UTC", "America/New_York", "Pacific/Apia", "Asia/Beirut"]
FIRMS = [
    "acme",
    "Acme",
    "acme ",
    "acmé",
    "acme\u0301",
    "a'b\"c;--",
    "ßtraße",
    "STRASSE",
    "%",
    "_",
    "\\",
    "0",
    "日本",
    "nobody",
]
KINDS = ["login", "Login", "login ", "LOGIN", "", "ö", "o\u0308", "it's", 'say "x"', "%s", ":p", "null", None]
NAMES = {
    "id": 'Row "Id"',
    "firm": "select",
    "utc": "Made At",
    "local": "made:at",
    "day": "Tag%s",
    "seconds": "epoch'",
    "millis": "ms(1)",
    "text": "Ümlaut",
    "kind": "order",
    "number": "NUMBER",
    "flag": "table",
}
TABLE = 'We"ird Täble %(x)s'
TIMES = {
    "utc": TimeColumn(column=NAMES["utc"], encoding="utc"),
    "local": TimeColumn(column=NAMES["local"], encoding="local", zone="Europe/Berlin"),
    "day": TimeColumn(column=NAMES["day"], encoding="date"),
    "seconds": TimeColumn(column=NAMES["seconds"], encoding="epoch-s"),
    "millis": TimeColumn(column=NAMES["millis"], encoding="epoch-ms"),
    "text": TimeColumn(column=NAMES["text"], encoding="iso-text", zone="Europe/Berlin"),
}
DATASET = Dataset(
    id="hostile",
    store="s",
    table=TABLE,
    category="x",
    key=(NAMES["id"],),
    tenant=Tenancy(by="column", column=NAMES["firm"]),
    times=TIMES,
)
FAMILY = DATASET.model_copy(update={"tenant": Tenancy(by="table", pattern='We"ird %(x)s {tenant}')})
SQLITE_TYPES = "INTEGER PRIMARY KEY,TEXT,TEXT,TEXT,TEXT,INTEGER,INTEGER,TEXT,TEXT,INTEGER,BOOLEAN"
POSTGRESQL_TYPES = "bigint PRIMARY KEY,text,timestamptz,timestamp,date,bigint,bigint,text,text,bigint,boolean"
TEXTS = [
    "2025-02-30", "2025-02-29", "2024-02-29", "2025-13-01", "2025-01-32", "0000-00-00", "", " ", "now", "infinity", "2025",
    "2025-03-01 ", " 2025-03-01", "2025-03-01\n", "2025-03-01T24:00", "2025-03-01T10", "2025-W10-1", "20250301",
    "2025-03-01T10:00:60", "2025-03-01T10:00:00,5", "2025-03-01T10:00:00.1234567", "2025-03-01t10:00:00",
    "2025-03-01T10:00:00z", "2025-03-01T10:00:00+15:00", "2025-03-01T10:00:00+02", "２０２５-03-01", "epoch", "2025-03-01x",
    "1900-02-29", "2000-02-29", "2100-02-29", "9999-12-31", "2460000", "10:00:00", "2025-00-10", "2025-10-26T02:30:00",
]  # fmt: skip


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def member(firm):
    """A firm's table of the family."""
    return FAMILY.tenant.pattern.replace("{tenant}", firm)


def columns(types):
    """The columns of a table, typed."""
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in zip(NAMES.values(), types.split(","), strict=True))


def instant(rng):
    """Anything from before 1970 to tomorrow, often close to a local midnight."""
    day = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(
        days=rng.choice([-40000, -9000, -3, 0, 88, 298, 299, 400, 500, rng.randint(-400, 450)])
    )
    return day + timedelta(
        seconds=rng.choice([0, 1, 79199, 79200, 82799, 82800, 86399, 3600, 5400, rng.randint(0, 86399)])
    )


def make_row(rng, number):
    moment = instant(rng)
    local = (moment.astimezone(ZoneInfo("Europe/Berlin")) if rng.random() < 0.9 else moment).replace(tzinfo=None)
    written = rng.choice([
        moment.strftime("%Y-%m-%d"), moment.strftime("%Y-%m-%dT%H:%M:%SZ"), local.strftime("%Y-%m-%d %H:%M"),
        moment.strftime("%Y-%m-%d %H:%M:%S.250+0000"), moment.strftime("%Y-%m-%dT%H:%M:%S-09:30"), rng.choice(TEXTS),
    ])  # fmt: skip
    row = {
        "id": number,
        "firm": rng.choice([*FIRMS, None]),
        "utc": moment,
        "local": local,
        "day": moment.date(),
        "seconds": rng.choice([int(moment.timestamp()), 0, -1, 2**31]),
        "millis": int(moment.timestamp()) * 1000 + rng.choice([0, 999]),
        "text": written,
        "kind": rng.choice(KINDS),
        "number": rng.choice([None, 0, 1, -1, 7, 2**40]),
        "flag": rng.choice([None, True, False]),
    }
    for name in TIMES:
        if rng.random() < 0.05:
            row[name] = None
    return row


# ---- the plain filter ----


def read_text(text):
    """A strict reader of ISO texts: (date) or (naive) or (aware), or None."""
    if (
        not text.isascii()
        or text != text.strip()
        or len(text) < 10
        or text[4] != "-"
        or text[7] != "-"
        or text[0] not in "12"
    ):
        return None
    try:
        day = date(int(text[:4]), int(text[5:7]), int(text[8:10]))
    except ValueError:
        return None
    rest = text[10:]
    if not rest:
        return day
    if rest[0] not in " T":
        return None
    clock, offset = rest[1:], timedelta(0)
    aware = clock.endswith("Z")
    clock = clock.removesuffix("Z")
    for sign in "+-":
        if sign in clock:
            clock, _, shift = clock.partition(sign)
            shift = shift.replace(":", "", 1) if len(shift) == 5 and shift[2] == ":" else shift
            if aware or len(shift) != 4 or not shift.isdigit() or int(shift[:2]) > 14 or int(shift[2:]) > 59:
                return None
            offset = timedelta(hours=int(shift[:2]), minutes=int(shift[2:])) * (1 if sign == "+" else -1)
            aware = True
    parts = clock.split(":")
    seconds, dot, fraction = (parts[2] if len(parts) == 3 else "00").partition(".")
    pieces = [*parts[:2], seconds]
    if len(parts) not in {2, 3} or any(len(p) != 2 or not p.isdigit() for p in pieces):
        return None
    if (
        (dot and not (1 <= len(fraction) <= 6 and fraction.isdigit()))
        or int(pieces[0]) > 23
        or max(map(int, pieces[1:])) > 59
    ):
        return None
    micros = int(fraction.ljust(6, "0")) if dot else 0
    moment = datetime(day.year, day.month, day.day, *map(int, pieces), micros)  # noqa: DTZ001 - no zone was written
    return (moment - offset).replace(tzinfo=UTC) if aware else moment


def local_day(value, time, zone):
    if value is None:
        return None
    if time.encoding == "epoch-s":
        value = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
    elif time.encoding == "epoch-ms":
        value = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    elif time.encoding == "iso-text":
        value = read_text(value)
    if value is None or not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        home = ZoneInfo(time.zone or "UTC")
        value = max(value.replace(tzinfo=home, fold=fold).astimezone(UTC) for fold in (0, 1))
    return value.astimezone(ZoneInfo(zone)).date()


def holds(condition, row):
    by_column = {column: name for name, column in NAMES.items()}
    match condition:
        case OneOf():
            value = row[by_column[condition.column]]
            return value is not None and any(value == wanted for wanted in condition.values)
        case IsNull():
            return row[by_column[condition.column]] is None
        case Not():
            return not holds(condition.inner, row)
        case AllOf():
            return all(holds(inner, row) for inner in condition.inner)
        case AnyOf():
            return any(holds(inner, row) for inner in condition.inner)
    raise AssertionError(condition)


def wanted(bound, row, groups, held):
    scope = bound.selection.scope
    mine = row["firm"] == bound.tenant if isinstance(scope, TenantScope) else groups.get(row["firm"]) in scope.groups
    if row["firm"] is None or not mine or row["firm"] in held:
        return False
    for due in bound.selection.due:
        day = local_day(row[due.time], TIMES[due.time], due.zone)
        if day is None or not due.not_before <= day <= min(due.day, due.not_after):
            return False
    return all(holds(condition, row) for condition in bound.selection.only)


# ---- selections ----


def make_condition(rng, depth=0):
    kind = rng.choice(["one", "one", "null", "not", "all", "any"] if depth < 3 else ["one", "null"])
    if kind == "one":
        column, values = rng.choice([
            (NAMES["kind"], [k for k in KINDS if k is not None]), (NAMES["number"], [0, 1, -1, 7, 2**40, 99]),
            (NAMES["flag"], [True, False]), (NAMES["firm"], FIRMS),
        ])  # fmt: skip
        return OneOf(column=column, values=tuple(rng.sample(values, rng.randint(1, 2))))
    if kind == "null":
        return IsNull(column=NAMES[rng.choice(["kind", "number", "flag", "utc"])])
    if kind == "not":
        return Not(inner=make_condition(rng, depth + 1))
    inner = tuple(make_condition(rng, depth + 1) for _ in range(rng.randint(1, 3)))
    return AllOf(inner=inner) if kind == "all" else AnyOf(inner=inner)


def make_bound(rng):
    due = tuple(
        Before(
            time=name,
            day=date(2025, 1, 1) + timedelta(days=rng.choice([-3, 0, 88, 89, 298, 299, 400, rng.randint(-400, 450)])),
            zone=rng.choice(ZONES),
            not_before=rng.choice([date(1971, 1, 1), date(1890, 1, 1), date(2024, 6, 1)]),
            not_after=date(2026, 2, 1),
        )
        for name in rng.sample(sorted(TIMES), rng.choice([0, 1, 1, 1, 2]))
    )
    only = tuple(make_condition(rng) for _ in range(rng.choice([0, 0, 1, 2])))
    if rng.random() < 0.3:
        scope = TenantScope(tenant="t-aaaaaaaaaaaaaaaa")
        return Bound(Selection(dataset="hostile", scope=scope, due=due, only=only), rng.choice(FIRMS))
    groups = GroupScope(groups=tuple(rng.sample(["g1", "g2", "g3"], rng.randint(1, 3))))
    return Bound(Selection(dataset="hostile", scope=groups, due=due, only=only))


@pytest.fixture
def sqlite_store(sqlite_path):
    with sqlite_target(sqlite_path, DATASET, [TABLE]) as made:
        yield made


@pytest.fixture
def sqlite_family(sqlite_path):
    # SQLite folds the case of names: of firms that differ in case alone the first has a table.
    firms = list({firm.casefold(): firm for firm in reversed(FIRMS) if firm}.values())
    with sqlite_target(sqlite_path, FAMILY, [member(firm) for firm in firms]) as (store, insert):
        yield store, insert, firms


@contextmanager
def sqlite_target(path, dataset, tables):
    connection = sqlite3.connect(path, isolation_level=None)

    def insert(rows):
        connection.execute("BEGIN")
        for row in rows:
            table = TABLE if dataset is DATASET else member(row["firm"])
            values = dict(row)
            for name in ("utc", "local"):
                values[name] = values[name] and values[name].strftime("%Y-%m-%d %H:%M:%S")
            values["day"] = values["day"] and values["day"].isoformat()
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {quoted(table)} VALUES ({marks})", list(values.values()))
        connection.execute("COMMIT")

    for table in tables:
        connection.execute(f"CREATE TABLE {quoted(table)} ({columns(SQLITE_TYPES)})")
    store = SqlStore("s", f"sqlite:///{path}", [dataset], deployment="d")
    yield store, insert
    store.close()
    connection.close()


@pytest.fixture
def postgresql_store(postgres_url):
    with postgresql_target(postgres_url, DATASET, [TABLE]) as made:
        yield made


@pytest.fixture
def postgresql_family(postgres_url):
    firms = [firm for firm in FIRMS if firm]
    with postgresql_target(postgres_url, FAMILY, [member(firm) for firm in firms]) as (store, insert):
        yield store, insert, firms


@contextmanager
def postgresql_target(url, dataset, tables):
    connection = psycopg.connect(libpq_url(url))

    def insert(rows):
        marks = ", ".join(["%s"] * len(NAMES))
        with connection.cursor() as cursor:
            for row in rows:
                table = TABLE if dataset is DATASET else member(row["firm"])
                statement = f"INSERT INTO {quoted(table).replace('%', '%%')} VALUES ({marks})"
                cursor.execute(statement, list(row.values()))
        connection.commit()

    for table in tables:
        connection.execute(f"CREATE TABLE {quoted(table)} ({columns(POSTGRESQL_TYPES)})")
    connection.commit()
    store = SqlStore("s", url, [dataset], deployment="d")
    yield store, insert
    store.close()
    connection.close()


@pytest.fixture(params=["utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_nopad_bin", "utf8mb3_unicode_ci"])
def mariadb_store(mariadb_url, request):
    connection = mariadb.connect(mariadb_url, autocommit=False, sql_mode="NO_BACKSLASH_ESCAPES")
    listed = TABLE.replace("`", "``")

    def insert(rows):
        with connection.cursor() as cursor:
            marks = ", ".join(["%s"] * len(NAMES))
            statement = f"INSERT INTO `{listed.replace('%', '%%')}` VALUES ({marks})"
            for row in rows:
                cursor.execute(
                    statement, [v.replace(tzinfo=None) if isinstance(v, datetime) else v for v in row.values()]
                )
        connection.commit()

    kinds = [
        "bigint PRIMARY KEY",
        "varchar(50)",
        "datetime(3)",
        "datetime(6)",
        "date",
        "bigint",
        "decimal(20)",
        "tinytext",
        "varchar(50)",
        "bigint",
        "boolean",
    ]
    columns = ", ".join(f"`{name}` {kind}" for name, kind in zip(NAMES.values(), kinds, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE `{listed}` ({columns}) COLLATE {request.param}")
    connection.commit()
    store = SqlStore("s", mariadb_url, [DATASET], deployment="d")
    yield store, insert
    store.close()
    connection.close()


@pytest.mark.parametrize("kind", ["sqlite_store", "postgresql_store"])
@pytest.mark.parametrize("seed", [1, 2])
def test_I06_I09_I14_a_selection_means_the_same_rows_everywhere(request, kind, seed):
    """SQL, the verifier's SQL and the plain filter agree on every row, however hostile names and values are."""
    rng = random.Random(f"selections {seed}")
    rows = [make_row(rng, number) for number in range(ROWS)]
    assert agree(rng, rows, *request.getfixturevalue(kind), SELECTIONS) == SELECTIONS


def test_I06_I09_I14_a_selection_means_the_same_rows_on_mariadb(mariadb_store):
    """The same on MariaDB, whatever the collation of its columns ignores."""
    rng = random.Random("selections 3")
    rows = [make_row(rng, number) for number in range(ROWS)]
    assert agree(rng, rows, *mariadb_store, SELECTIONS) == SELECTIONS


@pytest.mark.parametrize("kind", ["sqlite_family", "postgresql_family"])
def test_I06_I09_I14_a_familys_selection_means_the_same_rows_everywhere(request, kind):
    """The same with a table per firm, whatever the firms are called."""
    store, insert, firms = request.getfixturevalue(kind)
    rng = random.Random("a family's selections")
    rows = [row for row in (make_row(rng, number) for number in range(ROWS)) if row["firm"] in firms]
    assert agree(rng, rows, store, insert, SELECTIONS // 3) == SELECTIONS // 3


def agree(rng, rows, store, insert, times):
    """Ask so many selections, each of both builders and of the filter; return how many agreed."""
    insert(rows)
    groups = {firm: rng.choice(["g1", "g2", "g3"]) for firm in FIRMS if firm != "nobody"}
    held = {"Acme", "0"}
    store.prepare("d")
    store.mirror_tenants([TenantRow(firm, group) for firm, group in groups.items()])
    store.mirror_holds([HoldRow("h", firm, None) for firm in held])
    for _ in range(times):
        bound = make_bound(rng)
        expected = {row["id"] for row in rows if wanted(bound, row, groups, held)}
        found = {int(str(item.key[-1])) for item in store.find(bound, None, ROWS)}
        assert found == expected, bound
        days = [
            local_day(row[due.time], TIMES[due.time], due.zone)
            for row in rows
            if row["id"] in expected
            for due in bound.selection.due[:1]
        ]
        counted, seen = store.count(bound), store.residue(bound)
        assert (counted.items, counted.oldest) == (len(expected), min(days, default=None)), bound
        assert (seen.items, seen.oldest) == (len(expected), min(days, default=None)), bound
        assert seen.oddities == store.oddities("hostile", bound), bound
    return times
