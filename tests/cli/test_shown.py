"""What is shown: stable JSON, plain text into pipes, nothing that steers a terminal, nobody's data."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from lifecycle.cli import words
from lifecycle.cli.app import root
from lifecycle.cli.page import Page, clean, render
from tests.cli.world import CANARIES, LEAVES, STAYS, Cli, deployed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command below a group, the group itself included."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


ALL = dict(commands(root))
VERBS = (
    "demo init validate schema explain scan plan approve mandate apply run daemon status coverage doctor policy tenant "
    "operator instruction hold export certificate evidence verify stop resume store db completion"
)


@pytest.mark.parametrize("path", [p for p in ALL if p], ids=" ".join)
def test_every_command_says_in_one_line_what_it_does_and_shows_an_example(path: tuple[str, ...]) -> None:
    """`--help` of each: purpose, example that begins with the command itself; leaves take --json."""
    shown = CliRunner().invoke(root, [*path, "--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.output
    if path[0] != "demo":
        assert f"lifecycle {path[0]}" in shown.output.split("Example:")[1]
    command = ALL[path]
    purpose = (command.help or "").split("\n")[0]
    assert 15 < len(purpose) < 130
    assert purpose.endswith(".")
    assert isinstance(command, click.Group) or "--json" in shown.output


def test_the_verbs_are_those_of_the_contract() -> None:
    """interfaces: every verb of this version is there, and no other."""
    known = set(root.list_commands(click.Context(root)))
    assert known | {"demo"} == set(VERBS.split())


TIMELINE = {
    "contract_end", "windows", "window_end", "due_from", "delete_by", "state", "awaiting_choice", "licence_note",
    "conflicts",
}  # fmt: skip
PLAN = {
    "hash", "id", "kind", "agreement", "rule", "tenant", "author", "created_at", "start_by", "expected", "signed",
    "needed", "mandate", "state", "done",
}  # fmt: skip
FINDING = {
    "agreement", "rule", "clause", "dataset", "store", "cutoff", "deadline", "due", "overdue", "held", "undatable",
    "unattributed", "contested", "null_tenant", "conflicts",
}  # fmt: skip
SCAN = {"at", "breached", "findings", "unresolved"}
GOLDEN: dict[tuple[str, ...], tuple[int, set[str]]] = {
    ("scan",): (5, SCAN),
    ("status",): (5, {
        "deployment", "answer", "late_tenants", "stopped", "scan", "scan_refused", "ending", "mandates", "holds",
        "open_batches", "tenants", "coverage_gaps", "log_size", "certificates", "turns", "missed", "waiting",
        "looked", "unsigned", "next_turns", "running", "held_back",
    }),
    ("coverage",): (0, {"complete", "gaps", "looks_personal", "not_sampled"}),
    ("doctor",): (0, {"healthy", "findings", "facts"}),
    ("plan", "server-logs"): (0, {"plans", "errors"}),
    ("plan", "--list"): (0, {"plans"}),
    ("explain", STAYS): (0, {
        "tenant", "alias", "agreement", "version", "individual", "today", "parameters", "timeline", "datasets",
    }),
    ("tenant", "list"): (0, {"tenants"}),
    ("tenant", "show", STAYS): (0, {
        "alias", "id", "agreement", "agreement_version", "individual", "parameters", "contract_start", "notice_on",
        "contract_end", "licence", "choice", "choice_on", "window_waived_on", "state", "firm", "customer_number",
        "authorised", "federal_state", "timeline",
    }),
    ("operator", "list"): (0, {"operators"}),
    ("store", "list"): (0, {"stores"}),
    ("store", "prepare"): (0, {"stores"}),
    ("hold", "list"): (0, {"holds"}),
    ("instruction", "list"): (0, {"instructions"}),
    ("mandate", "list"): (0, {"mandates"}),
    ("certificate", "list"): (0, {"certificates"}),
    ("evidence", "log"): (0, {"entries"}),
    ("evidence", "checkpoint"): (0, {"size", "checkpoint", "log_key"}),
    ("evidence", "verify-log"): (0, {"valid", "size", "root", "checkpoint_size"}),
    ("db", "current"): (0, {"revision"}),
    ("completion", "bash"): (0, {"shell", "script"}),
}  # fmt: skip


@pytest.mark.parametrize("line", GOLDEN, ids=" ".join)
def test_the_keys_of_each_json_document_are_stable(reader: Cli, line: tuple[str, ...]) -> None:
    """Programs read them: a key is added with care and renamed never. --json before the verb does the same."""
    code, keys = GOLDEN[line]
    ended = reader(*line, "--json", code=code)
    assert set(ended.json) == keys
    assert ended.err == ""
    assert set(reader("--json", *line, code=code).json) == keys


def test_the_keys_inside_lists_are_stable(reader: Cli) -> None:
    """One finding, one plan, one window: what programs go through."""
    assert set(reader.json("scan", code=5)["findings"][0]) == FINDING
    assert set(reader.json("plan", "server-logs", "--items")["plans"][0]) == PLAN | {"plan", "items"}
    explained = reader.json("explain", STAYS, "access-log")
    assert set(explained["timeline"]) == TIMELINE
    window = explained["datasets"][0]
    assert set(window) == {
        "dataset", "category", "store", "start", "starts", "earliest", "due", "latest", "reasons", "conflicts",
    }  # fmt: skip
    assert set(window["reasons"][0]) == {
        "kind", "binds", "day", "period", "start", "label", "source", "duty_holder", "rule", "layer", "note",
    }  # fmt: skip


def test_quiet_prints_nothing_and_keeps_the_exit_code(reader: Cli) -> None:
    """For scripts that only ask for the number."""
    assert reader("--quiet", "status", code=5).all == ""


def test_a_plan_never_speaks_in_the_past_tense(reader: Cli) -> None:
    """A dry run promises nothing as done: it says what would be deleted, for how long it is good, and how to go on."""
    shown = reader("plan", "server-logs").out
    assert "- delete 22 rows of access-log in main" in shown
    assert "gone by 90 days (P90D)" in shown
    assert "collection on or before 2026-03-20, Europe/Berlin" in shown
    assert "start until  2026-06-18 10:00 UTC" in shown
    assert "lifecycle approve " in shown
    for past in ("deleted", "removed", "changed ", "was ", "were "):
        assert past not in shown.lower()


def test_a_plans_file_holds_the_bytes_that_its_hash_is_over(reader: Cli, tmp_path: Path) -> None:
    """-o writes what is signed, so that others can look at it and compute the hash themselves."""
    import hashlib

    file = tmp_path / "plan.json"
    plan = reader.json("plan", "server-logs", "-o", str(file))["plans"][0]
    assert "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest() == plan["hash"]


def test_explain_tells_the_dpo_each_figure_with_its_place_and_who_prevails(reader: Cli) -> None:
    """Clause, reading, statute and duty holder; the invoice of 2026-03-04 goes in 2035."""
    shown = reader("explain", STAYS, "invoices", "--start", "2026-03-04").out
    assert "may go from 2035-01-01" in shown
    assert "8 years (P8Y) after the end of the year of issue → free from 2035-01-01" in shown
    assert "statute: § 14b(1) UStG; § 147(1) No. 4, (3) AO · processor's duty" in shown
    assert "not in force on this day" in shown
    window = reader.json("explain", STAYS, "invoices", "--start", "2017-06-30")["datasets"][0]
    assert window["earliest"] == "2026-01-01"


def test_an_ended_contract_says_that_no_choice_was_recorded(cli: Cli) -> None:
    """Who reads the register before a deletion sees that the controller never chose."""
    assert "choice" not in cli("tenant", "show", LEAVES).out
    cli("tenant", "end", LEAVES, "--on", "2026-06-10")
    assert "none is recorded; without one the data is deleted" in cli("tenant", "show", LEAVES).out
    cli("tenant", "choose", LEAVES, "delete")
    assert "delete (on 2026-06-15)" in cli("tenant", "show", LEAVES).out


def test_a_hold_is_named_where_it_keeps(cli: Cli) -> None:
    """Set, explained, counted, released: and the deadline is there again."""
    ground = ("--basis", "legal-order", "--reason", "order of a court", "--by", "op-one")
    hold = cli.json("hold", "set", STAYS, *ground)
    assert hold["mirrored_in"] == ["main"]
    assert "kept by a hold" in cli("explain", STAYS, "access-log").out
    assert cli.json("scan", code=5)["findings"][0]["held"] == 11
    assert hold["id"] in cli("hold", "list").out
    cli("hold", "release", hold["id"], "--by", "op-two")
    assert cli.json("hold", "list")["holds"] == []
    assert cli.json("scan", code=5)["findings"][0]["held"] == 0


def test_an_oral_instruction_does_not_delete(cli: Cli) -> None:
    """It is recorded, and waits for its confirmation in text form."""
    given = ("--kind", "delete-earlier", "--given-by", "office", "--channel", "oral", "--by", "op-one")
    name = cli.json("instruction", "record", LEAVES, *given)["id"]
    assert cli.json("instruction", "decide", name, "accepted", "--by", "op-one", code=4)["error"]["guard"] == "oral"
    assert cli.json("instruction", "decide", name, "confirmed", "--by", "op-one")["state"] == "confirmed"
    assert cli.json("instruction", "list", "--tenant", LEAVES)["instructions"][0]["state"] == "confirmed"


def test_mandates_are_listed_renewed_and_revoked(cli: Cli) -> None:
    """A standing approval has an end, can be prolonged by a signature, and can be taken back."""
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    mandate = cli.signed(plan, "op-one", mandate=True)["mandate"]
    assert cli.json("mandate", "list")["mandates"][0]["state"] == "live"
    cli.clock.advance(timedelta(days=340))
    assert cli.json("mandate", "list")["mandates"][0]["state"] == "renew now"
    signer = ("--by", "op-two", "--key", cli.key("op-two"))
    assert cli.json("mandate", "renew", mandate, *signer)["state"] == "live"
    assert cli.json("mandate", "revoke", mandate, *signer)["state"] == "revoked"


def test_a_register_read_again_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    """The same file twice: nobody is new, nobody changed; who is missing from it stays."""
    register = tmp_path / "tenants.jsonl"
    entry = {"id": STAYS, "agreement": "clientport", "contract_start": "2020-01-01", "firm": CANARIES[3]}
    register.write_text(json.dumps(entry) + "\n")
    assert cli.json("tenant", "import", str(register)) == {"new": 0, "changed": 0, "missing": 1}


def test_a_removed_operator_stays_in_the_file_and_is_not_added_again(cli: Cli) -> None:
    """Old approvals are checked under that name: it never gets another key."""
    cli("operator", "remove", "op-three")
    assert "already-there" in cli("operator", "new", "op-three", "--key", cli.key("another"), code=4).err
    assert cli.json("operator", "list")["operators"][-1]["removed_on"] == "2026-06-15"


@pytest.mark.parametrize(
    "character", ["\x1b", "\x07", "\r", "\n", "\x9b", "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028"]
)
def test_nothing_that_is_shown_steers_the_terminal(character: str) -> None:
    """Controls, bidi and zero-width characters are shown as escapes, on a terminal and into a pipe."""
    page = Page().line(f"a{character}b").table(("head",), [(f"c{character}d",)]).pairs([("name", f"e{character}f")])
    plain = render(page, terminal=False)
    assert character not in plain.replace("\n", "") if character != "\n" else "a\\x0ab" in plain
    rich = render(page, terminal=True, no_color=True)
    assert f"a{character}b" not in rich
    assert f"c{character}d" not in rich


def test_escapes_in_error_messages_are_shown_as_escapes(reader: Cli, tmp_path: Path) -> None:
    """A file name or a value of a document may hold a terminal's commands."""
    file = tmp_path / "odd\x1b[2Jname.yaml"
    file.write_text('lifecycle: "no\\e[31mthing/v1"\n')
    shown = reader("validate", str(file), code=2)
    assert "\x1b" not in shown.all
    assert "\\x1b[2J" in shown.err


