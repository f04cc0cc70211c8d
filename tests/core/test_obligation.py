"""Obligations: one per rule, dataset and cutoffs, for every group that shares them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.core.calendar import local_date, start_of_day
from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.inventory import Dataset
from lifecycle.core.layering import effective
from lifecycle.core.obligation import (
    Obligation,
    check_margin,
    group_of,
    margin_needed,
    resolve,
    rule_obligations,
)
from lifecycle.core.selection import GroupScope, WholeScope
from tests.core.world import (
    BOOKING,
    BOOKINGS,
    CONTENT,
    END,
    LOG,
    LOGS,
    RETENTION,
    agreement,
    dataset,
    floor,
    individual,
    invoices,
    policy,
    statutes,
    tenant,
)

TODAY = date(2026, 7, 1)
DAY = timedelta(days=1)
SHARED = dataset("shared-log", "log", "collection", tenant={"by": "none"})


def rule(name: str, **more: Any) -> dict[str, Any]:
    """A rule over the log category that counts from the record's collection."""
    return {"id": name, "clause": "5.7", "category": ("log",), "start": "collection", **more}


def due_days(obligation: Obligation) -> dict[str, date]:
    return {before.time: before.day for before in obligation.due}


def only(obligations: list[Obligation]) -> Obligation:
    assert len(obligations) == 1
    return obligations[0]


def test_a_ceiling_is_due_a_margin_ahead() -> None:
    """90 days with a margin of three: on 1 July everything through 5 April is due, through 2 April overdue."""
    found = only(rule_obligations(policy(agreement(LOGS, END)), [tenant()], TODAY))
    assert due_days(found) == {"collection": date(2026, 4, 5)}
    assert [before.day for before in found.overdue] == [date(2026, 4, 2)]
    assert (found.rule, found.clause, found.own, found.action, found.layer) == (
        "logs",
        "5.7",
        False,
        "delete",
        "standard",
    )
    assert (found.dataset, found.store, found.category, found.start) == ("log", "main", "log", "collection")
    assert found.deadline(date(2026, 4, 6)) == date(2026, 7, 5)
    assert found.due[0].zone == "Europe/Berlin"
    assert found.due[0].not_before == date(1971, 1, 1)
    assert found.due[0].not_after == TODAY
    assert not found.whole
    assert isinstance(found.scope, GroupScope)


def test_the_contracts_end_is_not_an_obligation_of_a_day() -> None:
    """What counts from the window's end belongs to offboarding, never to a shared pass."""
    assert rule_obligations(policy(agreement(END)), [tenant(contract_end=date(2026, 1, 1))], TODAY) == []


def test_tenants_that_promise_the_same_share_one_pass() -> None:
    """A hundred tenants of one agreement are one group and one obligation; a closed one stays bound (I33)."""
    tenants = [tenant(f"customer-{n}") for n in range(100)] + [tenant("gone", state="closed")]
    resolution = resolve(policy(agreement(LOGS, END)), tenants, TODAY)
    assert len(resolution.obligations) == 1
    assert resolution.obligations[0].groups == tuple(set(resolution.groups.values()))
    assert len(resolution.groups) == 101
    assert resolution.unresolved == ()


def test_groups_with_the_same_rule_and_cutoff_are_merged() -> None:
    """Two versions of an agreement with the same log rule: two groups, one pass, both versions named."""
    documents = agreement(LOGS, END), agreement(LOGS, version="2027-01")
    tenants = [tenant("a", agreement_version="2026-01"), tenant("b", agreement_version="2027-01")]
    found = only(rule_obligations(policy(*documents), tenants, TODAY))
    assert len(found.groups) == 2
    assert found.versions == ("2026-01", "2027-01")


