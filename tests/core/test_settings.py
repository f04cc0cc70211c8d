"""Settings are bounds: each has a default that protects, none can be switched off."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lifecycle.core.settings import Address, LimitSettings, Settings

BASE = {"lifecycle": "settings/v1", "deployment": "portal", "origin": "lifecycle.example.com/log"}


def test_a_bare_settings_file_is_a_safe_one() -> None:
    """Own state beside the file, ten million rows at most, three days of margin, clocks within a minute."""
    settings = Settings.model_validate(BASE)
    assert (settings.state.url, settings.tenants, settings.stop_file) == ("sqlite:///state.db", None, "STOP")
    limits = settings.limits
    assert (limits.most_items, limits.margin_days) == (10_000_000, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"url": "sqlite:///a.db", "file": "state.url"},
        {"url": "sqlite:///a.db", "env": "STATE", "file": "a", "credential": "state"},
    ],
)
def test_an_address_has_one_source(wrong: dict[str, Any]) -> None:
    """No source, or two that could disagree, is an error."""
    with pytest.raises(ValidationError, match="exactly one"):
        Address.model_validate(wrong)


@pytest.mark.parametrize(
    "one", [{"url": "sqlite:///a.db"}, {"env": "STATE_URL"}, {"file": "a"}, {"credential": "state"}]
)
def test_any_one_source_will_do(one: dict[str, str]) -> None:
    """An address may stand in the file, the environment, a secret file or a credential."""
    assert Address.model_validate(one).model_dump(exclude_none=True) == one


@pytest.mark.parametrize(
    "wrong",
    [
        {"least_batch": 600, "first_batch": 500, "most_batch": 700},
        {"least_batch": 500, "first_batch": 800, "most_batch": 700},
        {"first_batch": 2_000_000, "most_batch": 2_000_000},
        {"most_items": -1},
        {"most_items": True},
        {"most_items": "10"},
        {"margin_days": -1},
        {"no_such_limit": 1},
    ],
)
def test_a_limit_that_is_none_is_an_error(wrong: dict[str, Any]) -> None:
    """Batches in order, counts from 0, no text, no yes, nothing unknown."""
    with pytest.raises(ValidationError):
        LimitSettings.model_validate(wrong)


def test_I04_zero_is_a_limit() -> None:
    """`most_items: 0` is a wish that is kept, not a missing value."""
    assert LimitSettings.model_validate({"most_items": 0}).most_items == 0
