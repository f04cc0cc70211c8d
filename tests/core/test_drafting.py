"""What a draft guesses from a catalogue and counts: routes, ties, names, cycles, and what is left to a person."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.core.drafting import (
    MOST_HOPS,
    MOST_ROUTES,
    Backwards,
    Disagreement,
    Draft,
    Edge,
    Evidence,
    Place,
    Route,
    TableDraft,
    TimeGuess,
    candidates,
    choose,
    cycles,
    decisions,
    routes,
    time_rank,
)
from lifecycle.core.guesses import copied_table, looks_like_time, names_tenant, nature, person_kind, words_of
from lifecycle.core.undeclared import references
from tests.core import world

FIRM: Place = (None, "firm")
TENANT = (FIRM, "id")


def edge(table: str, column: str, to: str, key: str = "id") -> Edge:
    return Edge((None, table), column, (None, to), key)


def words(found: Sequence[Route]) -> list[str]:
    return [route.words() for route in found]


# ---- routes ----


def test_a_route_ends_where_the_last_key_holds_the_tenant_itself() -> None:
    """A foreign key to the tenant's own column is enough; another column needs the tenant's table."""
    edges = [edge("case", "firm_id", "firm"), edge("note", "case_id", "case")]

    assert words(routes((None, "note"), edges, TENANT)) == ["case_id > case.firm_id"]
    assert words(routes((None, "note"), edges, (FIRM, "code"))) == ["case_id > case.firm_id > firm.code"]
    assert words(routes(FIRM, edges, TENANT)) == ["id"]


def test_shorter_routes_come_first_and_every_one_is_shown() -> None:
    """The misleading way round stands behind the direct one; a reference inside the table counts once."""
    edges = [
        edge("case", "firm_id", "firm"),
        edge("case", "article_id", "article"),
        edge("article", "firm_id", "firm"),
        edge("case", "merged_id", "case"),
        edge("note", "case_id", "case"),
    ]

    assert words(routes((None, "case"), edges, TENANT)) == [
        "firm_id",
        "article_id > article.firm_id",
        "merged_id > case.firm_id",
        "merged_id > case.article_id > article.firm_id",
    ]
    assert words(routes((None, "note"), edges, TENANT)) == [
        "case_id > case.firm_id",
        "case_id > case.article_id > article.firm_id",
    ]


def test_a_table_without_a_way_has_no_route() -> None:
    """References into the table do not tell whose its rows are."""
    assert routes((None, "person"), [edge("case", "person_id", "person"), edge("case", "f", "firm")], TENANT) == ()


def test_routes_are_bounded_whatever_the_catalogue() -> None:
    """A catalogue in which everything references everything gives a handful of short routes, not a million."""
    names = [f"t{number}" for number in range(12)]
    edges = [edge(a, f"{b}_id", b) for a in names for b in [*names, "firm"] if a != b]
    found = routes((None, "t0"), edges, TENANT)

    assert len(found) == MOST_ROUTES
    assert all(len(route.hops) < MOST_HOPS for route in found)
    chain = [edge(f"t{n}", "next_id", f"t{n + 1}") for n in range(9)] + [edge("t9", "firm_id", "firm")]
    assert routes((None, "t0"), chain, TENANT) == ()


def test_most_rows_win_then_the_shortest_and_a_tie_is_a_tie() -> None:
    """Reach decides before length; equal reach and length are nobody's choice."""
    short, long = Route((), "a"), routes((None, "n"), [edge("n", "c", "case"), edge("case", "f", "firm")], TENANT)[0]

    assert choose((Evidence(short, 29, 6), Evidence(long, 100, 6))) == (1, False)
    assert choose((Evidence(long, 100, 6), Evidence(short, 100, 6))) == (1, False)
    assert choose((Evidence(short, 5, 1), Evidence(short, 5, 2))) == (0, True)
    assert choose(()) == (None, False)


def test_where_no_row_speaks_a_reference_that_may_be_empty_yields() -> None:
    """In an empty table the longer way over columns that are never NULL is safer; the tenant's own column is safest."""
    short = Route((), "a")
    never = [("n", "d", "deed"), ("deed", "o", "office"), ("office", "f", "firm")]
    edges = [edge("n", "c", "case"), edge("case", "f", "firm")]
    edges += [Edge((None, table), column, (None, to), "id", required=True) for table, column, to in never]
    loose, sure = routes((None, "n"), edges, TENANT)

    assert (loose.certain, sure.certain, len(sure.hops)) == (False, True, 2)
    assert choose((Evidence(loose, 0, 0), Evidence(sure, 0, 0))) == (1, False)
    assert choose((Evidence(sure, 0, 0), Evidence(short, 0, 0))) == (1, False)
    assert choose((Evidence(sure, 4, 2), Evidence(loose, 4, 2))) == (1, False), "rows decide where there are some"


