"""Upgrades while an older replica runs: with migrations made up for these tests, newer than any of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import inspect

from lifecycle.core.errors import Refused
from lifecycle.state import current, open_state, upgrade
from lifecycle.state.migrate import OURS, Migrations
from lifecycle.state.schema import HEAD
from tests.state.sample import check_whole, step

ADDITIVE = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9001", "{head}", None, None
compatible_since = "{since}"


def upgrade() -> None:
    op.add_column("log_entry", sa.Column("shard", sa.Integer, nullable=True))
    op.add_column("record", sa.Column("colour", sa.String(20), nullable=False, server_default="grey"))
    op.create_table("palette", sa.Column("name", sa.Text, primary_key=True))
"""

BREAKING = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9002", "9001", None, None
compatible_since = "9002"


def upgrade() -> None:
    op.rename_table("record", "register")
"""

FORGETFUL = """
revision, down_revision, branch_labels, depends_on = "9003", "9002", None, None
compatible_since = "{since}"


def upgrade() -> None:
    pass
"""


@pytest.fixture
def newer(tmp_path):
    """The migrations of versions to come, up to a revision."""
    folder = tmp_path / "versions to come"
    folder.mkdir()
    for name, text in (("9001", ADDITIVE), ("9002", BREAKING), ("9003", FORGETFUL)):
        (folder / f"{name}.py").write_text(text.format(head=HEAD, since=HEAD))

    def upto(head: str) -> Migrations:
        return Migrations(head, (*OURS.folders, Path(folder)))

    return upto


def refused(act) -> str:
    """Return the advice of a refusal over the schema."""
    with pytest.raises(Refused) as caught:
        act()
    assert caught.value.guard == "state-schema"
    return caught.value.advice()


def enter(context) -> None:
    with context:
        pass


def test_older_replica_goes_on_over_an_additive_upgrade(state, url, newer):
    """An upgrade happens under a replica that leads and deletes: it writes, reads, restarts and leads as before."""
    with state.lead() as lease, state.exclusive() as epoch:
        step(state, "job-a", 0)
        assert upgrade(url, migrations=newer("9001")) == "9001"
        step(state, "job-a", 1)
        assert (check_whole(state), lease.lost(), epoch) == (4, False, 1)
    again = open_state(url)
    with again.lead(), again.exclusive() as epoch:
        step(again, "job-a", 2)
        with again.transaction() as transaction:
            transaction.put("job", "job-b", b"0")
            transaction.remove("job", "job-b")
    assert (check_whole(again), epoch, current(url)) == (6, 2, "9001")
    with again._engine.connect() as connection:
        assert "palette" in inspect(connection).get_table_names()
    again.close()


def test_upgrade_by_an_older_version_undoes_nothing(state, url, newer):
    """An older version's own upgrade, run again as its start script does, leaves the newer schema as it is."""
    upgrade(url, migrations=newer("9001"))
    assert (upgrade(url), current(url)) == ("9001", "9001")
    open_state(url, create=True).close()
    step(state, "job-a", 0)
    assert check_whole(state) == 2


def test_breaking_upgrade_waits_until_nobody_works(state, url, newer):
    """A schema that older code cannot use is not put under a replica that leads or deletes."""
    for working in (state.lead, state.exclusive):
        with working():
            with pytest.raises(Refused) as caught:
                upgrade(url, migrations=newer("9002"))
            assert caught.value.guard == "not-leader"
            assert "Stop every replica" in caught.value.advice()
            step(state, "job-a", int(state.get("job", "job-a") or 0))
    assert (check_whole(state), current(url)) == (4, HEAD)


@pytest.mark.parametrize("head", ["9002", "9003"])
def test_older_code_refuses_a_schema_that_does_not_name_it(state, url, newer, head):
    """After a breaking upgrade older code neither starts nor leads nor deletes nor upgrades, and names the way out.

    A later migration that forgets it cannot take the promise back.
    """
    step(state, "job-a", 0)
    upgrade(url, migrations=newer(head))
    for act in (
        lambda: open_state(url),
        lambda: enter(state.lead()),
        lambda: enter(state.exclusive()),
        lambda: upgrade(url),
    ):
        assert "Install the version" in refused(act)
    assert current(url) == head


def test_first_schema_is_upgraded_with_what_it_holds(url, newer):
    """A state of the first schema is refused with the command that upgrades it, and keeps what it held."""
    upgrade(url, migrations=Migrations("0001", OURS.folders))
    assert "lifecycle db upgrade" in refused(lambda: open_state(url))
    upgrade(url)
    state = open_state(url)
    step(state, "job-a", 0)
    state.close()
    upgrade(url, migrations=newer("9001"))
    state = open_state(url)
    assert check_whole(state) == 2
    state.close()
