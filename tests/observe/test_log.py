"""The process' log: useful lines, and no way for personal data into them."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.core.errors import Refused, Transient
from lifecycle.evidence.entry import TYPES
from lifecycle.observe import Names, log_entry, open_log
from lifecycle.observe.fields import EVENTS, KEYS
from lifecycle.ports.clock import SimulatedClock

CLOCK = SimulatedClock(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
NAMES = Names({"rule": ("logs",), "store": ("main",), "dataset": ("tickets",), "operator": ("op-1",)})
ALIAS = "t-" + "a" * 16
JOB = "j-" + "0a" * 12
CANARIES = ["Mara Beispiel", "mara.beispiel@example.com", "mara@example.org", "4711-mara", "+49 151 000000", "mara"]
# The library's key takes the first part of a logger's name: it is filled by log.py alone.
CODE_FREE = KEYS - {"guard", "code", "verb", "library"}


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def log(stream):
    return open_log(stream, CLOCK, names=NAMES, libraries=False)


def lines(stream):
    return [json.loads(text) for text in stream.getvalue().splitlines()]


def test_line_has_what_is_allowed(log, stream):
    """A line is one JSON object with its moment, level, event and the fields given."""
    log.info("batch.done", rule="logs", store="main", job=JOB, step="s001", deleted=12, seconds=0.25, tenant=ALIAS)
    assert lines(stream) == [
        {
            "at": "2026-03-04T05:06:07Z",
            "level": "info",
            "event": "batch.done",
            "rule": "logs",
            "store": "main",
            "job": JOB,
            "step": "s001",
            "deleted": 12,
            "seconds": 0.25,
            "tenant": ALIAS,
        },
    ]


def test_other_fields_are_dropped_and_counted(log, stream):
    """A field that is not on the list is left out, and the line says how many were."""
    log.info("look.done", email="mara@example.com", row={"name": "Mara"}, rows=3)
    (line,) = lines(stream)
    assert line["dropped"] == 2
    assert line["rows"] == 3
    assert set(line) == {"at", "level", "event", "rows", "dropped"}


@pytest.mark.parametrize("canary", CANARIES)
def test_I23_no_canary_passes_an_allowed_key(stream, log, canary):
    """Whatever allowed key a person's name, address or number is planted under, it is not written."""
    for key in sorted(CODE_FREE):
        log.warning("look.done", **{key: canary})
    log.info(canary)
    log.info("look.done %s", canary)
    log.bind(name=canary, tenant=canary, exc_info=ValueError(canary)).error("look.done", stack_info=True)
    assert canary not in stream.getvalue()
    assert len(lines(stream)) == len(CODE_FREE) + 3


@pytest.mark.parametrize("key", sorted(KEYS - CODE_FREE))
def test_words_of_the_code_are_single_words(stream, log, key):
    """Guards, codes and verbs are constants of the code: short words, which no address, name or number is."""
    for canary in CANARIES[:-1]:
        log.info("look.done", **{key: canary})
    assert [set(line) for line in lines(stream)] == [{"at", "level", "event", "dropped"}] * (len(CANARIES) - 1)


@given(st.sampled_from(sorted(KEYS)), st.emails())
def test_I23_no_address_passes(key, address):
    """No e-mail address passes under any key."""
    stream = io.StringIO()
    open_log(stream, CLOCK, names=NAMES, libraries=False).info("look.done", **{key: address})
    assert address not in stream.getvalue()
    assert json.loads(stream.getvalue())["dropped"] == 1


@given(st.sampled_from(["rule", "store", "dataset", "operator", "job", "plan", "batch", "tenant"]), st.text())
def test_I23_names_must_be_declared_or_generated(key, text):
    """Under a name's key only names of the documents and generated ids are written."""
    stream = io.StringIO()
    open_log(stream, CLOCK, names=NAMES, libraries=False).info("look.done", **{key: text})
    line = json.loads(stream.getvalue())
    assert (key in line) == NAMES.has(key, text)


