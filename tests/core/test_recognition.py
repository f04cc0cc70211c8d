"""Which like tables are taken for a family: by safe patterns, at least three, strengthened by known tenants' ids."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lifecycle.core.drafting import Draft, FamilyDraft, TableDraft, decisions
from lifecycle.core.family import Name
from lifecycle.core.recognition import Known, Recognised, recognise


def tables(*names: str, shape: str = "a", schema: str | None = None) -> dict[Name, str]:
    return {(schema, name): shape for name in names}


def ids(*known: str) -> Known:
    def among(names: Collection[str]) -> Iterable[str]:
        return [name for name in known if name in names]

    return among  # type: ignore[return-value]


def patterns(found: tuple[Recognised, ...]) -> dict[str, int]:
    return {one.pattern: len(one.members) for one in found}


def test_three_like_tables_are_a_family_and_two_are_none() -> None:
    """The varying part lies before, behind or between what is common."""
    assert patterns(recognise(tables("booking_acme", "booking_borealis"), None)) == {}
    assert patterns(recognise(tables("booking_acme", "booking_bolt", "booking_x-y"), None)) == {"booking_{tenant}": 3}
    assert patterns(recognise(tables("acme_log", "bolt_log", "x_log"), None)) == {"{tenant}_log": 3}
    (found,) = recognise(tables("t_acme_log", "t_bolt_log", "t_x_log"), None)
    assert (found.by, found.pattern, found.table, found.known) == ("table", "t_{tenant}_log", "t_log", None)


def test_a_pattern_ends_where_a_word_does() -> None:
    """Tenants that begin alike keep their names whole."""
    assert patterns(recognise(tables("booking_acme1", "booking_acme2", "booking_acme10"), None)) == {
        "booking_{tenant}": 3
    }


def test_tables_of_another_shape_or_without_a_separator_are_no_family() -> None:
    """Alike in name alone, or in shape alone."""
    assert recognise({(None, f"booking_{name}"): name for name in ("a", "b", "c")}, None) == ()
    assert recognise(tables("acme", "bolt", "case"), None) == ()
    assert recognise(tables("x_{tenant}", "x_{tenant}a", "x_{tenant}b"), None) == ()


def test_partitions_are_no_tenants_unless_tenants_are_called_so() -> None:
    """Years and numbers say nothing of their own."""
    years = tables("log_2024", "log_2025", "log_2026")
    assert recognise(years, None) == ()
    assert recognise(tables("log_p1", "log_p2", "log_2025_01"), None) == ()
    assert recognise(years, ids("acme")) == ()
    (found,) = recognise(years, ids("2024", "2025", "7"))
    assert (found.pattern, found.known) == ("log_{tenant}", 2)


def test_known_tenants_decide_where_the_name_is_cut() -> None:
    """The longest common part is proposed only while nobody knows better."""
    firms = tables("booking_de_acme", "booking_de_bolt", "booking_de_case")
    assert patterns(recognise(firms, None)) == {"booking_de_{tenant}": 3}
    assert patterns(recognise(firms, ids("de_acme", "de_bolt"))) == {"booking_{tenant}": 3}
    assert recognise(firms, ids("acme")) == ()


def test_what_fits_the_pattern_and_has_another_shape_is_odd() -> None:
    """It is never drafted beside the family; a second frequent shape is no second family."""
    shapes = tables("booking_a", "booking_b", "booking_c", "booking_d") | tables("booking_e", "bookings", shape="b")
    shapes |= tables("booking_f", "booking_g", "booking_h", shape="c")
    (found,) = recognise(shapes, None)
    assert (len(found.members), sorted(found.odd)) == (4, [(None, f"booking_{name}") for name in "efgh"])


def test_the_longest_pattern_owns_a_name() -> None:
    """As in the store; a pattern that is left with fewer than three tables is none."""
    lines = tables("booking_line_a", "booking_line_b", "booking_line_c", shape="b")
    found = recognise(tables("booking_a", "booking_b", "booking_c") | lines, None)
    assert patterns(found) == {"booking_{tenant}": 3, "booking_line_{tenant}": 3}
    known = ids("a", "b", "line_a", "line_c", "x_a", "x_b", "x_c")
    shorter = tables("booking_x_a", "booking_x_b", "booking_x_c") | tables("booking_x_q", shape="c")
    assert patterns(recognise(shorter, known)) == {"booking_{tenant}": 3}
    eaten = tables("k_x_a", "k_x_b", "k_l") | tables("k_x_c", "k_x_d", "k_x_e", shape="b")
    assert patterns(recognise(eaten, ids("x_a", "x_b", "l", "c", "d", "e"))) == {"k_x_{tenant}": 3}


def test_schemas_of_tenants_share_a_pattern() -> None:
    """By schema the whole name may be the tenant; each table is one dataset."""
    shapes: dict[Name, str] = {("public", "firm"): "firm"}
    for schema in ("t_acme", "t_bolt", "t_case"):
        shapes |= {(schema, "booking"): "b", (schema, "person"): "p"}
    found = recognise(shapes, None)
    assert [(one.by, one.pattern, one.schema, one.table) for one in found] == [
        ("schema", "t_{tenant}", None, "booking"),
        ("schema", "t_{tenant}", None, "person"),
    ]
    bare = {(schema, "booking"): "b" for schema in ("acme", "bolt", "case")}
    (found_bare,) = recognise(bare, ids("acme", "bolt"))
    assert (found_bare.pattern, found_bare.known) == ("{tenant}", 2)


def test_the_reviewer_is_asked_whether_the_name_tells_the_tenant() -> None:
    """With the evidence: members, odd ones, names that are a known tenant's."""
    said = FamilyDraft("table", "booking_{tenant}", 9, 2, 10)
    table = TableDraft("booking", (None, "booking"), ("id",), ("id",), 3, family=said)
    told = list(decisions(Draft("main", None, (table,))))
    assert told[0] == (
        "booking: 9 like tables fit booking_{tenant}, 2 more fit it and have another shape; "
        "10 of 11 are named after a known tenant; say whether the name tells the tenant"
    )
    assert not any("no path to a tenant" in line for line in told)
    assert FamilyDraft("schema", "{tenant}", 3).words().endswith("nobody said which tenants there are")


def test_ten_thousand_tables_are_one_family() -> None:
    """Names are read once each."""
    many = tables(*(f"booking_firm-{number}" for number in range(10_000)))
    assert patterns(recognise(many, None)) == {"booking_{tenant}": 10_000}
    firms = ids(*(f"firm-{number}" for number in range(9_000)))
    assert patterns(recognise(many, firms)) == {"booking_{tenant}": 10_000}