def test_another_figure_is_another_obligation() -> None:
    """Tenants with their own period form their own group with its own cutoff."""
    documents = agreement(BOOKING, parameters={"retention": RETENTION})
    tenants = [tenant("a", parameters={"retention": "P1M"}), tenant("b", parameters={"retention": "P6M"})]
    found = rule_obligations(policy(documents), tenants, TODAY)
    assert [(str(o.keep), o.cutoff) for o in found] == [
        ("P6M", date(2025, 12, 31)),
        ("P1M", date(2026, 5, 31)),
    ]
    assert len({o.groups for o in found}) == 2


def test_I23_a_group_is_opaque_and_stable() -> None:
    """The group's name does not depend on the tenant, and changes with documents and parameters only."""
    documents = policy(
        agreement(BOOKING, parameters={"retention": RETENTION}), individual(LOGS), datasets=(LOG, BOOKINGS)
    )

    def group(name: str, **more: Any) -> str:
        one = tenant(name, **more)
        return group_of(one, effective(documents, one))

    plain = group("beta-customer", parameters={"retention": "P6M"})
    assert plain == group("acme", parameters={"retention": "P6M"}) == "g-0ec2c0669b3d"
    others = {
        group("acme", parameters={"retention": "P7M"}),
        group("acme", parameters={"retention": "P6M"}, individual="portal-extra"),
    }
    assert len(others | {plain}) == 3


def test_I14_today_is_each_agreements_own_day() -> None:
    """At 22:30 UTC it is already tomorrow in Berlin and still today in UTC: each agreement counts by its own zone."""
    instant = datetime(2026, 6, 30, 22, 30, tzinfo=UTC)
    documents = agreement(LOGS), agreement(LOGS, id="other", zone="UTC")
    found = rule_obligations(policy(*documents), [tenant(), tenant("b", agreement="other")], instant)
    assert {o.agreement: o.cutoff for o in found} == {"portal": date(2026, 4, 5), "other": date(2026, 4, 4)}


def test_I05_an_empty_register_is_refused() -> None:
    """No tenants at all is a broken source, not a day without work."""
    with pytest.raises(Refused) as caught:
        resolve(policy(agreement(LOGS)), [], TODAY)
    assert caught.value.guard == "tenants-empty"


def test_I27_one_tenant_that_cannot_be_resolved_does_not_stop_the_others() -> None:
    """Its own data stays; the strict reading raises its error; no message names it."""
    documents = policy(agreement(LOGS, BOOKING, parameters={"retention": RETENTION}))
    tenants = [tenant("beta-customer"), tenant("a", parameters={"retention": "P6M"}), tenant("b", agreement="else")]
    resolution = resolve(documents, tenants, TODAY)
    assert {o.rule for o in resolution.obligations} == {"logs", "booking"}
    assert list(resolution.groups) == ["a"]
    assert [(u.tenant, type(u.error)) for u in resolution.unresolved] == [
        ("beta-customer", Refused),
        ("b", InvalidDocument),
    ]
    assert "beta-customer" not in repr(resolution)
    with pytest.raises(Refused, match="retention"):
        rule_obligations(documents, tenants, TODAY)


def test_a_start_time_that_the_inventory_does_not_know_deletes_nothing() -> None:
    """The rule binds the dataset, but nothing says when it starts: reported once, never guessed."""
    bare = dataset("bookings", "booking", "collection")
    documents = policy(agreement(BOOKING, LOGS, parameters={"retention": RETENTION}), datasets=(LOG, bare))
    tenants = [tenant("a", parameters={"retention": "P1M"}), tenant("b", parameters={"retention": "P2M"})]
    resolution = resolve(documents, tenants, TODAY)
    assert {o.dataset for o in resolution.obligations} == {"log"}
    missing = resolution.unresolved
    assert [(m.rule, m.dataset) for m in missing] == [("booking", "bookings")]
    assert "booking-end" in missing[0].error.message


def test_a_floor_whose_start_nobody_knows_stops_other_floors_too() -> None:
    """A dataset with an unreadable floor is deleted by its ceilings only: what may be kept longer is kept."""
    blind = rule("blind", start={"event": "closing"}, keep="P1Y")
    early = rule("early", keep="P30D")
    found = resolve(policy(agreement(blind, early)), [tenant()], TODAY)
    assert found.obligations == ()
    with_ceiling = resolve(policy(agreement(blind, early, LOGS)), [tenant()], TODAY)
    assert [o.rule for o in with_ceiling.obligations] == ["logs"]


