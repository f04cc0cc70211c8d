"""Backup, restore and check of the deployment's own state, as an operator does them."""

from __future__ import annotations

import shutil
import sqlite3

from lifecycle.state import open_state
from lifecycle.state.schema import HEAD
from tests.cli.world import STAYS, Cli


def mandated(cli: Cli) -> None:
    """Let the logs' rule run by itself from now on, and run it once."""
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one", mandate=True)
    assert cli.json("apply", plan, "--yes", plan)["outcome"] == "done"


def lose_state(cli: Cli) -> None:
    for file in cli.folder.glob("state.db*"):
        file.unlink()


def fence(cli: Cli, sql: str) -> None:
    """Change the fence of the store as nobody of ours would."""
    with sqlite3.connect(cli.folder / "portal.sqlite") as connection:
        connection.execute(sql)
    connection.close()


def entries(cli: Cli) -> list[bytes]:
    state = open_state(f"sqlite:///{cli.folder / 'state.db'}")
    try:
        return [body for _, body in state.entries()]
    finally:
        state.close()


def test_a_lost_state_comes_back_and_goes_on(cli: Cli) -> None:
    """Backup, loss, restore, check: the same history, and the next run works as if nothing had been."""
    mandated(cli)
    done = cli.json("db", "backup", str(cli.folder / "kept"))
    history = entries(cli)
    assert (done["size"], set(done)) == (len(history), {"file", "size", "root", "records"})
    lose_state(cli)
    assert cli.json("db", "restore", str(cli.folder / "kept"))["root"] == done["root"]
    assert entries(cli) == history
    checked = cli.json("db", "check")
    assert set(checked) == {"size", "root", "records", "epoch", "stores"}
    assert (checked["size"], checked["root"]) == (done["size"], done["root"])
    cli("run")
    assert cli.json("db", "check")["size"] >= done["size"]
    assert cli.rows("access_log", STAYS) > 0


def test_a_backup_replaces_nothing_and_a_restore_mixes_nothing(cli: Cli) -> None:
    """Neither an existing file nor a state that holds something is written over: refused, exit 4."""
    cli("db", "backup", str(cli.folder / "kept"))
    assert "already-there" in cli("db", "backup", str(cli.folder / "kept"), code=4).err
    assert "state-occupied" in cli("db", "restore", str(cli.folder / "kept"), code=4).err
    before = entries(cli)
    lose_state(cli)
    assert "cannot be used" in cli("db", "restore", str(cli.folder / "inventory.yaml"), code=1).err
    assert entries(cli) == []
    cli("db", "restore", str(cli.folder / "kept"))
    assert entries(cli) == before


def test_I22_an_older_state_is_refused_whoever_hid_the_checkpoint(cli: Cli) -> None:
    """A state from before the last job is refused at the start.

    With the checkpoint's copy set back as well, the check refuses it by what the store itself remembers of our log.
    """
    cli("db", "backup", str(cli.folder / "old"))
    shutil.copyfile(cli.folder / "checkpoint", cli.folder / "old-checkpoint")
    mandated(cli)
    lose_state(cli)
    cli("db", "restore", str(cli.folder / "old"))
    for line in (("db", "check"), ("status",), ("run",)):
        said = cli(*line, code=1).err
        assert "the tail is missing" in said
        assert "restore one that holds" in said
        assert "docs/operations/restore.md" in said
    shutil.copyfile(cli.folder / "old-checkpoint", cli.folder / "checkpoint")
    assert "the tail is missing" in cli("db", "check", code=1).err


def test_I20_an_epoch_behind_the_fences_is_raised_on_purpose(cli: Cli) -> None:
    """A store that has seen a later epoch refuses every run; the check says so, and the operator raises the epoch."""
    fence(cli, "UPDATE lifecycle_fence SET epoch = 70")
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one")
    assert "stale-epoch" in cli("apply", plan, "--yes", plan, code=4).err
    refused = cli("db", "check", code=4)
    assert "epoch 70" in refused.err
    assert "--raise-epoch" in refused.err
    assert cli.json("db", "check", "--raise-epoch")["epoch"] == 70
    assert cli.json("apply", plan, "--yes", plan)["outcome"] == "done"
    assert cli.json("db", "check")["epoch"] > 70


def test_I16_receipts_that_the_log_does_not_know_are_found(cli: Cli) -> None:
    """A receipt in the store without its batch in the log: rows went that no evidence of ours names."""
    mandated(cli)
    row = f"SELECT 'b-from-a-lost-night', {_columns(cli)} FROM lifecycle_receipt LIMIT 1"
    fence(cli, f"INSERT INTO lifecycle_receipt {row}")
    shown = cli("db", "check", code=1)
    assert "1 receipt(s) of batches that the log does not know" in shown.err
    assert "newer backup" in shown.err


def _columns(cli: Cli) -> str:
    with sqlite3.connect(cli.folder / "portal.sqlite") as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(lifecycle_receipt)")]
    connection.close()
    assert names[0] == "batch_id"
    return ", ".join("NULL" if name == "checkpoint" else name for name in names[1:])


def test_a_damaged_state_is_named_by_the_check(cli: Cli) -> None:
    """A changed entry is found by reading everything, also where no later step would have looked."""
    mandated(cli)
    with sqlite3.connect(cli.folder / "state.db") as connection:
        connection.execute("UPDATE log_entry SET job = 'job-z' WHERE entry_index = 3")
    connection.close()
    assert "filed under something else" in cli("db", "check", code=1).err
    assert "filed under something else" in cli("db", "backup", str(cli.folder / "kept"), code=1).err
    assert not (cli.folder / "kept").exists()


def test_an_older_schema_names_backup_and_upgrade(cli: Cli) -> None:
    """Whoever installs a new version over an old state is told both steps, and both work."""
    with sqlite3.connect(cli.folder / "state.db") as connection:
        connection.execute("DROP TABLE lifecycle_state_compatible")
        connection.execute("UPDATE lifecycle_state_version SET version_num = '0001'")
    connection.close()
    refused = cli("status", code=4).err
    assert "lifecycle db upgrade" in refused
    assert cli.json("db", "upgrade") == {"revision": HEAD}
    assert cli.json("db", "check")["size"] > 0
