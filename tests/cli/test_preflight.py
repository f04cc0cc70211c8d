"""`doctor`, `coverage` and `status` as somebody reads them before a first run: each thing once, with what to do."""

from __future__ import annotations

import re
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.cli.world import CANARIES, STAYS, Cli, deployed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A deployment with its store prepared."""
    return deployed(tmp_path / "d")


def execute(cli: Cli, script: str) -> None:
    """Change the application's database as its owner would."""
    with sqlite3.connect(cli.folder / "portal.sqlite") as connection:
        connection.executescript(script)
    connection.close()


def add(cli: Cli, text: str, file: str = "inventory.yaml") -> None:
    """Append to a document."""
    path = cli.folder / file
    path.write_text(path.read_text() + text)


# ---- doctor ----------------------------------------------------------------------------------------------------------


def test_a_sound_store_has_nothing_to_mend_and_says_what_was_seen(cli: Cli) -> None:
    """One good line, then the server, its size, its journal and its disk."""
    shown = cli("doctor").out
    assert shown.startswith("Nothing to mend in 1 store.\n")
    assert re.search(r"^  disk +[0-9.]+ [KMGT]iB are free beside it$", shown, re.MULTILINE)
    found = cli.json("doctor")
    assert set(found["facts"]["main"]) == {"server", "size", "log", "disk"}


def test_what_is_in_the_way_comes_first_and_nothing_twice(cli: Cli) -> None:
    """A trigger forbids, misread times are told by share, one piece of advice stands once under what it is for."""
    execute(
        cli,
        "CREATE TRIGGER watch AFTER DELETE ON ticket BEGIN SELECT 1; END;"
        "UPDATE access_log SET at = '9999-12-31' WHERE id < 3; UPDATE access_log SET at = NULL WHERE id = 3;"
        "UPDATE invoice SET issued_on = 'never';",
    )
    shown = cli("doctor", code=1).out
    assert shown.startswith("2 findings in the way, 2 worth knowing.\n")
    assert shown.index("In the way") < shown.index("undeclared-trigger") < shown.index("Worth knowing")
    assert "main/invoices: the time 'issue': 20 of 20 sampled values (100 %) do not read as a time" in shown
    assert "main/access-log: the time 'collection': 3 of 40 sampled values (7.5 %) stand for none or never" in shown
    assert "1 of 40 sampled values (2.5 %) are NULL" in shown
    lines = [line for line in shown.splitlines() if line.strip()]
    assert len(lines) == len(set(lines))
    assert not any(canary in shown for canary in CANARIES)
    assert "never" not in shown.replace("none or never", "")


# ---- coverage --------------------------------------------------------------------------------------------------------

PLAIN = """\
not_personal:
  - {store: main, table: setting, why: Names and values of switches}
"""


def test_names_that_look_personal_are_told_and_samples_only_on_request(cli: Cli) -> None:
    """In a table declared not personal: a column's name is a hint; values that look personal fail, by count alone."""
    execute(cli, "CREATE TABLE setting (id INTEGER PRIMARY KEY, contact_email TEXT, label TEXT, account TEXT)")
    rows = ", ".join(f"({i}, NULL, 'u{i}@example.com', 'DE89370400440532013000')" for i in range(5))
    execute(cli, f"INSERT INTO setting VALUES {rows}, (9, NULL, '+49 30 1234567', 'DE00370400440532013000')")
    add(cli, PLAIN)
    hint = cli.json("coverage")
    assert [(s["column"], s["holds"], s["sampled"]) for s in hint["looks_personal"]] == [
        ("contact_email", "email", None)
    ]
    assert "Looks personal, in tables declared not personal" in cli("coverage").out
    found = cli.json("coverage", "--sample", code=1)
    seen = {s["column"]: s for s in found["looks_personal"]}
    assert (seen["label"]["emails"], seen["label"]["phones"], seen["label"]["contradicts"]) == (5, 1, True)
    assert (seen["account"]["ibans"], seen["account"]["sampled"]) == (5, 6)
    assert not seen["contact_email"]["contradicts"]
    shown = cli("coverage", "--sample", code=1).all
    assert "example.com" not in shown
    assert "DE89" not in shown


def test_an_empty_table_is_not_taken_for_a_clean_one(cli: Cli) -> None:
    """Nothing was sampled: that is said, and it is no failure."""
    execute(cli, "CREATE TABLE setting (id INTEGER PRIMARY KEY, label TEXT)")
    add(cli, PLAIN)
    found = cli.json("coverage", "--sample")
    assert (found["not_sampled"], found["looks_personal"]) == (["setting"], [])
    assert "not sampled (empty, or our role may not read it): setting" in cli("coverage", "--sample").out


# ---- what is under way -----------------------------------------------------------------------------------------------


def test_a_backlog_is_shown_with_its_nights_and_its_approval(cli: Cli) -> None:
    """The plan says how many nights; status says how far, when it is gone, who approved, and that a breach is one."""
    settings = cli.folder / "lifecycle.yaml"
    settings.write_text(settings.read_text() + "limits: {least_batch: 1, first_batch: 2, rows_per_night: 4}\n")
    plan = cli.json("plan", "server-logs")["plans"][0]
    shown = cli("plan", "show", plan["hash"][7:15]).out
    assert f"at most 4 rows a night: {-(-plan['expected'] // 4)} nights" in shown
    cli.signed(plan["hash"], "op-one")
    stopped = cli("apply", plan["hash"], "--yes", plan["hash"], code=3)
    assert "this night's budget of 4 rows is used up: 4 of" in stopped.err
    assert "goes on by itself" in stopped.err
    status = cli.json("status", code=5)
    one = status["running"][0]
    assert (one["done"], one["rows_per_night"], one["approved_by"]) == (4, 4, ["op-one"])
    text = cli("status", code=5).out
    assert "Under way" in text
    assert "is a breach until it is gone: acknowledged, not over." in text
    cli.clock.advance(timedelta(days=1))
    turns = cli.json("run", code=3)["turns"]
    assert next(turn["result"] for turn in turns if turn["rule"] == "server-logs") == "paused"
    assert cli.json("status", code=5)["running"][0]["done"] == 8


def test_a_throttle_of_an_unknown_store_is_refused_with_its_position(cli: Cli) -> None:
    """It would hold nothing back, and nobody would notice."""
    add(cli, "throttle:\n  mian: {rows_per_second: 100}\n", "lifecycle.yaml")
    refused = cli("status", code=2)
    assert re.search(r"lifecycle\.yaml:[0-9]+:[0-9]+: the inventory has no store 'mian'", refused.err)


def test_status_says_what_holds_a_store_back(cli: Cli) -> None:
    """A flag file: nothing starts, the reason stands in status and in its JSON, and doctor tells of silent signals."""
    add(cli, "throttle:\n  main: {flag_file: calm}\n", "lifecycle.yaml")
    (cli.folder / "calm").touch()
    assert cli.json("status", code=5)["held_back"]["main"]["cause"] == "flag"
    held = "store main is not changed now: the flag file is there; 22 rows there outlived the ceiling meanwhile"
    assert held in cli("status", code=5).out
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one")
    assert "the flag file is there" in cli("apply", plan, "--yes", plan, code=3).err
    assert cli.rows("access_log", STAYS) == 20
    settings = cli.folder / "lifecycle.yaml"
    settings.write_text(settings.read_text().replace("flag_file: calm", "active_sessions: 5"))
    assert [f["code"] for f in cli.json("doctor", code=1)["findings"]] == ["throttle-unreadable"]
