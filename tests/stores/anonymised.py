"""A table of persons in three databases, its declared transforms, and what must become of each value: plain Python.

The oracle shares no code with the product: it reads values as drivers give them and decides by their parts.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lifecycle.core.inventory import Dataset, Tenancy, TimeColumn
from lifecycle.core.plan import Anonymise
from lifecycle.core.selection import Bound
from lifecycle.core.transform import CoarseDate, CoarseNumber, Constant, Keep, SetNull, Token
from lifecycle.testing import store_world as w

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

CUTOFF = date(2025, 12, 31)
OLD, YOUNG = date(2025, 6, 1), date(2026, 2, 20)
COLUMNS = {
    "id": ("INTEGER PRIMARY KEY", "bigint PRIMARY KEY", "bigint PRIMARY KEY"),
    "firm": ("TEXT", "text", "varchar(190)"),
    "made": ("TEXT", "timestamptz", "datetime(6)"),
    "note": ("TEXT", "text", "text"),
    "name": ("TEXT NOT NULL", "character varying(40) NOT NULL", "varchar(40) NOT NULL"),
    "vip": ("BOOLEAN", "boolean", "boolean"),
    "level": ("INTEGER", "smallint", "smallint"),
    "born": ("TEXT", "date", "date"),
    "seen": ("TEXT", "timestamptz", "timestamp(6) NULL"),
    "left_at": ("TEXT", "timestamp", "datetime(6)"),
    "wrote": ("TEXT", "text", "text"),
    "income": ("INTEGER", "integer", "int"),
    "weight": ("REAL", "numeric", "decimal(20,7)"),
    "email": ("TEXT NOT NULL UNIQUE", "text NOT NULL UNIQUE", "varchar(190) NOT NULL UNIQUE"),
    "code": ("VARCHAR(24) UNIQUE", "character varying(24) UNIQUE", "varchar(24) UNIQUE"),
    "external": ("TEXT", "uuid", "uuid"),
    "country": ("TEXT", "text", "char(2)"),
}
TREATMENTS = (
    Keep(column="id", why="A running number that stands nowhere else"),
    Keep(column="firm", why="The tenant"),
    Keep(column="made", why="The start time"),
    SetNull(column="note"),
    Constant(column="name", value="removed"),
    Constant(column="vip", value=False),
    Constant(column="level", value=0),
    CoarseDate(column="born", to="year"),
    CoarseDate(column="seen", to="month"),
    CoarseDate(column="left_at", to="year"),
    CoarseDate(column="wrote", to="month"),
    CoarseNumber(column="income", step=1000),
    CoarseNumber(column="weight", step=5),
    Token(column="email", suffix="@example.invalid"),
    Token(column="code", digits=16),
    Token(column="external"),
    Keep(column="country", why="Two letters"),
)
PERSONS = Dataset(
    id="persons",
    store=w.STORE,
    table="persons",
    category="content",
    key=("id",),
    tenant=Tenancy(by="column", column="firm"),
    times={"made": TimeColumn(column="made", encoding="utc")},
    anonymise=TREATMENTS,
)
ACTION = Anonymise(transforms=PERSONS.transforms, granted_by="3.5")
CHANGED = tuple(transform.column for transform in PERSONS.transforms)
ODD_TEXTS = (
    "2025-02-31", "2025-03-01", "2025-01-01 00:00:00", "2025-03-01T00:00:00Z", "2025-03-01T00:00:00+02:00",
    "2025-13-01", "2025-3-1", "1 March 2025", "", "2025-03-01\n", "2025-03-01 00:00", "2025-03-14T25:00", "0025-01-01",
    "2025-03-14 10:11:12.5", "2025-03-14T10:11Z", "2025-03-14T10:11:12+0530", "２025-03-14", "infinity",
)  # fmt: skip
ALMOST = (
    "anon~" + "A" * 32, "anon~" + "0" * 31, "anon~" + "0" * 33, "ANON~" + "0" * 32, "anon~" + "0" * 32 + "\n",
    "anon~" + "0" * 31 + "é", "anon-" + "0" * 32, "", " anon~" + "0" * 32,
)  # fmt: skip


def ddl(kind: str) -> list[str]:
    """Return the table's statement."""
    place = ("sqlite", "postgresql", "mariadb").index(kind)
    listed = ", ".join(f"{name} {words[place]}" for name, words in COLUMNS.items())
    return [f"CREATE TABLE persons ({listed})", "CREATE INDEX persons_made ON persons (made)"]


def bound(*, due: bool = True, dataset: Dataset = PERSONS, tenant: str = "acme") -> Bound:
    """Return the selection of a tenant's due rows that are not anonymised."""
    made = w.of_tenant(tenant, dataset.id, *([w.before(CUTOFF)] if due else []))
    return Bound(made.selection.model_copy(update={"undone": dataset.transforms}), made.tenant)


