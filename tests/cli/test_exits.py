"""Exit codes and errors: each class of trouble has its number, its words and its advice, and never a traceback."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from lifecycle.cli import errors
from lifecycle.cli.session import Session
from lifecycle.core.errors import CeilingBreached, Corrupt, InvalidDocument, Refused, Transient, Unknown
from lifecycle.evidence.errors import EvidenceError
from tests.cli.world import CANARIES, LEAVES, STAYS, Cli

if TYPE_CHECKING:
    from pathlib import Path

CASES = [
    (InvalidDocument("wrong"), 2),
    (Unknown("who knows"), 3),
    (Refused("no", guard="hold"), 4),
    (CeilingBreached("late"), 5),
    (Transient("later"), 1),
    (Corrupt("broken"), 1),
    (EvidenceError("torn"), 1),
]


@pytest.mark.parametrize(("error", "code"), CASES, ids=lambda value: type(value).__name__)
def test_each_class_of_error_has_its_exit_code_and_says_what_to_do(error, code, capsys) -> None:
    """The exit codes of the contract: 1 error, 2 usage or document, 3 partial, 4 refused, 5 breached."""

    def fail() -> None:
        raise error

    assert errors.guarded(fail, Session()) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert str(error) in told.err
    assert error.advice() in told.err


def test_a_bug_is_one_line_without_values_and_without_a_traceback(capsys, monkeypatch) -> None:
    """An error that nobody foresaw names its class and where to report it; its text may hold values."""
    monkeypatch.delenv(errors.DEBUG, raising=False)

    def fail() -> None:
        raise RuntimeError(CANARIES[0])

    assert errors.guarded(fail, Session()) == 1
    told = capsys.readouterr().err
    assert "internal error (RuntimeError)" in told
    assert CANARIES[0] not in told
    assert "Traceback" not in told


def test_debugging_shows_places_in_the_code_and_still_no_values(capsys, monkeypatch) -> None:
    """LIFECYCLE_DEBUG=1 adds file, line and function of each frame: no locals, no message."""
    monkeypatch.setenv(errors.DEBUG, "1")

    def fail() -> None:
        raise RuntimeError(CANARIES[0])

    errors.guarded(fail, Session())
    told = capsys.readouterr().err
    assert "test_exits.py" in told
    assert CANARIES[0] not in told


def test_an_error_is_the_one_json_document_in_json_mode(reader: Cli) -> None:
    """A program reads class, guard, message, advice and exit code from standard output; people read standard error."""
    ended = reader("plan", "--tenant", LEAVES, "--json", code=4)
    told = ended.json["error"]
    assert set(told) == {"kind", "exit", "message", "advice", "guard"}
    assert (told["kind"], told["exit"], told["guard"]) == ("refused", 4, "window-open")
    assert told["message"] in ended.err


def test_a_usage_error_is_json_too(reader: Cli) -> None:
    """What cannot be parsed is answered in the asked-for form."""
    assert reader("plan", "--nonsense", "--json", code=2).json["error"]["kind"] == "usage"


def test_problems_of_documents_stand_one_on_a_line_with_their_position(reader: Cli, tmp_path: Path) -> None:
    """file:line:col: what; what to do, for every problem at once."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("lifecycle: inventory/v1\nid: NOT AN ID\nstores: []\ndatasets: []\nextra: 1\n")
    lines = reader("validate", str(bad), code=2).err.splitlines()
    assert len(lines) >= 4
    assert all(line.startswith(f"{bad}:") and "; " in line for line in lines)
    found = reader("validate", str(bad), "--json", code=2).json
    assert (found["valid"], len(found["problems"])) == (False, len(lines))


