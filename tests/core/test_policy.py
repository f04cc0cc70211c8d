"""What the documents promise, found by name; an ambiguous name is an error, never the first of several."""

from __future__ import annotations

import pytest

from tests.core import world


def test_an_agreement_is_found_by_id_and_version() -> None:
    """With two versions in force the id alone names none."""
    old, new = world.agreement(world.LOGS), world.agreement(world.LOGS, version="2026-02")
    both = world.policy(old, new)
    assert both.agreement("portal", "2026-02") == new
    assert world.policy(old).agreement("portal") == old
    with pytest.raises(KeyError, match="portal"):
        both.agreement("portal")
    with pytest.raises(KeyError, match="portal@2027-01"):
        both.agreement("portal", "2027-01")


def test_a_rule_is_found_in_every_document_that_has_it() -> None:
    """Versions and the layers that amend them; a layer without its agreement says nothing."""
    old, new = world.agreement(world.LOGS), world.agreement({**world.LOGS, "gone_by": "P30D"}, version="2026-02")
    layer = world.individual({**world.LOGS, "gone_by": "P10D"})
    found = world.policy(old, new, layer).rules("portal", "logs")
    assert [str(rule.gone_by) for rule in found] == ["P90D", "P30D", "P10D"]
    only = world.policy(old, new, layer).rules("portal", "logs", ("2026-02",))
    assert [str(rule.gone_by) for rule in only] == ["P30D", "P10D"]
    assert world.policy(layer).rules("portal", "logs") == ()
    assert world.policy(old).rules("portal", "booking") == ()
