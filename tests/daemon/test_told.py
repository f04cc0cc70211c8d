"""What the service says on its own account: once, aloud where it leads, and so that somebody can act on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lifecycle.flow import registers, slots
from lifecycle.flow.last_look import recall
from tests.daemon.process import deployment
from tests.daemon.test_inside import events, opened


@pytest.fixture
def cli(tmp_path):
    """A small portal with a quick schedule."""
    return deployment(tmp_path / "deployment")


def in_trouble(line, failures):
    """Let a rule have failed so often."""
    now = line.clock.now()
    trouble = slots.Trouble(guard="transient", message="m", advice="a", since=now, at=now, failures=failures)
    state = slots.RuleState(slot=now, state="done", epoch=1, begun_at=now, result="failed", trouble=trouble)
    with line.state.transaction() as tx:
        registers.put(tx, "rule", "clientport/server-logs/slot", state)


def test_I27_that_a_rule_is_parked_is_told_once(cli):
    """The log of the night says since when; a rule that recovers and is parked again is told of again."""
    with opened(cli, leads=False) as (service, lines):
        duties = service._loaded.duties
        for failures, told in ((2, 0), (3, 1), (4, 1), (1, 1), (3, 2)):
            in_trouble(service._loaded.eyes, failures)
            assert duties.follow(aloud=True)
            assert len(events(lines, "rule.parked")) == told
        last = events(lines, "rule.parked")[-1]
        assert (last["rule"], last["guard"], last["number"]) == ("server-logs", "transient", 3)
        assert "dropped" not in last


def test_I27_who_begins_to_lead_tells_what_is_parked(cli):
    """A standby says nothing; its first words as the leader name what it has found."""
    with opened(cli, leads=False) as (service, lines):
        in_trouble(service._loaded.eyes, 3)
        service._follow()
        assert events(lines, "rule.parked") == []
        service._lead_or_refuse()
        service._follow()
        assert len(events(lines, "rule.parked")) == 1


@pytest.mark.parametrize(("apart", "told"), [(30.0, 0), (31.0, 1)])
def test_I12_clocks_that_come_apart_are_told_before_they_refuse_everything(cli, apart, told):
    """A warning from the alert's bound on; the refusal comes at twice of it."""
    with opened(cli) as (service, lines):
        service._look()
        found = recall(service._loaded.eyes)
        service._loaded.duties.report.looked(replace(found, spread_seconds=apart, at=found.at + timedelta(seconds=1)))
        assert [line["spread_seconds"] for line in events(lines, "clock.spread")] == [apart] * told
