"""The command line as a process: start-up, pipes that close, Ctrl-C, and a person at a terminal."""

from __future__ import annotations

import os
import pty
import resource
import select
import signal
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from lifecycle.ports.clock import SystemClock
from tests.cli.world import LEAVES, Cli, deployed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A deployment whose data belongs to the machine's present, with a signed plan."""
    cli = deployed(tmp_path_factory.mktemp("real") / "portal", SystemClock().now().replace(microsecond=0))
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one")
    return cli


def only_plan(cli: Cli) -> str:
    """Return the hash of the plan that the fixture made."""
    return str(cli.json("plan", "--list")["plans"][-1]["hash"])


def test_help_is_quick_because_only_the_used_verb_is_imported() -> None:
    """`lifecycle --help` takes less than 0.4 s of the processor, without databases, models or colours."""
    code = "import sys, lifecycle.cli.app as a\ntry: a.root.main(['--help'])\nfinally: print(*sys.modules)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.4
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"sqlalchemy", "pydantic", "rich", "cryptography", "ruamel.yaml", "alembic"}


def test_the_module_is_the_command(real: Cli) -> None:
    """`python -m lifecycle` answers as the installed command does, and finds the deployment by the environment."""
    call = [sys.executable, "-m", "lifecycle", "db", "current"]
    environment = {**os.environ, "LIFECYCLE_DIR": str(real.folder)}
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_leaves_early_changes_neither_the_exit_code_nor_the_silence(real: Cli) -> None:
    """EPIPE: the verb's own exit code, and no complaint of the interpreter."""
    reading, writing = os.pipe()
    os.close(reading)
    call = [sys.executable, "-m", "lifecycle", "--dir", str(real.folder), "scan"]
    with subprocess.Popen(call, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (5, "")


def at_a_terminal(real: Cli, answer: bytes | None, *line: str) -> tuple[int, str, str]:
    """Run a command line whose input and errors are a terminal; answer its question, or press Ctrl-C."""
    controller, terminal = pty.openpty()
    call = [sys.executable, "-m", "lifecycle", "--dir", str(real.folder), *line]
    # Whoever runs the tests in the background has SIGINT ignored, and a child inherits that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            call, stdin=terminal, stderr=terminal, stdout=subprocess.PIPE, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    os.close(terminal)
    shown = b""
    while b"to go on: " not in shown and process.poll() is None:
        if select.select([controller], [], [], 60)[0]:
            shown += os.read(controller, 4096)
    if answer is None:
        process.send_signal(signal.SIGINT)
    else:
        os.write(controller, answer + b"\n")
    out, _ = process.communicate(timeout=60)
    try:
        while select.select([controller], [], [], 1)[0]:
            shown += os.read(controller, 4096)
    except OSError:
        # Linux: the other side is closed.
        pass
    os.close(controller)
    return process.returncode, out.decode(), shown.decode()


def test_ctrl_c_at_the_question_changes_nothing(real: Cli) -> None:
    """130, in words: no batch is half done."""
    code, out, shown = at_a_terminal(real, None, "apply", only_plan(real))
    assert code == 130
    assert out == ""
    assert "interrupted" in shown
    assert "Traceback" not in shown
    assert real.rows("access_log", LEAVES) == 20


def test_a_wrong_answer_is_a_refusal(real: Cli) -> None:
    """yes is not a confirmation: the digits are asked for, so that one has read which plan it is."""
    code, _, shown = at_a_terminal(real, b"yes", "apply", only_plan(real))
    assert code == 4
    assert "not-confirmed" in shown
    assert real.rows("access_log", LEAVES) == 20


def test_a_person_confirms_with_the_first_eight_digits(tmp_path: Path) -> None:
    """The plan is shown again on the terminal, the digits are typed, and the result stands on standard output."""
    cli = deployed(tmp_path / "portal", SystemClock().now().replace(microsecond=0))
    plan = cli.json("plan", "server-logs")["plans"][0]["hash"]
    cli.signed(plan, "op-one")
    code, out, shown = at_a_terminal(cli, plan[7:15].encode(), "apply", plan)
    assert code == 0, shown
    assert "delete 22 rows of access-log" in shown
    assert out.startswith("done: 22 rows changed")
    assert cli.rows("access_log", LEAVES) == 9


def test_the_verifier_is_a_process_of_its_own_and_needs_no_settings(tmp_path: Path) -> None:
    """`verify` works in an empty folder; what it cannot read is wrong usage, in the verifier's own words."""
    (tmp_path / "a.bundle").write_bytes(b"PK")
    (tmp_path / "trust.yaml").write_text("{}")
    call = [sys.executable, "-m", "lifecycle", "verify", "a.bundle", "--trust", "trust.yaml"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("lifecycle.evidence: ")


def test_no_colour_reaches_a_pipe(real: Cli) -> None:
    """Tables into a pipe are plain and greppable."""
    shown = real.process("tenant", "list").out
    assert "\x1b" not in shown
    assert any(line.startswith(LEAVES) for line in shown.splitlines())


def test_an_offboarding_is_confirmed_by_the_tenants_own_id(tmp_path: Path) -> None:
    """The id is asked for, not shown: whoever types it knows whose data it is."""
    now = SystemClock().now().replace(microsecond=0)
    cli = deployed(tmp_path / "portal", now)
    cli("tenant", "end", LEAVES, "--on", (now.date() - timedelta(days=40)).isoformat(), "--choice", "delete")
    plan = cli.json("plan", "--tenant", LEAVES)["plans"][0]["hash"]
    cli.signed(plan, "op-one", "op-two")
    code, _, shown = at_a_terminal(cli, plan[7:15].encode(), "apply", plan)
    assert (code, cli.rows("ticket", LEAVES)) == (4, 5)
    assert LEAVES not in shown
    assert at_a_terminal(cli, LEAVES.encode(), "apply", plan)[0] == 0
    assert cli.rows("ticket", LEAVES) == 0


def test_the_shell_completes_verbs(real: Cli) -> None:
    """The script of `completion` asks the command itself."""
    words = {"_LIFECYCLE_COMPLETE": "bash_complete", "COMP_WORDS": "lifecycle st", "COMP_CWORD": "1"}
    done = real.process(env={**os.environ, **words})
    assert {line.split(",")[-1] for line in done.out.split()} == {"store", "status", "stop"}


def test_a_poor_terminal_gets_escapes_instead_of_an_error(real: Cli) -> None:
    """An ASCII-only output shows arrows and umlauts as escapes."""
    done = real.process("explain", LEAVES, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.code == 0
    assert "\\u2192 before" in done.out
