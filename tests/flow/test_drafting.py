"""What a draft guesses, from catalogues alone: routes, ties, names, cycles; and the document that comes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import pytest

from lifecycle.core.agreement import Agreement
from lifecycle.core.drafting import (
    Draft,
    decisions,
)
from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.inventory import Inventory, Secret
from lifecycle.documents import load
from lifecycle.documents.drafts import write_draft
from lifecycle.flow import drafting
from lifecycle.ports.reach import Survey
from lifecycle.stores.sql.reach import survey
from lifecycle.wiring.creation import create
from lifecycle.wiring.drafting import candidates_of, draft_of, keep, render, source_of
from tests.core import world

TODAY = date(2026, 6, 1)
# ---- the whole draft, over an embedded database ----

SHAPE = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, "Name" TEXT, parent_id INTEGER REFERENCES customer (id));
CREATE TABLE "order" (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer (id),
  buyer_email TEXT, created_at TEXT, ship_to INTEGER, remarks TEXT);
CREATE TABLE line (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES "order" (id) ON DELETE CASCADE);
CREATE TABLE "Odd Name; -- x" (id INTEGER PRIMARY KEY, "key: [" TEXT, no TEXT);
CREATE TABLE odd_name_x (id INTEGER PRIMARY KEY);
CREATE TABLE left_hand (id INTEGER PRIMARY KEY, r INTEGER REFERENCES right_hand (id));
CREATE TABLE right_hand (id INTEGER PRIMARY KEY, l INTEGER REFERENCES left_hand (id));
CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT, last_name TEXT);
CREATE TABLE visit (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (id),
  person_id INTEGER REFERENCES person (id), note TEXT);
CREATE TABLE heap (x TEXT);
CREATE VIEW everything AS SELECT id FROM "order";
CREATE TABLE lifecycle_fence (id INTEGER PRIMARY KEY);
CREATE TRIGGER keep AFTER DELETE ON "order" BEGIN SELECT 1; END;
INSERT INTO customer VALUES (1, 'Muster', NULL), (2, 'Probe', 1);
INSERT INTO "order" VALUES (1, 1, 'a@example.com', '2026-01-02T00:00:00Z', 1, 'x'), (2, 2, NULL, NULL, NULL, NULL);
INSERT INTO line VALUES (1, 1), (2, NULL);
"""


@contextmanager
def shop(tmp_path: Path, shape: str = SHAPE) -> Iterator[Survey]:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(shape)
    with survey(f"sqlite:///{path}") as seen:
        yield seen


def drafted(tmp_path: Path, tenant: str | None = "customer.id", shape: str = SHAPE) -> Draft:
    with shop(tmp_path, shape) as seen:
        return drafting.draft(seen, "main", tenant, TODAY)


def written(draft: Draft, *agreements: Agreement) -> str:
    return write_draft(draft, id="shop", address=Secret(env="SHOP_URL"), country="DE", agreements=agreements)


def read(text: str) -> Inventory:
    document = load(text.encode(), "inventory").document
    assert isinstance(document, Inventory)
    return document


def test_the_strict_loader_reads_what_was_drafted(tmp_path: Path) -> None:
    """Whatever tables and columns are called, the draft is one valid document, unreviewed, our own tables left out."""
    text = written(drafted(tmp_path), world.agreement(world.LOGS))
    inventory = read(text)

    assert not inventory.reviewed
    assert inventory.agreements == ("portal",)
    assert {dataset.table for dataset in inventory.datasets} == {
        "customer", "order", "line", "Odd Name; -- x", "odd_name_x", "left_hand", "right_hand", "person", "visit",
    }  # fmt: skip
    assert len({dataset.id for dataset in inventory.datasets}) == 9
    assert {dataset.category for dataset in inventory.datasets} == {"unreviewed"}
    assert "Categories of portal: log, booking, billing, content." in text


def test_each_guess_has_its_evidence(tmp_path: Path) -> None:
    """Paths with their rows, sampled times, persons, triggers, cascades: in words beside what they led to."""
    text = written(drafted(tmp_path))
    order, line = read(text).dataset("order"), read(text).dataset("line")

    assert (order.tenant.by, order.tenant.column) == ("column", "customer_id")
    assert [(hop.column, hop.table) for hop in line.tenant.path] == [("order_id", "order")]
    assert line.tenant.nulls == "refuse"
    assert order.times["collection"].encoding in {"iso-text", "utc"}
    assert "by a sample: 1 of 1 values fit" in text
    assert [(link.column, link.holds) for link in order.persons] == [("buyer_email", "email")]
    assert "ON DELETE CASCADE reaches line.order_id: declare it under cascades" in text
    assert "trigger keep: declare it" in text
    assert "1 rows reach no tenant" in text
    assert "parent_id references rows of the same table; detach: [parent_id] would loosen it first" in text