def person(number: int, rng: random.Random, **more: Any) -> dict[str, Any]:
    """Return a person whose every value names it, now and then an odd or absent one."""
    day = date(1990, 1, 1) + timedelta(days=rng.randint(0, 9000))
    moment = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randint(0, 30_000_000))
    row = {
        "id": number,
        "firm": rng.choice(["acme", "acme", "borealis", "cetus"]),
        "made": w.at(rng.choice([OLD, OLD, YOUNG])),
        "note": f"canary note {number}",
        "name": rng.choice([f"canary name {number}", "Removed", "removed "]),
        "vip": True,
        "level": rng.choice([-7, 3, 32767, -32768]),
        "born": day,
        "seen": moment,
        "left_at": moment.replace(tzinfo=None),
        "wrote": rng.choice([moment.isoformat(), moment.date().isoformat(), *ODD_TEXTS]),
        "income": rng.choice([-(2**31), 2**31 - 1, -1, 1, 999, 1001, rng.randint(-90_000, 90_000)]),
        "weight": rng.choice([Decimal("71.25"), Decimal("-4.5"), Decimal("5.0000001"), Decimal("123456.5")]),
        "email": f"canary{number}@example.com" if rng.random() < 0.8 else rng.choice(ALMOST) + str(number),
        "code": f"canary-{number}",
        "external": UUID(int=rng.getrandbits(128), version=4),
        "country": "DE",
    }
    for name in ("note", "vip", "level", "born", "seen", "left_at", "wrote", "income", "weight", "code", "external"):
        if rng.random() < 0.1:
            row[name] = None
    return row | more


def anonymous(number: int, rng: random.Random, kind: str, **more: Any) -> dict[str, Any]:
    """Return a row as anonymising leaves one behind."""
    token = f"{rng.getrandbits(128):032x}"
    uuid = f"616e6f6e-{token[:4]}-8{token[4:7]}-9{token[7:10]}-{token[10:22]}"
    row = {
        "note": None,
        "name": "removed",
        "vip": False,
        "level": 0,
        "born": date(1990, 1, 1),
        "seen": datetime(2025, 3, 1, tzinfo=UTC),
        "left_at": datetime(2025, 1, 1),  # noqa: DTZ001 - the column has no zone
        "wrote": rng.choice(["2025-03-01", "2025-03-01 00:00:00", "2025-03-01T00:00:00Z", None]),
        "income": rng.choice([0, -1000, 2000]),
        "weight": rng.choice([Decimal(5), Decimal(0), Decimal(-10)]),
        "email": f"anon~{token}@example.invalid",
        "code": f"anon~{token[:16]}",
        "external": f"anon~{token}" if kind == "sqlite" else UUID(uuid),
    }
    return person(number, rng) | row | more


def stored(row: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a row as the application writes it into that database."""
    if kind == "postgresql":
        return row
    if kind == "mariadb":
        return row | {"external": row["external"] and str(row["external"])}
    changed = {"weight": None if row["weight"] is None else float(row["weight"])}
    if isinstance(row["external"], UUID):
        changed["external"] = str(row["external"])
    for name in ("seen", "left_at"):
        changed[name] = row[name] and row[name].strftime("%Y-%m-%d %H:%M:%S")
    return row | changed


def is_done(row: dict[str, Any], kind: str) -> bool:
    """Tell whether nothing of a person is left in a row, as the drivers give it."""
    return all(row[name] is None or bool(_DONE[name](row[name], kind)) for name in CHANGED)


def _first(value: Any, kind: str, month: tuple[int, ...]) -> bool:
    if kind == "sqlite" or isinstance(value, str):
        return _first_text(value, month)
    clock = (value.hour, value.minute, value.second, value.microsecond) if isinstance(value, datetime) else (0, 0, 0, 0)
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC)
        clock = (value.hour, value.minute, value.second, value.microsecond)
    return value.day == 1 and value.month in month and clock == (0, 0, 0, 0)


def _first_text(text: str, month: tuple[int, ...]) -> bool:
    months = {f"{number:02d}" for number in month}
    year, rest = text[:4], text[10:]
    plain = year.isascii() and year.isdigit() and year[0] in "12" and text[4:5] == "-" and text[7:10] == "-01"
    return plain and text[5:7] in months and rest in {"", " 00:00:00", "T00:00:00", " 00:00:00Z", "T00:00:00Z"}


def _multiple(value: Any, step: int) -> bool:
    return Decimal(str(value)) % step == 0


def _token(text: Any, digits: int, suffix: str = "") -> bool:
    body = str(text).removeprefix("anon~").removesuffix(suffix)
    return str(text) == f"anon~{body}{suffix}" and len(body) == digits and set(body) <= set("0123456789abcdef")


def _external(value: Any, kind: str) -> bool:
    if kind == "sqlite":
        return _token(value, 32)
    return re.fullmatch("616e6f6e-....-8...-[89ab]...-............", str(value)) is not None


YEAR, MONTH = (1,), tuple(range(1, 13))
_DONE: dict[str, Any] = {
    "note": lambda value, kind: False,
    "name": lambda value, kind: value == "removed",
    "vip": lambda value, kind: value in (False, 0),
    "level": lambda value, kind: value == 0,
    "born": lambda value, kind: _first(value, kind, YEAR),
    "seen": lambda value, kind: _first(value, kind, MONTH),
    "left_at": lambda value, kind: _first(value, kind, YEAR),
    "wrote": lambda value, kind: _first_text(value, MONTH),
    "income": lambda value, kind: _multiple(value, 1000),
    "weight": lambda value, kind: _multiple(value, 5),
    "email": lambda value, kind: _token(value, 32, "@example.invalid"),
    "code": lambda value, kind: _token(value, 16),
    "external": _external,
}


def wanted(rows: Iterable[dict[str, Any]], kind: str) -> set[int]:
    """Return the keys of the acme rows that are due and not anonymised."""
    return {
        row["id"] for row in rows if row["firm"] == "acme" and _made(row["made"]) <= CUTOFF and not is_done(row, kind)
    }


def _made(value: Any) -> date:
    return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).date()
