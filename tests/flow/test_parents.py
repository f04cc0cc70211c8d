"""Parents whose children leave in the same plan: counted ahead, deleted after them, certified."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from lifecycle.flow import approve, certify, execute, offboard, planning
from lifecycle.ports.clock import SystemClock
from tests import portal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> portal.World:
    now = SystemClock().now()
    fixture = {"postgresql": "postgres_url", "mariadb": "mariadb_url"}.get(request.param)
    url = f"sqlite:///{tmp_path}/app.db" if fixture is None else request.getfixturevalue(fixture)
    portal.create_application(url, now, logs=4)
    return portal.create_deployment(tmp_path / "deployment", url, now)


def leave(world: portal.World) -> tuple[planning.Planned, str]:
    """Let the leaver go, whole, and return the plan and the certificate's completeness."""
    with world.open() as deployment:
        tenant = offboard.find(deployment, portal.LEAVER)
        tenant = offboard.end(deployment, tenant, ends_on=(world.now - timedelta(days=40)).date())
        planned = planning.plan_offboarding(deployment, tenant, author="lifecycle")
        for operator in portal.OPERATORS:
            approve.approve(deployment, planned.hash, operator, world.key(operator))
        ran = execute.apply(deployment, planned.hash)
        assert (ran.outcome, ran.clean) == ("done", True)
        return planned, certify.issue(deployment, planned.hash).completeness


def test_I03_a_parent_is_planned_when_all_its_children_leave_with_it(world: portal.World) -> None:
    """With only free invoices left the tenant's own row is planned, counted as 1, and gone with them."""
    old = f"{world.now.year - 12}-03-04"
    with portal.raw(world.url) as connection:
        connection.execute(f"UPDATE invoice SET issued_on = '{old}' WHERE portal_id = '{portal.LEAVER}'")
    planned, completeness = leave(world)
    expected = {step.dataset: step.expected for step in planned.plan.steps}
    assert (expected["invoices"], expected["portals"]) == (12, 1)
    assert world.rows(f"SELECT count(*) FROM portal WHERE id = '{portal.LEAVER}'") == [(0,)]
    assert completeness == "final"


def test_I21_a_parent_of_kept_children_stays_and_is_named(world: portal.World) -> None:
    """With invoices under their statute the tenant's own row is not planned, and the certificate names it."""
    planned, completeness = leave(world)
    portals = next(step for step in planned.plan.steps if step.dataset == "portals")
    assert portals.expected == 0
    assert [(group.label, group.count) for group in portals.withheld] == [("referenced", 1)]
    assert world.rows(f"SELECT count(*) FROM portal WHERE id = '{portal.LEAVER}'") == [(1,)]
    assert completeness == "final-with-residue"
