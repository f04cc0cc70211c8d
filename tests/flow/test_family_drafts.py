"""A table or a schema per tenant is drafted as one dataset, with evidence and without any tenant's name."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event

from lifecycle.core.drafting import decisions
from lifecycle.core.inventory import Inventory, Secret
from lifecycle.documents import load
from lifecycle.documents.drafts import write_draft
from lifecycle.flow import drafting
from lifecycle.stores.sql.reach import SqlSurvey, survey
from tests.servers import libpq_url

TODAY = date(2026, 6, 1)
FIRMS = ("acme", "borealis", "delos-9", "ember")


def per_table() -> list[str]:
    """A table per firm and kind, of which one lacks a column, one is of a firm nobody registered."""
    made = [
        "CREATE TABLE firm (code varchar(20) PRIMARY KEY, name varchar(20))",
        "CREATE TABLE room (id integer PRIMARY KEY, title varchar(20))",
        "CREATE TABLE booking_odd (id integer PRIMARY KEY)",
    ]
    for firm in (*FIRMS, "stranger"):
        made += [
            f'CREATE TABLE "customer_{firm}" (id integer PRIMARY KEY, email varchar(20))',
            (
                f'CREATE TABLE "booking_{firm}" (id integer PRIMARY KEY, made_on date, room_id integer'
                f' REFERENCES room (id), customer_id integer REFERENCES "customer_{firm}" (id) ON DELETE CASCADE)'
            ),
            f'CREATE TABLE "heap_{firm}" (x integer)',
        ]
    return made + [f"INSERT INTO firm VALUES ('{firm}', 'a name')" for firm in FIRMS]


def per_schema() -> list[str]:
    """A schema per firm beside the common one."""
    made = ["CREATE TABLE firm (code varchar(20) PRIMARY KEY)"]
    for firm in FIRMS:
        made += [
            f'CREATE SCHEMA "{firm}"',
            f'CREATE TABLE "{firm}".customer (id integer PRIMARY KEY, email varchar(20))',
            (
                f'CREATE TABLE "{firm}".booking (id integer PRIMARY KEY, made_on date,'
                f' customer_id integer REFERENCES "{firm}".customer (id))'
            ),
            f"INSERT INTO firm VALUES ('{firm}')",
        ]
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a database with a table per firm."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
            connection.executescript(";".join(per_table()))
        return f"sqlite:///{tmp_path / 'app.db'}"
    found: str = request.getfixturevalue("postgres_url")
    with psycopg.connect(libpq_url(found), autocommit=True) as connection:
        connection.execute(";".join(per_table()))
    return found


def drafted(url: str, tenant: str | None) -> tuple[Inventory, str]:
    """Return the draft as its document, and everything that it says."""
    with survey(url) as seen:
        draft = drafting.draft(seen, "main", tenant, TODAY)
    text = write_draft(draft, id="shop", address=Secret(env="SHOP_URL"), country="DE")
    document = load(text.encode(), "inventory").document
    assert isinstance(document, Inventory)
    return document, "\n".join([text, *decisions(draft)])


def test_a_table_per_tenant_is_one_dataset(url: str) -> None:
    """With the pattern, what speaks for it, and how many tables are odd; nothing is drafted per tenant."""
    inventory, text = drafted(url, "firm.code")
    assert sorted(dataset.id for dataset in inventory.datasets) == ["booking", "customer", "firm", "room"]
    booking = inventory.dataset("booking")
    assert (booking.tenant.by, booking.tenant.pattern, booking.table) == ("table", "booking_{tenant}", "booking")
    assert (booking.key, set(booking.columns)) == (("id",), {"id", "made_on", "room_id", "customer_id"})
    assert inventory.dataset("customer").persons[0].column == "email"
    told = " ".join(text.replace("# ", "").split())
    assert "5 like tables fit booking_{tenant}, 1 more fit it and have another shape; 4 of 6 are named after" in told
    assert "ON DELETE CASCADE reaches booking_{tenant}.customer_id" in told
    assert "5 tables heap_{tenant}: left out, it has no primary key" in told
    assert "rows of tenants reference it, in booking" in told
    assert not [firm for firm in (*FIRMS, "stranger") if firm in text]


def test_a_family_is_recognised_without_a_tenants_table(url: str) -> None:
    """Then nothing vouches for it but the tables, and the draft says so."""
    inventory, text = drafted(url, None)
    assert inventory.dataset("customer").tenant.pattern == "customer_{tenant}"
    assert "nobody said which tenants there are" in " ".join(text.split())


def test_a_schema_per_tenant_is_one_dataset_for_each_table(postgres_url: str) -> None:
    """The schema's whole name may be the tenant."""
    with psycopg.connect(libpq_url(postgres_url), autocommit=True) as connection:
        connection.execute(";".join(per_schema()))
    inventory, text = drafted(postgres_url, "firm.code")
    assert sorted(dataset.id for dataset in inventory.datasets) == ["booking", "customer", "firm"]
    booking = inventory.dataset("booking")
    assert (booking.tenant.by, booking.tenant.pattern, booking.table) == ("schema", "{tenant}", "booking")
    assert booking.schema_ is None
    assert not [firm for firm in FIRMS if firm in text]


def test_a_thousand_tables_are_drafted_in_a_handful_of_statements(tmp_path: Path) -> None:
    """The catalogue is read once, and one member is looked at."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.execute("CREATE TABLE firm (code TEXT PRIMARY KEY)")
        for number in range(1_000):
            connection.execute(f'CREATE TABLE "booking_firm-{number}" (id INTEGER PRIMARY KEY, made_on TEXT)')
    asked: list[str] = []
    with survey(f"sqlite:///{tmp_path / 'app.db'}") as seen:
        assert isinstance(seen, SqlSurvey)
        event.listen(seen._connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
        draft = drafting.draft(seen, "main", None, TODAY)
    assert [(table.id, table.family and table.family.members) for table in draft.tables] == [
        ("booking", 1_000),
        ("firm", None),
    ]
    assert len(asked) < 10
