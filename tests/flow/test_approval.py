"""Who may say yes, to what, and for how long (I2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from lifecycle.core.errors import Corrupt, InvalidDocument, Refused
from lifecycle.evidence.keys import SigningKey
from lifecycle.flow import approve, controls, execute, offboard, planning, plans
from lifecycle.flow.plans import plan_bytes
from lifecycle.ports.clock import SimulatedClock
from lifecycle.wiring import creation
from tests import portal
from tests.flow import world as made

if TYPE_CHECKING:
    from lifecycle.flow.deployment import Deployment
    from tests.flow.world import Line
    from tests.portal import World


def leave_plan(deployment: Deployment, author: str = made.AUTHOR) -> str:
    """Plan the leaver's deletion; nobody has signed."""
    return planning.plan_offboarding(deployment, offboard.find(deployment, portal.LEAVER), author=author).hash


def test_I02_nothing_runs_without_enough_signatures(world: World) -> None:
    """An offboarding needs two operators; with one of them nothing is deleted."""
    before = made.read(world)
    with world.open() as deployment:
        plan = leave_plan(deployment)
        assert not approve.approve(deployment, plan, "op-one", world.key("op-one")).enough
        with pytest.raises(Refused) as refused:
            execute.apply(deployment, plan)
    assert refused.value.guard == "not-approved"
    assert made.read(world) == before


def test_I02_the_author_does_not_approve(world: World) -> None:
    """Whoever made the plan cannot be one of those who approve it."""
    with world.open() as deployment:
        plan = leave_plan(deployment, author="op-one")
        with pytest.raises(Refused) as refused:
            approve.approve(deployment, plan, "op-one", world.key("op-one"))
        assert refused.value.guard == "author-approves"
        assert approve.approve(deployment, plan, "op-two", world.key("op-two")).operators == ("op-two",)


def test_I02_nobody_signs_a_plan_that_can_never_run(world: World) -> None:
    """Once a document has changed the plan is dead: whoever would sign it hears that before, not at apply."""
    with world.open() as deployment:
        plan = leave_plan(deployment)
    inventory = world.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text() + "# read again\n")
    with world.open() as deployment:
        with pytest.raises(Refused) as refused:
            approve.approve(deployment, plan, "op-one", world.key("op-one"))
        assert refused.value.guard == "policy-changed"
        assert approve.approvers(deployment, plans.read_plan(deployment, plan), plan) == ()


def test_I02_one_key_signs_once(world: World) -> None:
    """The same key twice is one signature."""
    with world.open() as deployment:
        plan = leave_plan(deployment)
        approve.approve(deployment, plan, "op-one", world.key("op-one"))
        with pytest.raises(Refused) as refused:
            approve.approve(deployment, plan, "op-one", world.key("op-one"))
    assert refused.value.guard == "same-key"


def test_I02_a_key_speaks_for_its_own_operator_only(world: World) -> None:
    """Another operator's key under this operator's name is refused, and so is a name that nobody has."""
    with world.open() as deployment:
        plan = leave_plan(deployment)
        with pytest.raises(Refused) as refused:
            approve.approve(deployment, plan, "op-two", world.key("op-one"))
        assert refused.value.guard == "wrong-key"
        with pytest.raises(InvalidDocument):
            approve.approve(deployment, plan, "op-nobody", SigningKey.generate())


def test_I02_a_removed_operators_signature_no_longer_counts(line: Line) -> None:
    """An approved plan falls back to unapproved once a signer's key is taken out of force."""
    creation.remove_operator(line.world.folder, "op-two", line.world.now.date())
    with line.world.open() as deployment:
        with pytest.raises(Refused) as refused:
            execute.apply(deployment, line.leave)
        with pytest.raises(InvalidDocument):
            approve.approve(deployment, line.rule, "op-two", line.world.key("op-two"))
    assert refused.value.guard == "not-approved"
    assert line.gone() == set()


