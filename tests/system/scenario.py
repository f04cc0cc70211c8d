"""The unit's life on a real systemd, as facts in their order: each function is one, and prints what it measured."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.system.deployment import Operator
from tests.waiting import until

UNIT = "lifecycle.service"
WATCHDOG_SECONDS = 5
STOP_WITHIN = 45
FEW, MANY = 100, 40_000
WAIT_SECONDS = 120.0


def the_unit_starts_and_reads_its_credentials(operator: Operator) -> str:
    """`systemctl start` returns once the daemon said READY: documents read, stores open, nothing written by root."""
    began = time.monotonic()
    operator.machine.run("systemctl", "start", UNIT)
    seconds = time.monotonic() - began
    shown = operator.machine.show(UNIT, "ActiveState", "SubState", "StatusText", "NotifyAccess", "Type")
    assert (shown["ActiveState"], shown["SubState"], shown["Type"]) == ("active", "running", "notify"), shown
    # It cannot have become ready without them: the only address of the store is a credential, as are the keys.
    assert not (operator.machine.root / "etc/lifecycle/state.db").exists()
    process = _outside(operator)
    owners = {p.lstat().st_uid for p in (operator.machine.root / "var/lib/private/lifecycle").rglob("*")}
    assert len(owners) == 1, "the state has one owner"
    assert owners != {0}, "and that is not root"
    rights = _status(process)
    assert (rights["CapEff"].strip("0"), rights["CapBnd"].strip("0")) == ("", ""), rights
    assert (rights["NoNewPrivs"], rights["Seccomp"]) == ("1", "2"), rights
    memory = int(rights["VmRSS"].split()[0]) / 1024
    return f"ready after {seconds:.1f} s ({shown['StatusText']}); no capability, seccomp on, {memory:.0f} MiB"


def its_http_answers_on_loopback(operator: Operator) -> str:
    """Health and metrics are there at once, and only inside."""
    ask = (
        "import urllib.request as u; p = 'http://127.0.0.1:9464'; "
        "print(u.urlopen(p + '/readyz').status); print(u.urlopen(p + '/metrics').read().decode())"
    )
    ready, metrics = operator.machine.run("python3", "-c", ask).out.split("\n", 1)
    assert ready == "200"
    assert "lifecycle_leader 1.0" in metrics
    return f"/readyz 200, {len(metrics)} bytes of metrics"


def what_is_due_is_deleted_under_a_mandate(operator: Operator) -> str:
    """An operator signs the first plan with a mandate; later rows go without a person, younger rows stay."""
    application = operator.application
    application.log(1000, age_days=120)
    application.log(50, age_days=10)
    operator.sign("server-logs")
    signed = _gone(operator)
    application.log(1000, age_days=120)
    mandated = _gone(operator)
    assert application.left() == {"due": 0, "young": 50}
    return f"1000 rows {signed:.1f} s after the signature, 1000 more {mandated:.1f} s after they were written"


def a_signal_stops_everything_and_an_operator_goes_on(operator: Operator) -> str:
    """SIGUSR1 is the kill switch: nothing is changed, across a reload of the documents too, until somebody resumes."""
    operator.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=USR1", UNIT)
    switch = operator.machine.root / "var/lib/private/lifecycle/STOP"
    _until("the switch is on", switch.exists)
    operator.application.log(FEW, age_days=120)
    said = operator.machine.journal(UNIT).count('"guard":"stopped"')
    operator.machine.run("systemctl", "reload", UNIT)
    _until("the documents are read again", lambda: "documents.reloaded" in operator.machine.journal(UNIT))
    _until("a tick is skipped", lambda: operator.machine.journal(UNIT).count('"guard":"stopped"') > said)
    assert operator.application.left()["due"] == FEW
    operator.ctl("resume", "--by", "op-one")
    assert not switch.exists()
    return f"{FEW} rows stayed; gone {_gone(operator):.1f} s after `lifecycle-ctl resume`"


def a_hung_process_is_killed_by_the_watchdog_and_the_restart_resumes_the_job(operator: Operator) -> str:
    """SIGSTOP in the middle of a job: killed within the watchdog's time, started again, the same job is finished."""
    before = _jobs(operator)
    restarts = int(operator.machine.show(UNIT, "NRestarts")["NRestarts"])
    operator.application.log(MANY, age_days=120)
    _until("the job is under way", lambda: 0 < operator.application.left()["due"] < MANY * 0.9)
    hung = _outside(operator)
    os.kill(hung, signal.SIGSTOP)
    stopped = time.monotonic()
    left = operator.application.left()["due"]
    assert left > 0, "the job was over before it could be stopped: raise MANY"
    _until("the process is gone", lambda: not Path(f"/proc/{hung}").exists())
    killed = time.monotonic() - stopped
    _until("the unit is up again", lambda: _active(operator) and _outside(operator) != hung)
    back = time.monotonic() - stopped
    journal = operator.machine.journal(UNIT)
    assert "Watchdog timeout" in journal, journal[-2000:]
    assert "Fatal Python error: Aborted" in journal, "the journal does not show where it hung"
    assert int(operator.machine.show(UNIT, "NRestarts")["NRestarts"]) == restarts + 1
    done = _gone(operator)
    after = _jobs(operator) - before
    assert len(after) == 1, f"one job was begun and it was finished: {after}"
    assert killed < WATCHDOG_SECONDS + 5, killed
    return (
        f"stopped with {left} of {MANY} rows left; killed after {killed:.1f} s, ready again after {back:.1f} s, "
        f"the rest of job {after.pop()[:10]}… {done:.1f} s later"
    )


