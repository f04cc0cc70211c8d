"""The example data maps: they are valid, and wiring refuses by name what no store serves yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lifecycle.core.errors import Refused
from lifecycle.documents import read_policy
from lifecycle.ports.failpoint import no_failpoint
from lifecycle.wiring.creation import example_policies
from lifecycle.wiring.kinds import open_store
from lifecycle.wiring.links import refuse_unbuilt

if TYPE_CHECKING:
    from lifecycle.core.inventory import Inventory

AGREEMENTS = ("clientport", "nexcore", "parking-reminder", "planuro", "vertriebskraftwerk")
ADDRESS = "sqlite:///nowhere.sqlite"
SERVED = {"files": "file:///nowhere", "s3": "s3+http://KEY:SECRET@127.0.0.1:1/?own=lifecycle-own"}
"""Nothing is opened: what is refused is refused before its address matters."""


def _inventory(agreement: str) -> Inventory:
    policies = example_policies()
    return read_policy(policies, inventory=policies / "inventories" / f"{agreement}.yaml").policy.inventory


def _refusals(inventory: Inventory) -> dict[str, str]:
    """Return what wiring says of each store that it does not open; folders, buckets and plain databases open."""
    told = {}
    referencing = {dataset.store for dataset in inventory.datasets if dataset.references}
    for name in referencing:
        with pytest.raises(Refused) as refusal:
            refuse_unbuilt(inventory)
        assert refusal.value.guard == "not-built"
        told[name] = refusal.value.message
    for entry in inventory.stores:
        if entry.kind in SERVED or entry.id in referencing:
            address = SERVED.get(entry.kind, ADDRESS)
            open_store(
                entry, inventory.in_store(entry.id), address, "portal", failpoint=no_failpoint, clock=None
            ).close()
            continue
        with pytest.raises(Refused) as refusal:
            open_store(
                entry, inventory.in_store(entry.id), ADDRESS, "portal", failpoint=no_failpoint, clock=None
            ).close()
        assert refusal.value.guard == "not-built"
        told[entry.id] = refusal.value.message
    return told


def test_each_agreement_has_a_valid_example_map() -> None:
    """The five maps are valid together with the policies, and each serves the agreement of its name."""
    assert {path.stem for path in (example_policies() / "inventories").glob("*.yaml")} == set(AGREEMENTS)
    for agreement in AGREEMENTS:
        inventory = _inventory(agreement)
        assert inventory.agreements == (agreement,)
        assert inventory.reviewed


def test_what_is_not_built_is_refused_by_the_name_of_its_kind() -> None:
    """A remote service, a table per tenant, rows that name objects: each refusal names the store and what lacks."""
    assert _refusals(_inventory("parking-reminder")) == {
        "bookings-base": "store bookings-base: the kind rest is known, but not built yet",
        "workflows": "dataset executions (store workflows): tenancy by prefix is not built yet",
        "sms-gateway": "dataset sms-journal (store sms-gateway): tenancy by prefix is not built yet",
        "workflows-test": "store workflows-test: the kind rest is known, but not built yet",
    }
    assert _refusals(_inventory("nexcore")) == {
        "core-db": "dataset file-rows references objects in store core-files: that for a store s3 is not built yet",
    }
    assert _refusals(_inventory("clientport")) == {
        "portal-db": "dataset document-rows references objects in store portal-files:"
        " that for a store s3 is not built yet",
    }