def test_of_two_ways_alike_the_one_that_is_never_empty_is_proposed() -> None:
    """Equal reach and length are no tie where one of them may miss the next row."""
    may, never = edge("n", "a", "case"), Edge((None, "n"), "b", (None, "deed"), "id", required=True)
    ends = [Edge((None, name), "f", FIRM, "id", required=True) for name in ("case", "deed")]
    loose, sure = routes((None, "n"), [may, never, *ends], TENANT)

    assert choose((Evidence(loose, 3, 1), Evidence(sure, 3, 1))) == (1, False)


# ---- references that only names suggest ----

TYPES: dict[Place, dict[str, str]] = {
    (None, "firm"): {"id": "VARCHAR(64)"},
    (None, "person"): {"id": "INTEGER", "firm_id": "VARCHAR(64)"},
    (None, "person_version"): {"id": "INTEGER", "firm_id": "VARCHAR(80)", "turn": "INTEGER"},
    (None, "bill"): {"id": "INTEGER", "payer_id": "INTEGER", "parent_id": "INTEGER"},
    (None, "bill_version"): {"id": "INTEGER", "payer_id": "INTEGER", "parent_id": "INTEGER", "turn": "INTEGER"},
    (None, "import"): {"id": "INTEGER", "firm_id": "INTEGER", "payer_id": "INTEGER", "parent_id": "INTEGER"},
    (None, "firm_version"): {"id": "VARCHAR(64)", "turn": "INTEGER"},
    (None, "link_history"): {"bill_id": "INTEGER"},
    (None, "link"): {"bill_id": "INTEGER"},
}
KEYS: dict[Place, str] = {(None, name): "id" for name in ("firm", "person", "bill", "import")}
DECLARED = [
    edge("person", "firm_id", "firm"), edge("bill", "payer_id", "person"), edge("bill", "parent_id", "bill"),
    edge("link", "bill_id", "bill"),
]  # fmt: skip


def test_a_history_references_what_it_copies_and_whatever_that_references() -> None:
    """By the same key and the same columns; a width beside the type does not matter."""
    found = {(e.table[1], e.column): e.to[1] for e in references(TYPES, KEYS, DECLARED)}

    assert found[("person_version", "id")] == "person"
    assert found[("person_version", "firm_id")] == "firm"
    assert found[("bill_version", "payer_id")] == "person"
    assert found[("bill_version", "parent_id")] == "bill"
    assert found[("firm_version", "id")] == "firm"
    assert found[("link_history", "bill_id")] == "bill"
    assert not [table for table, _ in found if table in {"firm", "person", "bill"}], "what is declared is not guessed"


def test_a_column_named_like_every_foreign_key_of_that_name_is_a_reference_if_the_types_agree() -> None:
    """A number is not compared with a text; a reference inside another table says nothing about this one."""
    found = {(e.table[1], e.column): e for e in references(TYPES, KEYS, DECLARED) if e.table[1] == "import"}
    split = references(TYPES, KEYS, [*DECLARED, edge("firm_version", "payer_id", "firm")])

    assert list(found) == [("import", "payer_id")]
    assert not found["import", "payer_id"].declared
    assert ("import", "payer_id") not in {(e.table[1], e.column) for e in split}, "they do not agree"


def test_a_route_over_a_guessed_reference_says_so() -> None:
    """The reviewer is told that names are all there is."""
    named = references(TYPES, KEYS, DECLARED)
    found = routes((None, "bill_version"), [*DECLARED, *named], TENANT)
    table = TableDraft("v", (None, "v"), ("id",), ("id",), 2, (Evidence(found[0], 2, 1),), 0)

    assert words(found)[0] == "payer_id > person.firm_id"
    assert found[0].by_name
    assert not routes((None, "bill"), DECLARED, TENANT)[0].by_name
    assert next(decisions(Draft("main", None, (table,)))).startswith("v: no foreign key leads to a tenant")


def test_histories_are_known_by_their_names() -> None:
    """Endings and the word that a framework puts in between; a name alone is not enough."""
    there = {"person", "desk_ticket"}

    assert copied_table("person_version", there) == "person"
    assert copied_table("desk_historicalticket", there) == "desk_ticket"
    assert copied_table("server_log", there) is None
    assert copied_table("person", there) is None


def test_cycles_between_tables_are_found_and_named_once() -> None:
    """Two circles that share no table are two groups; a table that only hangs on one is in none."""
    edges = [
        edge("a", "b_id", "b"), edge("b", "c_id", "c"), edge("c", "a_id", "a"),
        edge("x", "y_id", "y"), edge("y", "x_id", "x"), edge("z", "x_id", "x"), edge("s", "s_id", "s"),
    ]  # fmt: skip

    assert [[name for _, name in group] for group in cycles(edges)] == [["a", "b", "c"], ["x", "y"]]


def test_candidates_are_ranked_by_name_then_by_what_hangs_on_them() -> None:
    """A table called like a tenant comes before a busier one; a table that nothing references is none."""
    edges = [edge("case", "firm_id", "firm"), edge("case", "person_id", "person"), edge("note", "person_id", "person")]
    keys = {(None, name): ("id", rows) for name, rows in (("firm", 6), ("person", 61), ("case", 900))}

    assert [(c.place[1], c.below) for c in candidates(edges, keys)] == [("firm", 1), ("person", 2)]