def test_I08_a_processors_statutory_floor_adds_its_own_cutoff() -> None:
    """Both must hold: the rule's cutoff and the statute's; the conflict is reported."""
    bill = {"id": "bills", "clause": "2.1", "category": ("billing",), "start": {"event": "issued"}, "gone_by": "P1Y"}
    found = only(rule_obligations(policy(agreement(bill), datasets=(invoices(),)), [tenant()], TODAY))
    assert due_days(found) == {"issued": date(2017, 12, 31)}
    assert [before.day for before in found.overdue] == [date(2017, 12, 31)]
    assert found.conflicts == ("a statutory floor prevails over the ceiling of rule bills",)


def test_I08_a_statute_may_count_from_another_time_than_the_rule() -> None:
    """Two start times, two conditions; a row without the statutory start satisfies neither."""
    table = dataset(
        "bills",
        "log",
        "collection",
        "issued",
        statutory=({"kind": "invoice", "holder": "processor", "start": "issued"},),
    )
    found = only(rule_obligations(policy(agreement(LOGS), datasets=(table,)), [tenant()], TODAY))
    assert due_days(found) == {"collection": date(2026, 4, 5), "issued": date(2017, 12, 31)}
    assert found.conflicts == ()


def test_I08_a_controllers_floor_does_not_bind_the_processors_rules() -> None:
    """Books inside tenant content bind through the tenant's parameter only."""
    bill = {"id": "bills", "clause": "2.1", "category": ("billing",), "start": {"event": "issued"}, "gone_by": "P1Y"}
    table = invoices("controller")
    found = only(rule_obligations(policy(agreement(bill), datasets=(table,)), [tenant()], TODAY))
    assert due_days(found) == {"issued": date(2025, 7, 4)}


@pytest.mark.parametrize(
    ("today", "industry", "through"),
    [
        (date(2024, 12, 31), "other", 2013),
        (date(2025, 1, 1), "other", 2016),
        (date(2026, 7, 1), "other", 2017),
        (date(2026, 7, 1), "bank", 2015),
    ],
)
def test_I14_the_day_of_evaluation_decides_which_statute_holds(today: date, industry: str, through: int) -> None:
    """Ten years through 2024, eight from 2025 on for every invoice; banks keep ten."""
    bill = {"id": "bills", "clause": "2.1", "category": ("billing",), "start": {"event": "issued"}, "gone_by": "P1Y"}
    documents = policy(agreement(bill), datasets=(invoices(),), industry=industry)
    found = only(rule_obligations(documents, [tenant()], today))
    assert due_days(found) == {"issued": date(through, 12, 31)}


def test_I08_an_open_tax_year_keeps_its_records() -> None:
    """§ 147(3) AO: the period runs on while the assessment is open; the years known to be final are free."""
    bill = {"id": "bills", "clause": "2.1", "category": ("billing",), "start": {"event": "issued"}, "gone_by": "P1Y"}
    law = statutes(floor(period="P8Y", runs_on_while_tax_open=True))
    for final, through in ((None, 2017), (2016, 2016), (2020, 2017)):
        documents = policy(agreement(bill), datasets=(invoices(),), law=law, tax_final_through=final)
        assert due_days(only(rule_obligations(documents, [tenant()], TODAY)))["issued"] == date(through, 12, 31)


def test_I14_a_statutory_floor_may_count_from_the_day_itself() -> None:
    """Where a statute counts from the record's own day, the year's end plays no part; the longest floor binds."""
    bill = {"id": "bills", "clause": "2.1", "category": ("billing",), "start": {"event": "issued"}, "gone_by": "P1Y"}
    law = statutes(floor(period="P3Y", starts="day"), floor(id="two", period="P2Y", starts="day"))
    found = only(rule_obligations(policy(agreement(bill), datasets=(invoices(),), law=law), [tenant()], TODAY))
    assert due_days(found) == {"issued": date(2023, 6, 30)}


