"""An application of somebody else, with its own data: the world that the acceptance tests walk through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.environments import environment
from tests.acceptance.helpdesk import databases
from tests.acceptance.helpdesk.harness import Helpdesk, copy_of
from tests.acceptance.helpdesk.pages import visit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.helpdesk.harness import Manifest
    from tests.acceptance.helpdesk.pages import Answer

# One customer who stays, ties to two others included.
WATCHED = "birke"


@dataclass(frozen=True, slots=True)
class Lived:
    """A ticket system after 200 days of use, and what is known about it; `now` is where its story ends."""

    desk: Helpdesk
    manifest: Manifest
    now: dt.datetime

    @property
    def staying(self) -> list[str]:
        """The slugs of the queues that stay."""
        return [queue["slug"] for queue in self.manifest["queues"] if queue["slug"] != self.manifest["leaving"]]


@pytest.fixture(scope="session", params=list(databases.KINDS))
def database(request: pytest.FixtureRequest) -> str:
    """The name of the kind of database; everything about the ticket system runs on each, seeded once for each."""
    return str(request.param)


@pytest.fixture(scope="session")
def empty_helpdesk(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Helpdesk]:
    """The ticket system just installed: its own migrations have run. Not to be changed: copy it."""
    with databases.KINDS[database].empty(request) as url:
        desk = Helpdesk(environment("helpdesk"), url, tmp_path_factory.mktemp("empty"))
        desk.migrate()
        yield desk


@pytest.fixture(scope="session")
def _seeded(empty_helpdesk: Helpdesk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    with copy_of(empty_helpdesk, tmp_path_factory.mktemp("seeded") / "media") as desk:
        now = databases.now(desk.database_url)
        yield Lived(desk, desk.seed(now), now)


@pytest.fixture(scope="session")
def pages_before(_seeded: Lived, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """What the pages of `WATCHED` said before any test changed anything."""
    with (
        copy_of(_seeded.desk, tmp_path_factory.mktemp("before") / "media") as desk,
        desk.serving(_seeded.now) as address,
    ):
        return visit(address, _seeded.manifest, [WATCHED])


@pytest.fixture
def helpdesk(_seeded: Lived, tmp_path: Path) -> Iterator[Lived]:
    """A used ticket system of this test's own: six customers, 1,800 tickets, 200 days up to this moment."""
    with copy_of(_seeded.desk, tmp_path / "media") as desk:
        yield Lived(desk, _seeded.manifest, _seeded.now)