# ---- names ----


def test_names_hint_at_persons_and_no_more() -> None:
    """Addresses of mail, numbers, names of people and network addresses; neither a table's title nor a counter."""
    hints = {
        name: person_kind(name)
        for name in (
            "submitter_email", "emailAddress", "new_ticket_cc", "mobile_number", "last_name", "username", "ip_address",
            "remote_addr", "title", "name", "email_box_port", "count", "",
        )
    }  # fmt: skip

    assert hints == {
        "submitter_email": "email",
        "emailAddress": "email",
        "new_ticket_cc": "email",
        "mobile_number": "phone",
        "last_name": "name",
        "username": "name",
        "ip_address": "other",
        "remote_addr": "other",
        "title": None,
        "name": None,
        "email_box_port": None,
        "count": None,
        "": None,
    }


def test_a_tables_name_says_whose_name_a_column_holds() -> None:
    """`name` alone is a person's in a table of persons or their history; numbers at the end do not hide an address."""
    assert person_kind("name", "person") == "name"
    assert person_kind("name", "person_version") == "name"
    assert person_kind("name", "shop_customermodel") == "name"
    assert person_kind("name", "article") is None
    assert person_kind("name", "§") is None
    assert person_kind("vendor_name", "vendor") == "name"
    assert {person_kind(c) for c in ("address_1", "zip_code", "account_number", "routing_number")} == {"other"}
    assert person_kind("42") is None


def test_a_frameworks_ending_does_not_hide_a_tenant() -> None:
    """`entitymodel` lists entities; a history of customers lists none."""
    assert names_tenant("ledger_entitymodel")
    assert names_tenant("project")
    assert not names_tenant("customer_history")


def test_names_rank_times_and_never_make_them() -> None:
    """Creation before change before what lies ahead; an empty or a future column comes last."""
    assert [nature(name) for name in ("created_at", "date", "modified", "due_date")] == [0, 1, 2, 3]
    assert looks_like_time("logged_at")
    assert not looks_like_time("amount")
    assert not looks_like_time("§")
    assert words_of("lastLoginAt") == ["last", "login", "at"]
    assert names_tenant("portal_customers")
    assert not names_tenant("ticket")
    assert not names_tenant("§")
    guesses = [
        TimeGuess("created", "utc", filled=0, future=0),
        TimeGuess("expires", "utc", filled=9, future=3),
        TimeGuess("modified", "utc", filled=9, future=0),
        TimeGuess("joined", "utc", filled=9, future=0),
    ]
    assert [guess.column for guess in sorted(guesses, key=time_rank)] == ["joined", "modified", "expires", "created"]


# ---- what is left to a person ----


def test_the_reviewer_is_asked_the_dangerous_first() -> None:
    """Ties before contested rows before rows of nobody; what has no question is not asked about."""
    own, other = Evidence(Route((), "a"), 3, 2), Evidence(Route((), "b"), 3, 2)
    plain = TableDraft("plain", (None, "plain"), ("id",), ("id",), 3)
    tied = TableDraft(
        "tied", (None, "tied"), ("id",), ("id",), 4, (own, other), 0, tie=True, disagreements=(Disagreement(0, 1, 2),)
    )
    persons = TableDraft(
        "people", (None, "people"), ("id",), ("id",), 9, persons=(("email", "email"),), referenced_by=("tied",)
    )
    linked = TableDraft("reply", (None, "reply"), ("id",), ("id",), 3, backwards=(Backwards("link", 1, 1, 1),))
    risky = TableDraft("risky", (None, "risky"), ("id",), ("id",), 0, triggers=("audit",))
    told = list(
        decisions(Draft("main", None, (risky, linked, persons, tied, plain), (("heap", "no key"),), (("a", "b"),)))
    )

    assert [line.split(":")[0] for line in told[:6]] == ["tied", "tied", "tied", "reply", "people", "risky"]
    assert (tied.contested, tied.without_tenant) == (2, 1)
    assert (plain.contested, plain.without_tenant) == (0, 0)
    assert any("cycle" in line for line in told)
    assert "heap: left out, no key" in told
    assert any(line.startswith("4 tables have no path") for line in told)
    assert not [line for line in decisions(Draft("main", None, ())) if "no path" in line]


def test_a_rule_is_found_in_every_document_that_has_it() -> None:
    """In the agreement's versions and in the individual layers that amend it; never under the layer's own name."""
    base, extra = world.agreement(world.LOGS), world.individual({**world.LOGS, "gone_by": "P60D"})
    policy = world.policy(base, extra)

    assert [str(rule.gone_by) for rule in policy.rules("portal", "logs")] == ["P90D", "P60D"]
    assert [str(rule.gone_by) for rule in policy.rules("portal", "logs", ("other",))] == ["P60D"]
    assert policy.rules("portal-extra", "logs") == ()
    assert policy.rules("portal", "nothing") == ()