def test_names_without_documents_are_dropped(stream):
    """Before documents are read, no name of theirs is known, and none is written."""
    open_log(stream, CLOCK, libraries=False).info("daemon.started", rule="logs", verb="scan")
    assert lines(stream)[0] == {
        "at": "2026-03-04T05:06:07Z",
        "level": "info",
        "event": "daemon.started",
        "verb": "scan",
        "dropped": 1,
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("deleted", -1),
        ("deleted", True),
        ("deleted", 1.5),
        ("deleted", "5"),
        ("seconds", float("nan")),
        ("seconds", float("inf")),
        ("seconds", -0.1),
        ("job", uuid4()),
        ("job", "j-mara"),
        ("tenant", "t-mara"),
        ("tenant", "acme"),
        ("digest", "sha256:" + "0" * 64),
        ("plan_hash", "hmac-sha256:" + "0" * 64),
        ("sqlstate", "42p01"),
        ("day", "2026-02-30"),
        ("day", datetime(2026, 3, 4, tzinfo=UTC)),
        ("deadline", datetime(2026, 3, 4, tzinfo=UTC).replace(tzinfo=None)),
        ("error", "valueerror"),
        ("step", "s1"),
        ("guard", "Key (email)=(mara@example.com)"),
    ],
)
def test_wrong_shapes_are_dropped(log, stream, key, value):
    """An allowed key with a value of another form is dropped and counted."""
    log.info("look.done", **{key: value})
    (line,) = lines(stream)
    assert key not in line
    assert line["dropped"] == 1


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("day", date(2026, 3, 4), "2026-03-04"),
        ("day", "2026-03-04", "2026-03-04"),
        ("deadline", datetime(2026, 3, 4, 5, tzinfo=UTC), "2026-03-04T05:00:00Z"),
        ("digest", "hmac-sha256:" + "0" * 64, "hmac-sha256:" + "0" * 64),
        ("plan_hash", "sha256:" + "0" * 64, "sha256:" + "0" * 64),
        ("sqlstate", "40P01", "40P01"),
        ("guard", "not-leader", "not-leader"),
        ("stopped", True, True),
        ("seconds", 3, 3.0),
        ("version", "0.1.0", "0.1.0"),
    ],
)
def test_right_shapes_are_written(log, stream, key, value, written):
    """Counts, days, digests, codes and words of the code are written as they are."""
    log.info("look.done", **{key: value})
    assert lines(stream)[0][key] == written


def test_I23_exceptions_are_reduced(log, stream):
    """An exception is its class, SQLSTATE and guard: never its message, never a traceback."""

    class UniqueViolation(Exception):
        sqlstate = "23505"

    class IntegrityError(Exception):
        orig = UniqueViolation("Key (email)=(mara@example.com) already exists.")

    try:
        raise IntegrityError("mara@example.com")
    except IntegrityError:
        log.exception("run.failed")
    for error in (Refused("Mara", guard="not-leader"), Transient("Mara")):
        log.error("run.failed", exc_info=error)
    first, second, third = lines(stream)
    assert (first["error"], first["sqlstate"]) == ("IntegrityError", "23505")
    assert (second["error"], second["guard"]) == ("Refused", "not-leader")
    assert third["error"] == "Transient"
    assert "ara" not in stream.getvalue()
    assert "dropped" not in stream.getvalue()


def test_I23_cause_gives_its_sqlstate_only(log, stream):
    """The code of the cause is kept, its words are not."""
    cause = ValueError("mara@example.com")
    cause.sqlstate = "40001"
    error = Transient("x")
    error.__cause__ = cause
    log.error("run.failed", exc_info=(Transient, error, None))
    assert lines(stream)[0]["sqlstate"] == "40001"
    assert "example.com" not in stream.getvalue()


def test_exc_info_without_exception_is_nothing(log, stream):
    """Asking for the present exception where there is none adds nothing."""
    log.bind(exc_info=True).info("look.done")
    assert set(lines(stream)[0]) == {"at", "level", "event"}


