"""Families: whose table a name says it is, byte by byte."""

from typing import Any

import pytest

from lifecycle.core.family import is_family, owners, reading, tenant_in
from lifecycle.core.inventory import Dataset, Tenancy


def dataset(by: Any = "table", pattern: str | None = "booking_{tenant}", **values: Any) -> Dataset:
    """Return a dataset of a family."""
    name = values.pop("id", "bookings")
    tenancy = Tenancy(by=by, pattern=pattern)
    return Dataset(id=name, store="main", table="booking", category="content", key=("id",), tenant=tenancy, **values)


@pytest.mark.parametrize(
    ("name", "tenant"),
    [
        ("booking_acme", "acme"),
        ("booking_1", "1"),
        ("booking_10", "10"),
        ("booking_Acme", "Acme"),
        ("Booking_acme", None),
        ("booking_", None),
        ("booking", None),
        ("abooking_acme", None),
        ("booking_acme ", "acme "),
        ("booking_a{tenant}", "a{tenant}"),
    ],
)
def test_I06_a_name_is_read_byte_by_byte(name: str, tenant: str | None) -> None:
    """No case, blank, prefix or neighbour's number makes a table somebody else's."""
    assert tenant_in("booking_{tenant}", name) == tenant


def test_a_pattern_may_begin_or_end_with_the_tenant() -> None:
    """What is spelled out must not overlap: a name shorter than the pattern's own words has no tenant."""
    assert tenant_in("{tenant}_x", "acme_x") == "acme"
    assert tenant_in("a{tenant}a", "a") is None
    assert tenant_in("aa{tenant}aa", "aaa") is None
    assert tenant_in("{tenant}", "acme") == "acme"


def test_families_read_tables_schemas_and_databases() -> None:
    """The tenant stands in the one name that the tenancy says, and the others must fit as they are."""
    by_table, by_schema = dataset(), dataset("schema", "t_{tenant}")
    assert reading(by_table, ("public", "booking_acme"), default="public") == "acme"
    assert reading(by_table, ("public", "booking_acme")) == "acme"
    assert reading(by_table, ("other", "booking_acme"), default="public") is None
    assert reading(dataset(schema="other"), ("other", "booking_acme"), default="public") == "acme"
    assert reading(by_schema, ("t_acme", "booking")) == "acme"
    assert reading(by_schema, ("t_acme", "bookings")) is None
    assert reading(by_schema, (None, "booking")) is None
    by_database = dataset("database", "app_{tenant}")
    assert reading(by_database, ("public", "booking"), database="app_acme") == "acme"
    assert reading(by_database, ("public", "booking"), database="acme") is None
    assert reading(by_database, ("public", "booking")) is None
    assert reading(by_database, ("public", "other"), database="app_acme") is None
    assert (is_family(by_database), is_family(dataset("none", None))) == (True, False)


def test_the_longest_pattern_owns_a_table() -> None:
    """`booking_note_acme` is acme's note; that it could be a booking of `note_acme` is remembered."""
    bookings, notes = dataset(), dataset(pattern="booking_note_{tenant}", id="notes")
    assert owners([bookings, notes], (None, "booking_note_acme")) == ([(notes, "acme")], ["note_acme"])
    assert owners([bookings, notes], (None, "booking_acme")) == ([(bookings, "acme")], [])
    assert owners([bookings, notes], (None, "other")) == ([], [])


def test_families_of_one_pattern_share_their_tables() -> None:
    """Two datasets may be two parts of the same tables."""
    one, two = dataset(), dataset(id="two")
    assert owners([one, two], (None, "booking_acme")) == ([(one, "acme"), (two, "acme")], [])


def test_a_name_that_says_two_things_is_nobodys() -> None:
    """Two patterns of one length that read two tenants own nothing."""
    left, right = dataset(pattern="a_{tenant}"), dataset(pattern="{tenant}_b", id="right")
    assert owners([left, right], (None, "a_b_b")) == ([], ["a_b", "b_b"])