def test_I08_records_of_an_unknown_statute_are_kept() -> None:
    """The inventory says a statute keeps them and no document knows it: nothing of the dataset is deleted."""
    bill = {"id": "bills", "clause": "2.1", "category": ("billing",), "start": {"event": "issued"}, "gone_by": "P1Y"}
    law = statutes(floor(kinds=("book",), period="P10Y"))
    documents = policy(agreement(bill, BOOKING, parameters={"retention": RETENTION}), datasets=(invoices(),), law=law)
    tenants = [tenant("a", parameters={"retention": "P1M"}), tenant("b", parameters={"retention": "P2M"})]
    resolution = resolve(documents, tenants, TODAY)
    assert resolution.obligations == ()
    assert [(u.dataset, u.error.guard) for u in resolution.unresolved if isinstance(u.error, Refused)] == [
        ("invoices", "statute-missing")
    ]


def test_a_longer_floor_of_another_rule_holds_back_an_earlier_one() -> None:
    """Deleting as soon as one floor ends waits for every floor of the same record."""
    found = rule_obligations(policy(agreement(rule("a", keep="P30D"), rule("b", keep="P60D"))), [tenant()], TODAY)
    assert {o.rule: due_days(o)["collection"] for o in found} == {"a": date(2026, 5, 1), "b": date(2026, 5, 1)}


def test_a_ceiling_prevails_over_another_rules_longer_floor() -> None:
    """Rank: the ceiling deletes, and the conflict is told."""
    found = rule_obligations(policy(agreement(LOGS, rule("long", keep="P1Y"))), [tenant()], TODAY)
    by_rule = {o.rule: o for o in found}
    assert by_rule["logs"].cutoff == date(2026, 4, 5)
    assert by_rule["logs"].conflicts == ("the ceiling of rule logs prevails over the longer floor of rule long",)
    assert by_rule["long"].cutoff == date(2025, 6, 30)
    assert by_rule["long"].deadline(TODAY) is None
    assert by_rule["long"].overdue == ()


def test_floors_of_two_start_times_give_two_sets_of_cutoffs() -> None:
    """Early when both floors are over, late at the rule's own ceiling, whichever comes first."""
    both = dataset("log", "log", "collection", "closing")
    own = rule("own", keep="P30D", gone_by="P90D")
    other = rule("other", start={"event": "closing"}, keep="P60D")
    found = rule_obligations(policy(agreement(own, other), datasets=(both,)), [tenant()], TODAY)
    assert [(o.rule, due_days(o)) for o in found] == [
        ("other", {"collection": date(2026, 5, 31), "closing": date(2026, 5, 1)}),
        ("own", {"collection": date(2026, 4, 5)}),
        ("own", {"collection": date(2026, 5, 31), "closing": date(2026, 5, 1)}),
    ]


def test_rows_of_no_tenant_are_bound_by_every_agreement_in_force() -> None:
    """Least ceiling, greatest floor over all agreements; a closed tenant's agreement is no longer in force."""
    documents = (
        agreement(LOGS),
        agreement({**LOGS, "gone_by": "P60D"}, id="strict"),
        agreement({**LOGS, "gone_by": "P10D"}, id="former"),
    )
    world = policy(*documents, datasets=(SHARED,))
    tenants = [tenant("a"), tenant("b", agreement="strict"), tenant("c", agreement="former", state="closed")]
    found = only(rule_obligations(world, tenants, TODAY))
    assert (found.agreement, found.cutoff, found.whole) == ("strict", date(2026, 5, 5), True)
    assert isinstance(found.scope, WholeScope)
    floors = (agreement(rule("a", keep="P30D")), agreement(rule("b", keep="P1Y"), id="strict"))
    world = policy(*floors, datasets=(SHARED,))
    kept = only(rule_obligations(world, [tenant("a"), tenant("b", agreement="strict")], TODAY))
    assert kept.cutoff == date(2025, 6, 30)


