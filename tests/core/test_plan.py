"""Plans are frozen, closed and without a tenant's name."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from lifecycle.core.plan import Action, Delete, Detach, Plan, Step
from tests.core.plans import plan, step


def test_a_plan_expects_the_sum_of_its_steps() -> None:
    """The number that an operator approves is that of all steps."""
    assert plan(step(expected=3), step(id="s002", expected=4)).expected() == 7
    assert plan().expected() == 0


def test_a_plan_reads_back_what_it_wrote() -> None:
    """JSON and back is the same value: what is hashed is what is carried out."""
    made = plan(step(), step(id="s002", action=Detach(columns=("parent_id",))))
    assert Plan.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    "wrong",
    [
        {"expected": -1},
        {"limit": -1},
        {"id": "s1"},
        {"id": "s0001"},
        {"dataset": "Logs"},
        {"dataset": ""},
        {"unknown": 1},
    ],
)
def test_a_step_that_says_nothing_certain_is_an_error(wrong: dict[str, Any]) -> None:
    """Negative counts, odd names and unknown fields are refused."""
    with pytest.raises(ValidationError):
        Step.model_validate({**step().model_dump(), **wrong})


@pytest.mark.parametrize("wrong", [{"tenant": "acme"}, {"stores": ()}, {"policy_hash": "sha256:0"}, {"kind": "other"}])
def test_a_plan_names_tenants_by_alias_and_binds_its_stores(wrong: dict[str, Any]) -> None:
    """I23: an id that the application knows cannot stand in a plan."""
    with pytest.raises(ValidationError):
        Plan.model_validate({**plan(step()).model_dump(), **wrong})


def test_an_action_is_one_of_two() -> None:
    """Delete, or detach at least one column."""
    actions: TypeAdapter[Action] = TypeAdapter(Action)
    assert actions.validate_python({"kind": "delete"}) == Delete()
    for wrong in ({"kind": "detach", "columns": ()}, {"kind": "truncate"}, {}):
        with pytest.raises(ValidationError):
            actions.validate_python(wrong)


def test_I27_a_parked_step_is_part_of_the_plan_and_is_not_walked() -> None:
    """What could not be counted changes nothing; the plan stays bound to every store it names."""
    whole = plan(step(id="s001"), step(id="s002", expected=0, limit=0, parked=True))
    assert [one.id for one in whole.walked()] == ["s001"]
    assert whole.store_names() == tuple(binding.store for binding in whole.stores)
