"""The dashboards: made by code, known by everybody, and every query has an answer from a real Prometheus."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry

from lifecycle.observe import Metrics
from lifecycle.ports.clock import SystemClock
from scripts.dashboards import grafana, show
from scripts.dashboards.pages import DASHBOARDS
from tests.observe import scenes
from tests.observe.watching import ROOT, RULES, prometheus, served

NAME = re.compile(r"\blifecycle_[a-z_]+")
SUFFIXES = re.compile(r"_(?:bucket|sum|count)$")


def queries():
    return [query for page in DASHBOARDS for panel in page.panels() for query in panel.queries]


def in_code():
    """Name, type and labels of every metric, as a scrape of a deployment with everything shows them."""
    now = SystemClock().now()
    metrics = scenes.replica(now, leader=True)
    scenes.lead(metrics, now)
    found = {}
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, frozenset(labels))
    return found


def in_docs():
    rows = re.findall(
        r"^\| `(lifecycle_\w+)` \| (\w+) \| ([\w, ]*?) ?\| (.+) \|$",
        (ROOT / "docs/metrics.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return {name: (kind, frozenset(filter(None, re.split(", ", labels)))) for name, kind, labels, _ in rows}


def named(text):
    return {SUFFIXES.sub("", name) for name in NAME.findall(text)}


def test_the_page_about_metrics_lists_exactly_what_there_is():
    """Nothing undocumented, nothing promised that is not there; types and labels are those of a scrape."""
    assert in_docs() == in_code()


def test_alerts_and_dashboards_ask_for_metrics_that_exist():
    """No alert and no panel asks for a name that nobody exports; every metric is on some dashboard or in some alert."""
    alerts = named("\n".join(line for line in RULES.read_text().splitlines() if not line.lstrip().startswith("#")))
    panels = named("\n".join(query.expression for query in queries()))
    assert alerts | panels == set(in_code())


def test_the_page_lists_every_alert_with_its_severity():
    """The table of alerts is that of the rules."""
    rows = re.findall(
        r"^\| \[(\w+)\]\((runbooks/\w+\.md)\) \| (\w+) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    rules = re.findall(
        r"- alert: (\w+)\n(?:.*\n)*?.*severity: (\w+),(?:.*\n)*?.*runbook_url: docs/(\S+)", RULES.read_text()
    )
    assert sorted((name, severity, url) for name, url, severity in rows) == sorted(rules)


def test_files_are_what_the_code_makes():
    """Nobody edits the JSON: it is generated, and its generator says when it differs."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/dashboards", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_panels_fill_the_page_without_covering_each_other():
    """Every panel has a place of its own on the grid, a description, and a source that the viewer chooses."""
    for page in DASHBOARDS:
        made = json.loads(grafana.document(page))
        taken = set()
        for panel in made["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert place["x"] + place["w"] <= 24
            assert not cells & taken
            taken |= cells
        drawn = [panel for panel in made["panels"] if panel["type"] != "row"]
        assert all(panel["description"] and panel["datasource"]["uid"] == "${datasource}" for panel in drawn)
        assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])


@pytest.fixture(scope="module")
def watched():
    """A Prometheus over two replicas, through a night in which everything happened, and over a deployment at rest."""
    now = SystemClock().now()
    leader, standby = scenes.replica(now, leader=True), scenes.replica(now, leader=False)
    resting = Metrics(CollectorRegistry(), rules=scenes.RULES, version="0.1.0")
    with served(leader.render) as first, served(standby.render) as second, served(resting.render) as third:
        targets = {"lifecycle": [f"127.0.0.1:{first}", f"127.0.0.1:{second}"], "resting": [f"127.0.0.1:{third}"]}
        with prometheus(targets, span="10m") as watch:
            watch.until(lambda: len(watch.query("lifecycle_leader")) == 3)
            scenes.lead(leader, now)
            for metrics in (leader, standby):
                scenes.happen(metrics, now, 0)
            watch.until(lambda: watch.value("min(lifecycle_records_deleted_total{job='lifecycle', rule='logs'})") == 4)
            watch.until(lambda: (watch.value("count_over_time(lifecycle_leader{job='resting'}[10m])") or 0) >= 3)
            yield watch


def test_every_panel_has_data(watched, tmp_path):
    """Every query of every panel, as Grafana would send it, has an answer with a number in it."""
    found = list(show.answers(watched.url, job="lifecycle"))
    (tmp_path / "dashboards.txt").write_text(show.table(iter(found)), encoding="utf-8")
    empty = [one.query for one in found if all(math.isnan(value) for _, value in one.values)]
    assert empty == []
    by_title = {(one.panel.title, name): value for one in found for name, value in one.values}
    assert by_title["Oldest overdue", ""] == 7200
    assert by_title["Overdue records", ""] == 3
    assert by_title["Leaders", "lifecycle"] == 1
    assert by_title["Oldest overdue by rule and store", "mails in main"] == 7200
    assert 2.9 < by_title["Days to ceiling by rule", "logs"] < 3
    assert by_title["Guards that said no", "mails"] > 0
    assert by_title["Days to the end of the export window", "t-" + "c" * 16] < 4


def test_the_table_is_printed(watched):
    """`--show URL` prints every panel of every dashboard with its values."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/dashboards", "--show", watched.url], capture_output=True, text=True, check=True
    )
    print(done.stdout)
    for page in DASHBOARDS:
        assert f"== {page.title} ==" in done.stdout
        assert all(panel.title in done.stdout for panel in page.panels())
    assert re.search(r"^Overdue records by rule and store +mails in main +3$", done.stdout, re.MULTILINE)


def test_a_deployment_at_rest_may_leave_some_panels_empty(watched):
    """Before anything happened, only those panels have no answer that say why."""
    silent = {one.panel.title for one in show.answers(watched.url, job="resting") if not one.values}
    assert silent == {"Days to the end of the export window", "Days until backups are clean"}
    excused = {panel.title for page in DASHBOARDS for panel in page.panels() if panel.queries[0].may_be_empty}
    assert silent <= excused