def test_rows_of_no_tenant_wait_while_any_agreement_is_unreadable() -> None:
    """Nobody knows the greatest floor, so nothing of the shared rows is deleted; tenants' own rows go on."""
    world = policy(agreement(LOGS), datasets=(SHARED, LOG))
    resolution = resolve(world, [tenant("a"), tenant("b", agreement="unknown")], TODAY)
    assert [o.dataset for o in resolution.obligations] == ["log"]


def test_I15_the_margin_covers_a_failed_run_and_the_longest_one() -> None:
    """Twice the interval plus the longest run."""
    assert margin_needed(1, 1) == 3
    assert margin_needed(7, 2) == 16
    for interval, run in ((0, 1), (1, -1)):
        with pytest.raises(InvalidDocument):
            margin_needed(interval, run)


@pytest.mark.parametrize(
    ("terms", "margin", "room"),
    [
        ({"gone_by": "P3D"}, 3, True),
        ({"gone_by": "P2D"}, 3, False),
        ({"gone_by": "P1M"}, 28, True),
        ({"gone_by": "P1M"}, 29, False),
        ({"keep": "P10D"}, 99, True),
        ({"keep": "P86D", "gone_by": "P90D"}, 3, True),
        ({"keep": "P87D", "gone_by": "P90D"}, 3, False),
        ({"keep": "P90D", "gone_by": "P90D"}, 0, False),
        ({"keep": "P89D", "gone_by": "P3M"}, 3, False),
    ],
)
def test_I15_a_rule_without_room_for_the_margin_is_refused(terms: dict[str, str], margin: int, room: bool) -> None:
    """Between a floor's end and the ceiling the whole margin must fit, whatever day it starts."""
    world = policy(agreement(rule("tight", **terms)))
    resolved = effective(world, tenant()).rules[0]
    if room:
        check_margin(resolved, margin)
        assert resolve(world, [tenant()], TODAY, margin).unresolved == ()
        return
    with pytest.raises(Refused) as caught:
        check_margin(resolved, margin)
    assert caught.value.guard == "margin"
    resolution = resolve(world, [tenant()], TODAY, margin)
    assert resolution.obligations == ()
    assert [u.rule for u in resolution.unresolved] == ["tight"]


def test_an_anonymising_rule_keeps_its_action() -> None:
    """The action is the agreement's; it travels with the obligation."""
    anonymise = rule("anon", gone_by="P90D", action="anonymise", anonymise_clause="3.5")
    assert only(rule_obligations(policy(agreement(anonymise)), [tenant()], TODAY)).action == "anonymise"


starts = st.dates(date(2014, 1, 1), date(2026, 12, 31))
days = st.dates(date(2025, 1, 1), date(2026, 12, 31))


def naive_due(start: date, today: date, keep: int | None, gone_by: int | None, others: list[int], margin: int) -> bool:
    """Say by counting days whether a record goes today: all floors over, or its ceiling within the margin."""
    age = (today - start).days
    floors_over = keep is not None and all(age > floor for floor in [keep, *others])
    return floors_over or (gone_by is not None and age >= gone_by - margin)


@settings(max_examples=150)
@given(
    starts,
    days,
    st.none() | st.integers(1, 400),
    st.none() | st.integers(1, 500),
    st.lists(st.integers(1, 600), max_size=2),
)
def test_I14_what_is_due_is_what_a_count_of_days_says(
    start: date, today: date, keep: int | None, gone_by: int | None, others: list[int]
) -> None:
    """For any mixture of floors and a ceiling, a record is selected exactly when a plain count of days says so."""
    fits = gone_by is None or gone_by - (0 if keep is None else keep + 1) >= 3
    if (keep is None and gone_by is None) or not fits:
        return
    terms = {name: f"P{n}D" for name, n in (("keep", keep), ("gone_by", gone_by)) if n is not None}
    rules = [rule("own", **terms), *(rule(f"other-{n}", keep=f"P{days}D") for n, days in enumerate(others))]
    found = [o for o in rule_obligations(policy(agreement(*rules)), [tenant()], today) if o.rule == "own"]
    assert (start <= only(found).cutoff) == naive_due(start, today, keep, gone_by, others, 3)


