"""`lifecycle stop` when something is broken: it stops by every way that works, and names the others (I28)."""

from __future__ import annotations

import pytest

from tests.cli.world import deployed


@pytest.fixture
def cli(tmp_path):
    """A deployment of its own."""
    return deployed(tmp_path / "deployment")


def test_I28_broken_documents_do_not_keep_the_switch_from_being_thrown(cli):
    """The file is written before anything else is opened; what could not be reached is said, with exit 3."""
    inventory = cli.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text() + "nonsense: true\n")
    ended = cli("stop", code=3)
    assert (cli.folder / "STOP").exists()
    assert "not by every way" in ended.out


def test_I28_a_file_that_cannot_be_written_leaves_the_other_ways(cli):
    """The register stops everything when the folder of the stop file is not there."""
    settings = cli.folder / "lifecycle.yaml"
    settings.write_text(settings.read_text() + "stop_file: missing/STOP\n")
    assert cli.json("stop", code=3)["failed"]
    assert "stopped" in cli("run", code=4).err


def test_status_counts_rows_of_ended_contracts(cli):
    """I33: a row that came back to a deleted tenant is no kept promise: exit 5, and said."""
    import sqlite3

    from tests.cli.world import LEAVES

    cli("tenant", "end", LEAVES, "--on", "2026-02-28")
    plan = cli.json("plan", "--tenant", LEAVES)["plans"][0]["hash"]
    cli.signed(plan, "op-one", "op-two")
    cli("apply", plan, "--yes", plan)
    cli("run")
    logs = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(logs, "op-one")
    cli("apply", logs, "--yes", logs)
    assert cli.json("status")["answer"] == "kept"
    with sqlite3.connect(cli.folder / "portal.sqlite") as connection:
        connection.execute("INSERT INTO ticket VALUES (77777, ?, 'x', '2026-06-14T00:00:00Z')", (LEAVES,))
    connection.close()
    found = cli.json("status", code=5)
    assert found["looked"]["ended"] == 1