BAD = [
    ("plan", "--tenant", ""),
    ("plan", "--tenant", "*"),
    ("plan", "--tenant", "%"),
    ("plan", "--tenant", "0"),
    ("plan", "--tenant", " padded "),
    ("plan", "--tenant", "a\u202eb"),
    ("plan", "--tenant", "nobody"),
    ("plan", "no-such-rule"),
    ("plan", "clientport/no-such-rule"),
    ("plan", "one", "two"),
    ("plan", "server-logs", "--tenant", LEAVES),
    ("plan", "server-logs", "--by", "nobody"),
    ("plan", "-o", "plan.json"),
    ("plan", "show"),
    ("plan", "show", "1234567"),
    ("plan", "show", "zzzzzzzz"),
    ("plan", "show", "0" * 64),
    ("tenant", "show", ""),
    ("tenant", "show", "_"),
    ("tenant", "end", "", "--on", "2026-06-30"),
    ("tenant", "end", LEAVES, "--on", "30.06.2026"),
    ("tenant", "end", LEAVES, "--on", "2026-02-30"),
    ("tenant", "end", LEAVES, "--on", "2019-12-31"),
    ("tenant", "end", LEAVES),
    ("tenant", "add", "*", "--agreement", "clientport"),
    ("tenant", "add", "new", "--agreement", "no-such-agreement"),
    ("tenant", "add", "new", "--agreement", "clientport", "--parameter", "booking_retention"),
    ("tenant", "add", "new", "--agreement", "clientport", "--parameter", "booking_retention=30 days"),
    ("tenant", "add", "new", "--agreement", "clientport", "--parameter", "unheard_of=P30D"),
    ("tenant", "add", "new", "--agreement", "clientport", "--federal-state", "Bayern"),
    ("tenant", "import", "no-such-file.csv"),
    ("apply", ""),
    ("apply", "abc"),
    ("apply", "sha256:" + "f" * 64),
    ("approve", "abcdef01", "--by", "op-one", "--key", "no-such-key.pem"),
    ("approve", "abcdef01", "--by", "op-one"),
    ("approve", "abcdef01", "--by", "op-one", "--key", "k.pem", "--most", "5"),
    ("approve", "abcdef01", "--by", "op-one", "--key", "k.pem", "--mandate", "--most", "-1"),
    ("hold", "set", STAYS, "--basis", "because", "--reason", "x", "--by", "op-one"),
    ("hold", "set", STAYS, "--basis", "own-data", "--reason", "", "--by", "op-one"),
    ("hold", "set", STAYS, "--basis", "own-data", "--reason", "x", "--by", "op-one", "--dataset", "nothing"),
    ("hold", "set", STAYS, "--basis", "own-data", "--reason", "x", "--by", "nobody"),
    ("hold", "release", "h-nothing", "--by", "op-one"),
    ("instruction", "decide", "i-nothing", "accepted", "--by", "op-one"),
    ("instruction", "record", STAYS, "--kind", "other", "--given-by", "A B", "--channel", "text", "--by", "op-one"),
    ("certificate", "show", "2026-000001"),
    ("certificate", "issue", "abc"),
    ("certificate", "bundle", "2026-000001", "-o", "x"),
    ("mandate", "renew", "m-nothing", "--by", "op-one", "--key", "no-such-key.pem"),
    ("explain", STAYS, "no-such-dataset"),
    ("explain", STAYS, "--start", "yesterday"),
    ("evidence", "log", "--last", "0"),
    ("schema",),
    ("schema", "nonsense"),
    ("store", "prepare", "no-such-store"),
    ("operator", "add", "op-nine", "--public-key", "short"),
    ("operator", "add", "Op Nine", "--public-key", "short"),
    ("operator", "remove", "nobody"),
    ("operator", "new", "op-nine", "--key", "{folder}/op-one.pem"),
    ("verify", "no-such.bundle", "--trust", "no-such.yaml"),
    ("init", "{folder}", "--deployment", "portal", "--origin", "lifecycle.example.com/x"),
    ("nonsense",),
    ("tenant", "nonsense"),
    ("resume",),
    ("completion", "tcsh"),
]


@pytest.mark.parametrize("line", BAD, ids=" ".join)
def test_bad_command_lines_end_with_2_in_words_before_anything_is_touched(reader: Cli, line: tuple[str, ...]) -> None:
    """Empty, wild, short, unknown, malformed: refused with a line that says what to do, never with a traceback."""
    ended = reader(*(part.format(folder=reader.folder) for part in line), code=2)
    assert ended.out == ""
    assert ended.err.strip()
    assert "Traceback" not in ended.err
    assert "internal error" not in ended.err


def test_a_folder_without_a_deployment_says_how_to_make_one(tmp_path: Path) -> None:
    """The first mistake of everybody gets the first answer."""
    ended = Cli(tmp_path)("status", code=2)
    assert "lifecycle init" in ended.err