def test_unknown_event_is_unnamed(log, stream):
    """An event that the code did not declare is not written: it may have been put together from data."""
    log.info("mara.beispiel")
    assert lines(stream)[0]["event"] == "unnamed"
    assert lines(stream)[0]["dropped"] == 1
    assert set(TYPES) <= EVENTS


def test_levels_below_are_silent(stream):
    """Below the chosen level nothing is written."""
    log = open_log(stream, CLOCK, names=NAMES, level="warning", libraries=False)
    log.info("look.done")
    log.warning("look.done")
    assert [line["level"] for line in lines(stream)] == ["warning"]


def test_terminal_gets_readable_lines(stream):
    """On a terminal a line is text, with the same fields and the same filter."""
    stream.isatty = lambda: True
    open_log(stream, CLOCK, names=NAMES, libraries=False).info("batch.done", rule="logs", deleted=3, name="Mara")
    assert stream.getvalue() == "2026-03-04T05:06:07Z info     batch.done rule=logs deleted=3 dropped=1\n"


def test_I23_libraries_are_noted_without_their_words(stream):
    """A warning of a library is noted by the library's name; what it says is not."""
    open_log(stream, CLOCK, names=NAMES)
    open_log(stream, CLOCK, names=NAMES)
    root, cause = logging.getLogger(), ValueError("Mara")
    try:
        logging.getLogger("sqlalchemy.pool").warning("lost %s", "mara@example.com", exc_info=cause)
        logging.getLogger("boto3").info("mara@example.com")
        logging.getLogger("Mara Beispiel").error("x")
    finally:
        for handler in root.handlers[:]:
            if type(handler).__name__ == "_Libraries":
                root.removeHandler(handler)
    first, second = lines(stream)
    assert (first["event"], first["library"], first["error"]) == ("library.message", "sqlalchemy", "ValueError")
    assert (second["level"], "library" in second) == ("error", False)
    assert "ara@" not in stream.getvalue()
    assert "Mara" not in stream.getvalue()


def test_entries_become_lines(log, stream):
    """An entry of the deployment's log is a line of its type; trouble has the level of trouble."""
    common = {"v": 1, "at": "2026-01-01T00:00:00Z", "tenant": None, "seq": None, "prev": None}
    refused = {**common, "type": "guard.refused", "guard": "limit", "rule": "logs", "job": None}
    finished = {**common, "type": "job.finished", "job": JOB, "outcome": "partial", "deleted": 4}
    check = {"step": "s001", "dataset": "tickets", "store": "main", "residue": 1, "orphans": 0}
    verified = {**common, "type": "verification.done", "job": JOB, "verifier": "v", "checks": [check], "unknown": 0}
    done = {**finished, "outcome": "done", "tenant": ALIAS}
    for index, entry in enumerate((refused, finished, verified, done)):
        log_entry(log, entry, index)
    found = lines(stream)
    assert [line["level"] for line in found] == ["warning", "error", "error", "info"]
    assert found[0] == {
        "at": "2026-03-04T05:06:07Z",
        "level": "warning",
        "event": "guard.refused",
        "index": 0,
        "guard": "limit",
        "rule": "logs",
    }
    assert found[3]["tenant"] == ALIAS
    assert found[3]["deleted"] == 4


def test_a_terminal_shows_digests_as_verbs_take_them_and_words_whole(stream):
    """`plan show` takes eight digits; why and what to do end the line, in quotes; JSON keeps all digits."""
    plan = "sha256:" + "1a2b3c4d" * 8
    error = Transient("the store did not answer", advice="Look at its network.")
    fields = {"why": error, "advice": error, "plan_hash": plan, "result": "failed"}
    open_log(stream, CLOCK, console=True, libraries=False).error("run.failed", **fields)
    assert stream.getvalue() == (
        "2026-03-04T05:06:07Z error    run.failed plan_hash=1a2b3c4d result=failed "
        'why="the store did not answer" advice="Look at its network."\n'
    )
    stream.truncate(stream.seek(0))
    open_log(stream, CLOCK, libraries=False).error("run.failed", **fields)
    assert lines(stream)[0]["plan_hash"] == plan
