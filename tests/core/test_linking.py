"""From a value to an object's key, and back: what strays names no object."""

from __future__ import annotations

import pytest

from lifecycle.core.inventory import Reference
from lifecycle.core.linking import key_of, value_of
from lifecycle.core.selection import Selection, TenantScope, describe, template

WHOLE = Reference(column="file", store="media", key_template="{value}")
INSIDE = Reference(column="id", store="media", key_template="avatars/{value}.png")


def test_a_template_leads_to_a_key_and_back() -> None:
    """The value stands where the template says."""
    assert key_of(INSIDE, "7") == "avatars/7.png"
    assert value_of(INSIDE, "avatars/7.png") == "7"
    assert value_of(WHOLE, "a/b.pdf") == "a/b.pdf"


@pytest.mark.parametrize("value", ["", ".", "..", "a/../b", "/etc/passwd", "a//b", "a/", "a\0b"])
def test_I05_a_value_that_strays_names_no_object(value: str) -> None:
    """Empty, absolute, upwards, or with a zero byte: there is no such object."""
    assert key_of(WHOLE, value) is None


@pytest.mark.parametrize("key", ["avatars/.png", "avatars/7.jpg", "other/7.png", "avatars/"])
def test_a_key_of_another_form_has_no_value(key: str) -> None:
    """No row can reference it by this template."""
    assert value_of(INSIDE, key) is None


def test_a_selection_of_objects_names_their_rows() -> None:
    """In words and in what a mandate compares; a selection without rows reads as it always did."""
    plain = Selection(dataset="media", scope=TenantScope(tenant="t-" + "a" * 16))
    linked = plain.model_copy(update={"linked_by": "uploads"})
    assert "referenced by the selected rows of uploads" in describe(linked)
    assert template(linked)["linked_by"] == "uploads"
    assert "linked_by" not in template(plain)
