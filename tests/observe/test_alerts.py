"""The alerts: valid, tested one by one, sharp, and each with a runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from lifecycle.cli.app import root
from lifecycle.observe import Metrics
from tests import servers
from tests.observe.watching import ROOT, RULES

DEPLOY = RULES.parent
MINUTES, DAYS = "lifecycle.rules.test.yml", "lifecycle.days.test.yml"


def promtool(*arguments: str | Path, text: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    call = [servers.prometheus_binary("promtool"), *map(str, arguments)]
    return subprocess.run(call, input=text, capture_output=True, check=False, timeout=120)


def alerts() -> list[dict[str, object]]:
    groups = YAML(typ="safe").load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_rules_are_valid():
    """Prometheus takes the rules, with every lint on and nothing found twice."""
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stderr


def test_the_scrape_example_is_valid():
    """The example configuration is one that Prometheus starts with."""
    done = promtool("check", "config", DEPLOY / "scrape.example.yml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [MINUTES, DAYS])
def test_every_alert_fires_and_clears(name):
    """The unit tests of the rules pass: each alert fires, clears, and is silent on ordinary days."""
    done = promtool("test", "rules", DEPLOY / name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_unit_tests_notice_dead_and_loud_alerts(tmp_path):
    """Were an alert never to fire, its unit test would say so, and were one to fire always, that of ordinary days."""
    dead = re.sub(r"(?m)^( +expr:)(?: \|)?\n?(?:.*\n)*?(?= +(?:for|labels):)", r"\1 vector(0) > 1\n", RULES.read_text())
    loud = dead.replace(
        "alert: ClockSpread\n        expr: vector(0) > 1", "alert: ClockSpread\n        expr: vector(1)"
    )
    assert loud != dead
    said = ""
    for name, rules in ((MINUTES, dead), (DAYS, loud)):
        (tmp_path / RULES.name).write_text(rules)
        (tmp_path / name).write_text((DEPLOY / name).read_text())
        done = promtool("test", "rules", tmp_path / name)
        assert done.returncode == 1
        said += (done.stdout + done.stderr).decode()
    silent = set(re.findall(r'expr: "ALERTS\{alertname=\\"(\w+)\\"', said))
    assert silent == {str(alert["alert"]) for alert in alerts()}
    assert (
        len(re.findall(r'got: {__name__="ALERTS", alertname="ClockSpread", alertstate="firing", [^}]*} 1E\+00', said))
        == 5
    )


def test_metrics_are_well_formed():
    """What a scrape gets is what Prometheus' own lint likes: names, help, units."""
    metrics = Metrics(CollectorRegistry(), rules={"logs": ["main"]}, version="0.1.0")
    done = promtool("check", "metrics", text=metrics.render())
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_to_do(alert):
    """Each alert has a severity, words for the person on call, and a runbook that exists and is about it."""
    assert alert["labels"]["severity"] in {"page", "ticket", "none"}
    assert alert["labels"]["service"] == "lifecycle"
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    runbook = ROOT / alert["annotations"]["runbook_url"]
    text = runbook.read_text(encoding="utf-8")
    assert f"# {runbook.stem}\n" in text
    assert alert["alert"] in text
    for heading in ("What it means", "First look", "Causes and what to do", "When it clears", "When to escalate"):
        assert f"\n## {heading}\n" in text or alert["alert"] == "Watchdog"


def test_runbooks_name_commands_that_exist():
    """Every `lifecycle …` of a runbook is a verb of the command line with options that it has."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs/runbooks").glob("*.md")}
    calls = {
        (name, call)
        for name, text in texts.items()
        for call in re.findall(r"(?:`|^)lifecycle ([^`#\n]+)", text, re.MULTILINE)
    }
    assert len(calls) > 60
    wrong = [(name, call) for name, call in sorted(calls) if not known(call.split())]
    assert wrong == []


def known(words: list[str]) -> bool:
    if words == ["…"] or words[:2] == ["--dir", "DIR"]:
        return True
    command: click.Command = root
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return False
        command, words = found, words[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    return not isinstance(command, click.Group) and {word for word in words if word.startswith("-")} <= options


def test_no_runbook_without_an_alert():
    """A runbook of an alert that is gone would be read at night for nothing."""
    told = {Path(str(alert["annotations"]["runbook_url"])).name for alert in alerts()}
    assert {path.name for path in (ROOT / "docs/runbooks").glob("*.md")} == told | {"README.md"}