def test_markup_is_text() -> None:
    """Square brackets in a value are no colours."""
    page = Page().line("[red]a[/red]").table(("h",), [("[bold]c",)])
    shown = render(page, terminal=True, no_color=True)
    assert "[red]a[/red]" in shown
    assert "[bold]c" in shown


def test_words_for_figures() -> None:
    """Periods are written out, with the ISO text beside them."""
    assert words.period("P90D") == "90 days (P90D)"
    assert words.period("P1Y6M") == "1 year 6 months (P1Y6M)"
    assert words.period("P6M + P14D") == "6 months + 14 days (P6M + P14D)"
    assert (words.count(1, "row"), words.count(1200, "batch")) == ("1 row", "1,200 batches")
    assert clean("ä§–→") == "ä§–→"


def test_I23_no_canary_is_shown_but_ids_where_ids_were_asked_for(tmp_path: Path) -> None:
    """Planted names, e-mails and addresses are in no output and no error; ids only where the operator asked by id."""
    cli = deployed(tmp_path / "portal")
    shown = [cli("scan", code=5), cli("status", code=5), cli("coverage"), cli("doctor"), cli("store", "list")]
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    shown += [cli("plan", "show", plan, "--items"), cli("plan", "--list"), cli("run"), cli("plan")]
    cli.signed(plan, "op-one", mandate=True)
    shown += [cli("apply", plan, "--yes", plan), cli("certificate", "issue", plan), cli("evidence", "log")]
    ground = ("--basis", "own-data", "--reason", "own claim", "--by", "op-one")
    shown += [cli("hold", "set", LEAVES, *ground), cli("hold", "list"), cli("mandate", "list"), cli("run")]
    shown += [
        cli("plan", "--tenant", LEAVES, code=4),
        cli("tenant", "add", LEAVES, "--agreement", "clientport", code=4),
    ]
    text = "".join(ended.all for ended in shown)
    for canary in (*CANARIES, STAYS, LEAVES):
        assert canary not in text
    assert STAYS in cli("tenant", "list").out


def test_a_screen_gets_the_columns_that_say_something_and_a_pipe_gets_all() -> None:
    """Eighty columns are enough for a status; who greps finds every column in its place."""
    page = Page().table(("rule", "held", "deadline"), [("logs", "0", "2026-11-26"), ("mails", "-", "2026-11-27")])
    assert "held" in render(page, terminal=False).splitlines()[0]
    screen = render(page, terminal=True, no_color=True)
    assert "held" not in screen
    assert "2026-11-26" in screen
