"""What waits for a person, and when the machine goes on: the part of `status` that is read at three in the morning."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cli.world import LEAVES, deployed


@pytest.fixture
def cli(tmp_path):
    """A small portal, under a clock that stands until it is moved."""
    return deployed(tmp_path / "deployment")


def ended(cli):
    """Let a tenant without rows leave, and the days pass until its deletion may be planned; return its id."""
    cli("tenant", "add", "empty-one", "--agreement", "clientport", "--start", "2020-01-01", "--firm", "Empty Ltd")
    cli("tenant", "end", "empty-one", "--on", "2026-06-16", "--choice", "delete")
    for _ in range(17):
        cli.clock.advance(timedelta(days=2))
        cli("run")
    return "empty-one"


def unsigned(cli, code=5):
    """Return the plans that status lists as waiting, by hash."""
    return {one["plan"]: one for one in cli.json("status", code=code)["unsigned"]}


def test_status_lists_each_plan_that_waits_with_hash_age_and_expiry(cli):
    """Nobody has to know of `plan --list` to learn that a signature is missing."""
    plan = cli.json("plan", "server-logs", "--by", "op-two")["plans"][0]["hash"]
    cli.clock.advance(timedelta(hours=5))
    found = unsigned(cli)[plan]
    assert (found["rule"], found["signed"], found["needed"], found["author"]) == ("server-logs", [], 1, "op-two")
    page = cli("status", code=5).out
    assert f"{plan[7:15]}  clientport/server-logs" in page
    assert "5 h ago by op-two" in page
    assert "in 2 days" in page
    assert f"approve plan {plan[7:15]} with --mandate" in page


def test_what_is_signed_or_expired_or_replaced_waits_no_more(cli):
    """One line for each rule: the latest plan; after its signature none, after 72 hours none."""
    first = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.clock.advance(timedelta(hours=1))
    second = cli.json("plan", "server-logs", "--by", "op-two")["plans"][0]["hash"]
    assert list(unsigned(cli)) == [second]
    cli.clock.advance(timedelta(hours=73))
    assert unsigned(cli) == {}
    cli("resume", "--by", "op-one", "--key", cli.key("op-one"), "--accept-clock")
    third = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(third, "op-one")
    assert unsigned(cli) == {}
    assert "is approved and not carried out" in cli("status", code=5).out
    assert first != second


def test_a_plan_under_a_mandate_waits_for_nobody(cli):
    """What a mandate covers is the service's next turn, no signature's."""
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one", mandate=True)
    cli("run")
    for _ in range(5):
        cli.clock.advance(timedelta(days=2))
        cli("run")
    assert unsigned(cli, code=0) == {}


def test_an_offboarding_with_one_of_two_signatures_is_listed_with_who_signed(cli):
    """The second operator sees what the first one has signed."""
    tenant = ended(cli)
    plan = cli.json("plan", "--tenant", tenant, "--by", "op-three")["plans"][0]["hash"]
    cli.signed(plan, "op-one")
    again = cli.json("plan", "--tenant", tenant, "--by", "op-two")["plans"][0]["hash"]
    found = unsigned(cli)
    assert found[plan]["signed"] == ["op-one"]
    assert again == plan or found[again]["signed"] == []


def test_a_deletion_that_is_done_asks_for_no_second_approval(cli):
    """Planned again over nothing, an ended tenant's plan says so instead of asking two people to sign for no row."""
    tenant = ended(cli)
    plan = cli.json("plan", "--tenant", tenant, "--by", "op-three")["plans"][0]["hash"]
    cli.signed(plan, "op-one", "op-two")
    cli("apply", plan, "--yes", plan)
    cli("run")
    refused = cli("approve", plan, "--by", "op-two", "--key", cli.key("op-two"), code=4).err
    assert "plan-done" in refused
    assert "Nothing is left to sign" in refused
    cli.clock.advance(timedelta(hours=1))
    said = cli("plan", "--tenant", tenant, "--by", "op-three").out
    assert "nothing is to be signed" in said
    assert "lifecycle approve" not in said
    assert [one for one in unsigned(cli).values() if one["tenant"]] == []


def test_status_says_when_each_rule_has_its_next_turn(cli):
    """A rule that never had a turn is listed too; a turn that has come is `now`."""
    (before,) = [one for one in cli.json("status", code=5)["next_turns"] if one["rule"] == "server-logs"]
    assert before["at"].startswith("2026-06-15T10:00")
    assert "no turn yet" in cli("status", code=5).out
    cli("run")
    (after,) = [one for one in cli.json("status", code=5)["next_turns"] if one["rule"] == "server-logs"]
    assert after["at"].startswith("2026-06-16T02:00")
    assert "2026-06-16 02:00 UTC" in cli("status", code=5).out


def test_a_failed_rule_says_when_it_is_tried_again(cli):
    """The next turn after a failure is the next try, not the next night."""
    cli("run")
    (cli.folder / "portal.sqlite").rename(cli.folder / "away.sqlite")
    cli("run", code=4)
    trouble = cli.json("status", code=3)
    (one,) = [turn for turn in trouble["next_turns"] if turn["rule"] == "server-logs"]
    assert one["at"] > "2026-06-15T10:00"


def test_ten_days_old_plans_cost_nothing(cli):
    """The log is read from its end, and only as far back as a plan may wait."""
    cli.json("plan", "server-logs")
    for _ in range(4):
        cli.clock.advance(timedelta(days=1))
        cli("run")
    assert len(unsigned(cli)) == 1
    assert LEAVES not in cli("status", code=5).out
