"""The worlds of the flow's tests: made once, put back after each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flow import world as made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.flow.world import Line
    from tests.portal import World


@pytest.fixture(scope="session")
def planned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the world with plans lies."""
    folder = tmp_path_factory.mktemp("planned") / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def planned(planned_home: Path) -> Line:
    """Both plans made and approved on SQLite; use `line`, which puts everything back."""
    return made.line(made.tempting(planned_home / "deployment", f"sqlite:///{planned_home}/app.db"))


@pytest.fixture
def line(planned: Line, planned_home: Path) -> Iterator[Line]:
    """A world with an approved rule plan and an approved offboarding plan."""
    with made.restored(planned.world, planned_home):
        yield planned


@pytest.fixture(scope="session")
def open_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the world without plans lies."""
    folder = tmp_path_factory.mktemp("open") / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def unplanned(open_home: Path) -> World:
    """A held tenant and an ended contract, no plan; use `world`, which puts everything back."""
    world = made.tempting(open_home / "deployment", f"sqlite:///{open_home}/app.db")
    with world.open() as deployment:
        made.hold(deployment, made.HELD, "access-log")
        made.end_contract(world, deployment)
    return world


@pytest.fixture
def world(unplanned: World, open_home: Path) -> Iterator[World]:
    """A world in which nothing is planned yet."""
    with made.restored(unplanned, open_home):
        yield unplanned