def test_yes_needs_the_hash_of_the_very_plan(reader: Cli) -> None:
    """--yes without a hash is wrong usage; with another plan's hash it is refused."""
    plan = reader.json("plan", "server-logs")["plans"][0]["hash"]
    assert "requires an argument" in reader("apply", plan, "--yes", code=2).err
    other = reader.json("plan", "server-logs", "--by", "op-one")["plans"][0]["hash"]
    assert "not-confirmed" in reader("apply", plan, "--yes", other, code=4).err
    assert reader("apply", plan, "--yes", "ffffffff", code=2).err.startswith("lifecycle: no plan begins")


def test_an_expired_plan_is_refused_at_the_signature_and_at_the_start(cli: Cli) -> None:
    """A plan is good for 72 hours; then it is made anew."""
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one")
    cli.clock.advance(timedelta(hours=73))
    late = cli("approve", plan, "--by", "op-two", "--key", cli.key("op-two"), code=4)
    assert "plan-expired" in late.err
    assert cli.json("apply", plan, "--yes", plan, code=4)["error"]["guard"] == "clock-ahead"
    cli("resume", "--accept-clock", "--by", "op-one", "--key", cli.key("op-one"))
    assert cli.json("apply", plan, "--yes", plan, code=4)["error"]["guard"] == "plan-expired"
    assert cli.json("plan", "--list")["plans"][-1]["state"] == "expired"


def test_a_signature_counts_once_and_never_the_authors(cli: Cli) -> None:
    """Author, same key, wrong key: each refused by its own guard."""
    plan = cli.json("plan", "server-logs", "--by", "op-one")["plans"][0]["hash"]
    guards = []
    for operator, key in (("op-one", "op-one"), ("op-two", "op-three"), ("op-two", "op-two"), ("op-two", "op-two")):
        code = 0 if len(guards) == 2 else 4
        ended = cli("approve", plan, "--by", operator, "--key", cli.key(key), "--json", code=code)
        guards.append(ended.json.get("error", {}).get("guard"))
    leaving = {"--on": "2026-04-30", "--choice": "delete"}
    cli("tenant", "end", LEAVES, *(part for pair in leaving.items() for part in pair))
    whole = cli.json("plan", "--tenant", LEAVES)["plans"][0]["hash"]
    signer = ("--by", "op-one", "--key", cli.key("op-one"))
    assert cli.json("approve", whole, *signer, "--mandate", code=4)["error"]["guard"] == "mandate-kind"
    assert guards == ["author-approves", "wrong-key", None, "same-key"]


def test_another_stores_plan_does_not_run_here(cli: Cli, tmp_path: Path) -> None:
    """A plan is bound to the database it was made against: a clone at the same address is refused."""
    import shutil
    import sqlite3

    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one")
    database = cli.folder / "portal.sqlite"
    shutil.copy(database, tmp_path / "clone.sqlite")
    with sqlite3.connect(tmp_path / "clone.sqlite") as connection:
        connection.execute("UPDATE lifecycle_fence SET identity = 'another'")
    connection.close()
    shutil.move(tmp_path / "clone.sqlite", database)
    assert cli.json("apply", plan, "--yes", plan, code=4)["error"]["guard"] == "fingerprint"


def test_status_answers_in_its_first_line_and_by_exit_code(cli: Cli) -> None:
    """0 kept, 5 breached; a stopped deployment says so in its second line."""
    assert json.loads(cli("status", "--json", code=5).out)["answer"] == "breached"
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one")
    cli("apply", plan, "--yes", plan)
    assert cli.json("status")["answer"] == "kept"
    assert cli("plan", "--detailed-exitcode").out == "Nothing is due: there is nothing to plan.\n"
    cli("stop", "--by", "op-one")
    assert "stopped" in cli("status").out.splitlines()[1]
    assert cli.json("run", code=4)["error"]["guard"] == "stopped"
    cli("resume", "--by", "op-one")
    assert cli.json("run")["turns"][0]["result"] == "idle"


def test_the_documents_of_a_deployment_are_checked_as_it_reads_them(cli: Cli) -> None:
    """What else lies in the folder (a trust file, an export) is not a document; a wrong inventory is found."""
    cli("evidence", "trust")
    assert cli.json("validate", str(cli.folder))["valid"] is True
    inventory = cli.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("category: documents", "category: no-such-category"))
    problem = cli.json("validate", str(cli.folder), code=2)["problems"][0]
    assert problem["file"].endswith("inventory.yaml")
    assert "category" in problem["what"]


def test_a_key_that_others_can_read_signs_nothing(cli: Cli) -> None:
    """Mode 0644 on a private key is a finding, not a habit."""
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    (cli.folder / "op-one.pem").chmod(0o644)
    ended = cli("approve", plan, "--by", "op-one", "--key", cli.key("op-one"), code=2)
    assert "0600" in ended.err