def test_I02_a_plan_starts_within_three_days_or_never(line: Line) -> None:
    """After 72 hours a plan can neither be approved nor begun."""
    late = SimulatedClock(line.world.now + timedelta(hours=73))
    with line.world.open(clock=late) as deployment:
        controls.accept_clock(deployment, "op-one", line.world.key("op-one"))
        with pytest.raises(Refused) as refused:
            execute.apply(deployment, line.rule)
        with pytest.raises(Refused) as unsigned:
            approve.approve(deployment, line.rule, "op-two", line.world.key("op-two"))
    assert (refused.value.guard, unsigned.value.guard) == ("plan-expired", "plan-expired")
    assert line.gone() == set()


def test_I02_an_altered_plan_is_no_plan(line: Line) -> None:
    """Signatures bind bytes: one changed byte of the stored plan stops everything that reads it."""
    with line.world.open() as deployment:
        body = plan_bytes(deployment, line.rule)
        altered = body.replace(b'"kind":"rule"', b'"kind":"rulE"')
        assert altered != body
        with deployment.state.transaction() as tx:
            tx.put("plan", line.rule, altered)
        with pytest.raises(Corrupt):
            execute.apply(deployment, line.rule)
        with pytest.raises(Corrupt):
            approve.approve(deployment, line.rule, "op-two", line.world.key("op-two"))
    assert line.gone() == set()


def test_a_mandate_carries_the_next_plan_and_ends_when_revoked(world: World) -> None:
    """A standing approval runs the same rule again, within its limit, until an operator ends it."""
    with world.open() as deployment:
        first = made.plan_rule(world, deployment, mandate=True)
        assert execute.apply(deployment, first).clean
        mandate = approve.live_mandate(deployment, execute.read_plan(deployment, first), world.now.date())
        assert mandate is not None
        made.insert(
            world, "access_log", [(700_000, "acme2", "192.0.2.9", portal.stamp(world.now - timedelta(days=95)))]
        )
        second = planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
        assert second is not None
        assert execute.apply(deployment, second.hash).deleted == 1
        approve.revoke(deployment, mandate.id, "op-one", world.key("op-one"))
        made.insert(
            world, "access_log", [(700_001, "acme2", "192.0.2.9", portal.stamp(world.now - timedelta(days=95)))]
        )
        third = planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
        assert third is not None
        with pytest.raises(Refused) as refused:
            execute.apply(deployment, third.hash)
    assert refused.value.guard == "not-approved"
    assert world.rows("SELECT id FROM access_log WHERE id IN (700000, 700001)") == [(700_001,)]


def test_I02_a_mandate_ends_when_the_inventory_means_other_rows(world: World) -> None:
    """The rule, the plan and the schema are as they were; the start time lies in another column now."""
    with world.open() as deployment:
        first = made.plan_rule(world, deployment, mandate=True)
        plan = execute.read_plan(deployment, first)
        assert approve.live_mandate(deployment, plan, world.now.date()) is not None
        inventory = deployment.policy.inventory
        moved = [
            one.model_copy(
                update={"times": {n: t.model_copy(update={"column": "seen_on"}) for n, t in one.times.items()}}
            )
            for one in inventory.datasets
        ]
        redrawn = inventory.model_copy(update={"datasets": tuple(moved)})
        changed = replace(deployment, policy=replace(deployment.policy, inventory=redrawn))
        assert approve.live_mandate(changed, plan, world.now.date()) is None


def test_a_mandate_does_not_carry_more_than_it_says(world: World) -> None:
    """A plan above the mandate's number waits for a signature of its own."""
    with world.open() as deployment:
        planned = planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
        assert planned is not None
        key = world.key("op-one")
        approve.approve(deployment, planned.hash, "op-one", key, grant_mandate=True, most_items=planned.plan.expected())
        assert execute.apply(deployment, planned.hash).clean
        old = portal.stamp(world.now - timedelta(days=95))
        rows = [(700_000 + i, "acme2", "192.0.2.9", old) for i in range(planned.plan.expected() + 1)]
        made.insert(world, "access_log", rows)
        larger = planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
        assert larger is not None
        with pytest.raises(Refused) as refused:
            execute.apply(deployment, larger.hash)
    assert refused.value.guard == "not-approved"
