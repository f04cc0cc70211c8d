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
from lifecycle.core.guesses import looks_like_time, names_tenant, nature, person_kind, words_of
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