def test_coverage_and_doctor_fail_on_what_nobody_declared(cli: Cli) -> None:
    """An unclassified table and column are gaps; a store that was never prepared is what doctor finds."""
    import sqlite3

    with sqlite3.connect(cli.folder / "portal.sqlite") as connection:
        connection.execute("CREATE TABLE shadow (id INTEGER PRIMARY KEY, email TEXT)")
        connection.execute("ALTER TABLE ticket ADD COLUMN phone TEXT")
    connection.close()
    gaps = cli.json("coverage", code=1)["gaps"]
    assert {(gap["kind"], gap["table"], gap["column"]) for gap in gaps} == {
        ("undeclared-table", "shadow", None),
        ("undeclared-column", "ticket", "phone"),
    }
    assert "2 gaps in 1 store." in cli("coverage", code=1).out


def test_an_unprepared_store_is_found_and_nothing_is_planned(tmp_path: Path) -> None:
    """doctor says what to run; plan refuses."""
    from tests.cli.world import begun

    fresh = begun(tmp_path / "portal")
    found = fresh.json("doctor", code=1)["findings"]
    assert [finding["code"] for finding in found] == ["unprepared"]
    assert "store prepare" in found[0]["fix"]
    fresh("tenant", "add", STAYS, "--agreement", "clientport")
    fresh("plan", "server-logs", code=4)


SECRET = "S3CRETpassword"
ADDRESSES = [
    (f"nonsense {SECRET}", 2),
    (f"postgresql://user:{SECRET}@127.0.0.1:port/db", 2),
    (f"postgresql://user:{SECRET}@127.0.0.1:1/db", 1),
    (f"postgresql://user:{SECRET}@127.0.0.1:1", 1),
    (f"oracle://user:{SECRET}@127.0.0.1/db", 4),
    (f"sqlite:////no/such/{SECRET}.db", 1),
]


@pytest.mark.parametrize(("address", "code"), ADDRESSES)
def test_a_wrong_address_is_told_without_showing_it(tmp_path: Path, address: str, code: int) -> None:
    """No database, a bad port, nobody there, a kind that is not built: in words, and the password stays inside."""
    from tests.cli.world import begun

    fresh = begun(tmp_path / "portal")
    (fresh.folder / "main.url").write_text(address + "\n")
    for line in (("doctor",), ("doctor", "--json")):
        ended = fresh(*line, code=code)
        assert SECRET not in ended.all
        assert "internal error" not in ended.err
    fresh("tenant", "add", STAYS, "--agreement", "clientport")


def test_init_with_names_that_cannot_be_used_makes_nothing(tmp_path: Path) -> None:
    """An unknown agreement, an origin that cannot sign, a deployment that is no name: nothing is written."""
    cli, folder = Cli(tmp_path), tmp_path / "new"
    good = ("--deployment", "portal", "--origin", "lifecycle.example.com/x")
    cli("init", str(folder), *good, "--agreement", "no-such-agreement", code=2)
    cli("init", str(folder), "--deployment", "portal", "--origin", "two words", code=2)
    cli("init", str(folder), "--deployment", "portal", "--origin", "*alias", code=2)
    cli("init", str(folder), "--deployment", "Portal Ltd", "--origin", "lifecycle.example.com/x", code=2)
    assert not folder.exists()
    cli("init", str(folder), *good)
    assert (folder / "keys").stat().st_mode & 0o777 == 0o700
    assert {key.stat().st_mode & 0o777 for key in (folder / "keys").iterdir()} == {0o600}


def test_wrong_settings_are_told_with_line_and_column(cli: Cli) -> None:
    """A cap as a string and an unknown key: both at once."""
    file = cli.folder / "lifecycle.yaml"
    file.write_text(file.read_text() + "limits: {most_items: '5'}\nbogus: 1\n")
    lines = cli("status", code=2).err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["lifecycle.yaml", "lifecycle.yaml"]
    assert "whole number" in lines[0]


def test_a_history_without_its_outside_checkpoint_runs_nothing(cli: Cli) -> None:
    """What could have been rewritten is not believed."""
    (cli.folder / "checkpoint").unlink()
    for line in (("status",), ("run",), ("tenant", "list"), ("evidence", "verify-log")):
        assert "checkpoint outside the database is missing" in cli(*line, code=1).err