def test_the_reviewer_is_told_what_to_decide(tmp_path: Path) -> None:
    """Cycles, relations without a key, persons without a tenant, and what no database knows."""
    told = "\n".join(decisions(drafted(tmp_path)))

    assert "left_hand, right_hand: these tables reference each other in a cycle" in told
    assert "heap: left out, it has no primary key" in told
    assert "everything: left out, it is a view relation" in told
    assert "person: no path to a tenant, but it holds persons whom 1 tables of tenants reference" in told
    assert "line: 1 of 2 rows reach no tenant" in told
    assert "order: ON DELETE paths, triggers or row security" in told
    assert "country, sub-processor, backups" in told


STRANGE = """
CREATE TABLE customer (id INTEGER PRIMARY KEY);
CREATE TABLE visit (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (id), seen_at DATETIME,
  left_at DATETIME, closes DATE);
CREATE TABLE visit_version (id INTEGER, turn INTEGER, customer_id INTEGER, PRIMARY KEY (id, turn));
CREATE TABLE guests (visit_id INTEGER REFERENCES visit (id), customer_id INTEGER REFERENCES customer (id));
INSERT INTO customer VALUES (1), (2);
INSERT INTO visit VALUES (1, 1, '2026-01-02 03:04:05', NULL, NULL);
INSERT INTO visit_version VALUES (1, 1, 1), (1, 2, 1), (9, 3, 7);
"""


def test_what_strangers_schemas_taught(tmp_path: Path) -> None:
    """Histories without foreign keys, times nobody has written yet, texts without an offset, a link without a key."""
    draft = drafted(tmp_path, shape=STRANGE)
    text, told = written(draft), "\n".join(decisions(draft))
    visit, history = read(text).dataset("visit"), read(text).dataset("visit_version")

    assert visit.times["left_at"].encoding == visit.times["closes"].encoding == "iso-text"
    assert text.count("without a zone: utc or local?") == 1
    assert (history.tenant.by, history.tenant.column, history.tenant.nulls) == ("column", "customer_id", "refuse")
    assert "path 1: customer_id reaches 3 of 3 rows, 2 tenants, though no foreign key says so" in " ".join(text.split())
    assert "guests: left out, it has no primary key, yet references customer, visit" in told


def test_a_draft_shows_no_value_of_a_row(tmp_path: Path) -> None:
    """What stood in the rows stands nowhere in the draft (I23)."""
    text = written(drafted(tmp_path))

    assert not [value for value in ("Muster", "a@example.com", "2026-01-02") if value in text]


def test_rows_without_tenants_are_drafted_too(tmp_path: Path) -> None:
    """A database of one company alone: every dataset has tenancy none, and no path is looked for."""
    draft = drafted(tmp_path, tenant=None)

    assert {dataset.tenant.by for dataset in read(written(draft)).datasets} == {"none"}
    assert draft.tenant is None


def test_a_column_named_like_a_tenants_id_is_pointed_at_where_no_path_is_found(tmp_path: Path) -> None:
    """Without a table of tenants, rows may still name theirs: the reviewer is asked, nobody guesses."""
    shape = "CREATE TABLE hit (id INTEGER PRIMARY KEY, tenant_id TEXT, path TEXT);"
    text = written(drafted(tmp_path, tenant=None, shape=shape))
    assert "# decide: tenant_id is named like a tenant's id: is it by column?" in text
    assert "path is named like" not in text
    assert "tenant: {by: none}" in text


def test_a_tenant_column_that_is_not_there_is_refused_with_likely_ones(tmp_path: Path) -> None:
    """A name from the command line is compared with the catalogue, never put into a query."""
    with shop(tmp_path) as seen, pytest.raises(InvalidDocument, match="no such tenant") as caught:
        drafting.draft(seen, "main", "customer.id; DROP TABLE customer", TODAY)

    assert "customer.id" in caught.value.advice()


def test_an_empty_database_makes_no_draft(tmp_path: Path) -> None:
    """Nothing to see is an error, never an empty inventory (I5)."""
    with shop(tmp_path, "CREATE TABLE heap (x TEXT);") as seen, pytest.raises(InvalidDocument, match="no table"):
        drafting.draft(seen, "main", None, TODAY)


