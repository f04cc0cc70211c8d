from __future__ import annotations

import pytest

from lifecycle.state import open_state


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """The address of a state that is not there yet, once for each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.sqlite'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def state(url):
    """An empty state."""
    opened = open_state(url, create=True)
    yield opened
    opened.close()