def a_stop_ends_within_its_time_and_the_next_start_goes_on(operator: Operator) -> str:
    """`systemctl stop` in the middle of a job: the batch ends, the process leaves in order, nothing is lost."""
    operator.application.log(MANY, age_days=120)
    _until("the job is under way", lambda: 0 < operator.application.left()["due"] < MANY * 0.9)
    began = time.monotonic()
    operator.machine.run("systemctl", "stop", UNIT)
    seconds = time.monotonic() - began
    left = operator.application.left()["due"]
    assert left > 0, "the job was over before it could be stopped: raise MANY"
    shown = operator.machine.show(UNIT, "ActiveState", "Result", "ExecMainStatus", "ExecMainCode")
    assert (shown["ActiveState"], shown["Result"], shown["ExecMainStatus"]) == ("inactive", "success", "0"), shown
    assert seconds < STOP_WITHIN, seconds
    assert operator.application.left()["due"] == left, "nothing is deleted after the stop"
    operator.machine.run("systemctl", "start", UNIT)
    rest = _gone(operator)
    return f"ended after {seconds:.1f} s with {left} of {MANY} rows left; finished {rest:.1f} s after the next start"


def the_proof_has_no_gap(operator: Operator) -> str:
    """After a kill and a stop the log verifies, its receipts add up to what is gone, and young rows are there."""
    assert operator.json("evidence", "verify-log")["valid"] is True
    deleted = sum(int(entry["deleted"]) for entry in _entries(operator, "batch.receipt"))
    assert deleted == 2000 + FEW + 2 * MANY, deleted
    assert operator.application.left() == {"due": 0, "young": 50}
    status = operator.ctl("status")
    assert status.out.startswith("Yes: nothing is overdue."), status.out
    return f"{deleted} rows in receipts, as many as are gone"


def invalid_documents_end_it_without_a_restart(operator: Operator) -> str:
    """Exit code 2 does not heal by itself: systemd leaves the unit failed, and a person is told why."""
    path = operator.machine.root / "etc/lifecycle/inventory.yaml"
    good = path.read_text()
    operator.machine.run("systemctl", "stop", UNIT)
    path.write_text(good.replace("category: technical-data", "category: unheard-of"))
    ended = operator.machine.run("systemctl", "start", UNIT, code=None)
    shown = operator.machine.show(UNIT, "ActiveState", "SubState", "ExecMainStatus")
    path.write_text(good)
    assert ended.code != 0
    assert (shown["ActiveState"], shown["SubState"], shown["ExecMainStatus"]) == ("failed", "failed", "2"), shown
    journal = operator.machine.journal(UNIT)
    assert "inventory.yaml:" in journal, journal[-1500:]
    assert "Traceback" not in journal
    operator.machine.run("systemctl", "reset-failed", UNIT)
    return "failed with 2, not restarted, the journal names file and line"


def the_timer_does_without_the_daemon(operator: Operator) -> str:
    """`lifecycle-run.timer` for those who prefer it: one tick under the same sandbox, and a next date."""
    operator.application.log(500, age_days=120)
    operator.machine.run("systemctl", "start", "lifecycle-run.service")
    assert operator.application.left() == {"due": 0, "young": 50}
    operator.machine.run("systemctl", "start", "lifecycle-run.timer")
    coming = operator.machine.show("lifecycle-run.timer", "NextElapseUSecRealtime")["NextElapseUSecRealtime"]
    assert " 02:0" in coming, coming
    operator.machine.run("systemctl", "stop", "lifecycle-run.timer")
    return f"500 rows in one tick; next one {coming}"


def its_exposure_is_low(operator: Operator) -> str:
    """The loaded units, drop-ins included, as `systemd-analyze security` scores them."""
    scores = []
    for unit in (UNIT, "lifecycle-run.service"):
        out = operator.machine.run("systemd-analyze", "security", "--no-pager", unit).out
        found = re.search(r"exposure level for \S+: ([0-9.]+)", out)
        assert found is not None, out
        assert float(found[1]) <= 1.5, out
        scores.append(f"{unit} {found[1]}")
    return ", ".join(scores)


STORY: tuple[Callable[[Operator], str], ...] = (
    the_unit_starts_and_reads_its_credentials,
    its_http_answers_on_loopback,
    what_is_due_is_deleted_under_a_mandate,
    a_signal_stops_everything_and_an_operator_goes_on,
    a_hung_process_is_killed_by_the_watchdog_and_the_restart_resumes_the_job,
    a_stop_ends_within_its_time_and_the_next_start_goes_on,
    the_proof_has_no_gap,
    invalid_documents_end_it_without_a_restart,
    the_timer_does_without_the_daemon,
    its_exposure_is_low,
)


def _until(what: str, true: Callable[[], bool]) -> float:
    """Look until it is so, and return the seconds it took. Raises AssertionError after a time far beyond all of it."""
    began = time.monotonic()
    until(true, f"not within {WAIT_SECONDS:.0f} s: {what}", WAIT_SECONDS)
    return time.monotonic() - began


def _gone(operator: Operator) -> float:
    return _until("what was due is gone", lambda: operator.application.left()["due"] == 0)


def _active(operator: Operator) -> bool:
    return operator.machine.show(UNIT, "ActiveState")["ActiveState"] == "active"


def _outside(operator: Operator) -> int:
    """The daemon's process as this host numbers it; 0 while there is none."""
    inside = int(operator.machine.show(UNIT, "MainPID")["MainPID"])
    with suppress(LookupError):
        return operator.machine.pid_outside(inside)
    return 0


def _status(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _entries(operator: Operator, kind: str) -> list[dict[str, Any]]:
    entries = operator.json("evidence", "log", "--last", "100000")["entries"]
    return [entry for entry in entries if entry["type"] == kind]


def _jobs(operator: Operator) -> set[str]:
    return {str(entry["job"]) for entry in _entries(operator, "job.started")}