def overdue_count(margin: int, first: date, every: int = 1) -> int:
    """Live a year with one log record a day and a run every so many nights; count records found 90 days old.

    They are looked at as each day begins, before a run: between runs that is when a record is oldest.
    """
    world, late = policy(agreement(LOGS), datasets=(LOG,)), 0
    left = [first + n * DAY for n in range(-85, 366)]
    for number in range(366):
        today = first + number * DAY
        late += sum((today - record).days >= 90 for record in left)
        if number % every == 0:
            cutoff = only(rule_obligations(world, [tenant()], today, margin)).cutoff
            left = [record for record in left if record > cutoff]
    return late


@pytest.mark.parametrize("first", [date(2023, 6, 1), date(2026, 1, 1)])
def test_I15_a_year_of_nightly_runs_never_leaves_a_log_older_than_ninety_days(first: date) -> None:
    """Through leap day and both clock changes: at no beginning of a day is a record 90 days old."""
    assert overdue_count(3, first) == 0


def test_I15_without_the_margin_the_same_year_breaches_every_day() -> None:
    """Due on the day of the ceiling means gone too late: each record outlives 90 days until that day's run."""
    assert overdue_count(0, date(2026, 1, 1)) > 300


def test_I15_one_missed_run_is_still_in_time() -> None:
    """With the margin, every second night may fail; with every fourth night only, the promise breaks."""
    assert overdue_count(3, date(2026, 1, 1), every=2) == 0
    assert overdue_count(3, date(2026, 1, 1), every=4) > 0


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Africa/Cairo", "America/Havana", "Asia/Beirut", "Pacific/Apia"])
def test_I15_no_instant_of_the_year_sees_a_log_of_ninety_days(zone: str) -> None:
    """In instants, not days: a record written at any hour is gone before the 90th local day after its own begins."""
    world = policy(agreement(LOGS, zone=zone), datasets=(LOG,))
    first = datetime(2023, 10, 1, 23, 30, tzinfo=UTC)
    records = {first + n * timedelta(hours=7): None for n in range(300)}
    gone: dict[datetime, datetime] = {}
    for number in range(366):
        run = datetime(2023, 10, 1, 2, tzinfo=UTC) + number * DAY
        before = only(rule_obligations(world, [tenant()], run)).due[0]
        ends = start_of_day(before.day + DAY, zone)
        gone |= {record: run for record in records if record < ends and record not in gone and record < run}
    for record in records:
        assert gone[record] < start_of_day(local_date(record, zone) + 90 * DAY, zone)


def test_I14_the_whole_line_works_with_a_dataset_of_every_tenancy() -> None:
    """A path, a schema per tenant and a column are all bound through their tenants' groups."""
    by_path = {"by": "path", "column": "tenant_id", "path": ({"column": "parent", "table": "parents", "key": "id"},)}
    tables: tuple[Dataset, ...] = (
        LOG,
        dataset("by-path", "log", "collection", tenant=by_path),
        dataset("by-schema", "log", "collection", tenant={"by": "schema", "pattern": "t_{tenant}"}),
        CONTENT,
    )
    found = rule_obligations(policy(agreement(LOGS), datasets=tables), [tenant()], TODAY)
    assert [o.dataset for o in found] == ["by-path", "by-schema", "log"]


def test_a_floor_that_ends_as_the_ceiling_comes_due_is_no_conflict() -> None:
    """86 days kept and 90 days at most, a margin of three: both promises hold; one day more and rank decides."""
    for days, conflicts in ((86, 0), (87, 1)):
        found = rule_obligations(policy(agreement(LOGS, rule("kept", keep=f"P{days}D"))), [tenant()], TODAY)
        assert len({o.rule: o for o in found}["logs"].conflicts) == conflicts