def test_a_command_line_is_no_place_for_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address with a password is refused without repeating it; a variable, a file or a bare address will do."""
    monkeypatch.setenv("SHOP_URL", "postgresql://app:verysecret@db.example/shop")
    for text in ("postgresql://app:verysecret@db.example/shop", "postgresql://db.example/shop?password=verysecret"):
        with pytest.raises(InvalidDocument) as caught:
            source_of(text, tmp_path)
        assert "verysecret" not in f"{caught.value}{caught.value.advice()}"
    for text in ("no address", "env:lower", f"sqlite:///{tmp_path}/none.db"):
        with pytest.raises(InvalidDocument):
            source_of(text, tmp_path)

    assert source_of("env:SHOP_URL", tmp_path).secret == Secret(env="SHOP_URL")
    assert "verysecret" not in repr(source_of("env:SHOP_URL", tmp_path))
    assert source_of("postgresql://db.example/shop", tmp_path).plain


def test_a_store_is_drafted_from_its_address(tmp_path: Path) -> None:
    """What the command line does: candidates first, then the draft of the named one."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.executescript(SHAPE)
    source = source_of(f"sqlite:///{tmp_path}/app.db", tmp_path)

    assert candidates_of(source)[0].place == (None, "customer")
    assert draft_of(source, "customer.id", TODAY).tables
    with pytest.raises(Refused, match="no store is built"):
        draft_of(source_of("mssql://db.example/shop", tmp_path), None, TODAY)


TIED = """
CREATE TABLE customer (id INTEGER PRIMARY KEY);
CREATE TABLE ticket (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (id));
CREATE TABLE waits (id INTEGER PRIMARY KEY, a INTEGER REFERENCES ticket (id), b INTEGER REFERENCES ticket (id));
CREATE TABLE reply (id INTEGER PRIMARY KEY, "at!" DATETIME, at DATETIME);
CREATE TABLE "r-eply" (id INTEGER PRIMARY KEY);
CREATE TABLE reply_customer (id INTEGER PRIMARY KEY, reply_id INTEGER REFERENCES reply (id),
  customer_id INTEGER REFERENCES customer (id));
CREATE TABLE "R eply" ("x y" INTEGER PRIMARY KEY);
INSERT INTO customer VALUES (1), (2);
INSERT INTO ticket VALUES (1, 1), (2, 2);
INSERT INTO waits VALUES (1, 1, 2), (2, 1, 1);
INSERT INTO reply VALUES (1, '2026-01-01', '2026-01-01'), (2, '2026-01-02', '2030-01-01'), (3, NULL, '2030-01-01');
INSERT INTO reply_customer VALUES (1, 1, 1), (2, 2, 1), (3, 2, 2);
"""


def test_ties_contested_rows_and_backward_ties_are_decisions(tmp_path: Path) -> None:
    """Equal paths are marked, rows that reach two tenants counted, and parents of link rows asked about."""
    draft = drafted(tmp_path, shape=TIED)
    told, text = "\n".join(decisions(draft)), written(draft)

    assert "waits: two paths are equally long" in told
    assert "waits: 1 rows are contested" in told
    assert "reply: tied to tenants only through reply_customer (1 rows to one, 1 to several, 1 to none)" in told
    assert "paths 1 and 2 name different tenants for 1 rows (contested)" in text
    assert "decide: another path is as good" in text
    assert "What becomes of a row whose last tenant leaves?" in " ".join(text.replace("#", "").split())
    assert set(read(text).dataset("reply").times) == {"collection", "at"}
    assert "in the future" in text


def test_the_draft_becomes_the_inventory_and_replaces_none(tmp_path: Path) -> None:
    """An address without a secret is kept in a file that only its owner reads; what is there is never overwritten."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.executescript(SHAPE)
    folder = tmp_path / "deployment"
    create(folder, deployment="shop", origin="lifecycle.example.com/shop", agreements=("clientport",))
    source = source_of(f"sqlite:///{tmp_path}/app.db", folder)
    text = render(draft_of(source, "customer.id", TODAY), source, "shop", ("clientport",), "DE")
    path = keep(text, source, folder)
    address = folder / "main.address"

    assert read(path.read_text()).stores[0].address == Secret(file="main.address")
    assert (address.stat().st_mode & 0o777, address.read_text()) == (0o600, f"sqlite:///{tmp_path}/app.db\n")
    with pytest.raises(InvalidDocument, match="an inventory already"):
        keep(text, source, folder)
    with pytest.raises(InvalidDocument):
        render(draft_of(source, "customer.id", TODAY), source, "shop", ("nothing",), "DE")
