"""The systemd units, as far as they can be read without booting: `make system` boots them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lifecycle.core.settings import Settings
from lifecycle.documents import load
from tests.system import base

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES = ("lifecycle.service", "lifecycle-run.service")
MOST_EXPOSURE = 1.5


@pytest.fixture(scope="module", autouse=True)
def systemd():
    """Debian's systemd brings systemd-analyze; nothing of it runs."""
    base.install_tools({"systemd-analyze": "systemd"})


def entries(path: Path, section: str = "Service") -> list[tuple[str, str]]:
    """The settings of one section, in order, comments aside."""
    found, inside = [], False
    for line in path.read_text().splitlines():
        if line.startswith("["):
            inside = line == f"[{section}]"
        elif inside and line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.append((name, value))
    return found


def settings() -> Settings:
    document = load(UNITS / "lifecycle.yaml", "settings", file="lifecycle.yaml").document
    assert isinstance(document, Settings)
    return document


def seconds(span: str) -> int:
    """A time span as systemd writes it: numbers with units, plain numbers are seconds."""
    unit = {"": 1, "s": 1, "min": 60, "h": 3600}
    return sum(int(number) * unit[name] for number, name in re.findall(r"(\d+)\s*([a-z]*)", span))


@pytest.mark.parametrize("unit", SERVICES)
def test_the_units_exposure_is_low(unit, capsys):
    """What a compromised daemon could reach is little: at most 1.5 of 10 as systemd itself scores the unit."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", UNITS / unit],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    with capsys.disabled():
        print(f"\n{unit}: exposure {found[1]} of 10")
    assert float(found[1]) <= MOST_EXPOSURE, done.stdout


def test_systemd_knows_every_line(tmp_path):
    """A misspelt setting would be ignored, and with it what it protects: systemd has nothing to say about the units."""
    program = tmp_path / "lifecycle"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in UNITS.glob("lifecycle*"):
        if path.suffix in {".service", ".timer"}:
            (tmp_path / path.name).write_text(path.read_text().replace("/opt/lifecycle/bin/lifecycle", str(program)))
    # The drop-in of the transient units is a service's, so it is read as one.
    drop_in = (UNITS / "lifecycle-ctl-.service.d" / "service.conf").read_text()
    (tmp_path / "lifecycle-ctl.service").write_text(drop_in.replace("[Service]", f"[Service]\nExecStart={program}"))
    names = [path.name for path in tmp_path.iterdir() if path.suffix in {".service", ".timer"}]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *names],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "lifecycle" in line]
    assert (said, done.returncode) == ([], 0), done.stderr


def test_every_way_of_running_has_the_same_sandbox():
    """Daemon, timer and an operator's verb see and may the same: what is hardened once is hardened everywhere."""
    apart = {
        "Type", "NotifyAccess", "ExecStart", "ExecReload", "WatchdogSec", "KillMode", "Restart", "RestartSec",
        "RestartPreventExitStatus", "TimeoutStartSec", "TimeoutStopSec", "TimeoutAbortSec",
    }  # fmt: skip
    paths = [UNITS / "lifecycle.service", UNITS / "lifecycle-run.service"]
    paths.append(UNITS / "lifecycle-ctl-.service.d" / "service.conf")
    shared = [[entry for entry in entries(path) if entry[0] not in apart] for path in paths]
    assert shared[0] == shared[1] == shared[2]
    assert len(shared[0]) > 40


def test_the_stop_time_is_longer_than_the_daemons_own():
    """systemd must not kill what is about to end by itself: its time is longer than `daemon.stop_within`."""
    unit = dict(entries(UNITS / "lifecycle.service"))
    assert seconds(unit["TimeoutStopSec"]) > settings().daemon.stop_within.seconds
    tick = dict(entries(UNITS / "lifecycle-run.service"))
    assert seconds(tick["TimeoutStartSec"]) > settings().schedule.longest_run.seconds


def test_what_does_not_heal_is_not_restarted():
    """Invalid documents (2) and refusals (4) wait for a person; everything else is tried again, for ever."""
    unit = entries(UNITS / "lifecycle.service")
    assert ("Restart", "on-failure") in unit
    assert ("RestartPreventExitStatus", "2 4") in unit
    assert ("StartLimitIntervalSec", "0") in entries(UNITS / "lifecycle.service", "Unit")


def test_a_core_dump_would_hold_rows():
    """I23: no personal data outside the databases; an aborted process writes no core."""
    for unit in SERVICES:
        assert ("LimitCORE", "0") in entries(UNITS / unit)


def test_the_sample_settings_write_only_where_the_unit_may():
    """Under ProtectSystem=strict only the state directory can be written; the sample places everything there."""
    found = settings()
    written = [found.state.url or "", found.checkpoint, found.stop_file, found.dead_man.file]
    unit = dict(entries(UNITS / "lifecycle.service"))
    folder = f"/var/lib/{unit['StateDirectory']}/"
    assert [place for place in written if not place.removeprefix("sqlite:///").startswith(folder)] == []
    assert ("BindReadOnlyPaths", f"%d:/etc/lifecycle/{found.keys}") in entries(UNITS / "lifecycle.service")


def test_every_key_is_handed_over():
    """A key that is missing among the credentials is a service that does not start: the unit names all of them."""
    from lifecycle.wiring.keys import SECRETS, SIGNING

    names = {f"{name}.pem" for name in SIGNING} | {f"{name}.key" for name in SECRETS}
    loaded = {value.split(":")[0] for name, value in entries(UNITS / "lifecycle.service") if name == "LoadCredential"}
    assert loaded - {"address"} == names


def test_the_operators_key_is_handed_over_as_a_credential(tmp_path):
    """lifecycle-ctl: the file after --key reaches the service's user as a credential; every other word stays."""
    shutil.copy(UNITS / "lifecycle-ctl", tmp_path / "lifecycle-ctl")
    for name, text in (("systemd-run", 'printf "%s\\n" "$@"'), ("id", "echo 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "op one.pem").write_text("")
    done = subprocess.run(
        [tmp_path / "lifecycle-ctl", "approve", "HASH", "--key", "op one.pem", "--reason", "two  words"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.splitlines()
    (unit,) = [word.removeprefix("--unit=") for word in words if word.startswith("--unit=")]
    assert f"--property=LoadCredential=operator.pem:{tmp_path}/op one.pem" in words
    command = words[words.index("/opt/lifecycle/bin/lifecycle") :]
    assert command[3:] == [
        "approve", "HASH", "--key", f"/run/credentials/{unit}/operator.pem", "--reason", "two  words"
    ]  # fmt: skip
    assert "--pipe" in words
