"""The chart as a package: linted, rendered for every kind of release, valid for Kubernetes, the same when packaged."""

from __future__ import annotations

import json
import re

import pytest
from ruamel.yaml import YAML

import lifecycle
from tests.helm.settings_schema import VALUES, derived
from tests.helm.tools import CHART, ROOT
from tests.helm.values import EVERYTHING, MATRIX, MINIMAL, REPLICAS

KUBERNETES = ("1.29", "1.33", "1.37")
CUSTOM = "monitoring.coreos.com/v1"


@pytest.mark.parametrize("name", sorted(MATRIX))
def test_helm_finds_nothing_to_say_about_any_release(helm, tmp_path, name):
    """`helm lint --strict` passes for each set of values."""
    values = tmp_path / "values.json"
    values.write_text(json.dumps(MATRIX[name]), encoding="utf-8")
    answer = helm.run("lint", "--strict", CHART, "--values", values)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "0 chart(s) failed" in answer.stdout


def test_every_object_is_valid_in_every_version_of_kubernetes_that_the_chart_claims(helm, matrix):
    """Strict schemas: no field that Kubernetes does not know, in the oldest claimed version and in the newest known."""
    rendered = [thing for release in matrix.values() for thing in release.objects if thing["apiVersion"] != CUSTOM]
    assert {thing["kind"] for thing in rendered} == {
        "ConfigMap", "CronJob", "Deployment", "Job", "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget",
        "Service", "ServiceAccount",
    }  # fmt: skip
    assert helm.faults(rendered, KUBERNETES) == []


def test_the_validation_would_notice(helm, matrix):
    """A misspelt field, a wrong type and a missing one are each found, so that silence above means something."""
    job = matrix["minimal"].one("Job")
    bad = [
        {**job, "spec": {**job["spec"], "backofLimit": 1}},
        {**job, "spec": {**job["spec"], "backoffLimit": "none"}},
        {**job, "spec": {"backoffLimit": 0}},
    ]
    assert len(helm.faults(bad, ("1.37",))) == 3


def test_the_oldest_version_of_kubernetes_is_the_one_that_is_checked(helm):
    """Chart.yaml claims no version that the matrix was not validated against; an older cluster is refused."""
    chart = YAML(typ="safe").load(CHART / "Chart.yaml")
    assert chart["kubeVersion"] == f">={KUBERNETES[0]}.0-0"
    assert helm.template(MINIMAL, "--kube-version", "1.29.4").code == 0
    refused = helm.template(MINIMAL, "--kube-version", "1.28.9")
    assert refused.code
    assert "incompatible with Kubernetes v1.28.9" in refused.said


def test_a_packaged_chart_renders_the_same(helm, tmp_path):
    """What is handed out as an archive is what was tested as a folder: nothing is left behind, nothing is a link."""
    answer = helm.run("package", CHART, "--destination", tmp_path)
    assert answer.returncode == 0, answer.stderr
    (archive,) = tmp_path.glob("*.tgz")
    assert archive.name == f"lifecycle-{lifecycle.__version__}.tgz"
    for values in (EVERYTHING, MATRIX["cronjob-sqlite"]):
        assert helm.template(values, chart=archive).objects == helm.template(values).objects
    assert not [path for path in CHART.rglob("*") if path.is_symlink()]


def test_chart_and_program_have_one_version():
    """The image that is deployed is named by the chart it was tested with."""
    chart = YAML(typ="safe").load(CHART / "Chart.yaml")
    assert chart["version"] == chart["appVersion"] == lifecycle.__version__


def test_the_schema_knows_every_value_and_every_value_is_written_down():
    """values.yaml and values.schema.json name the same keys, and no object of the schema is open by accident."""
    schema = json.loads(VALUES.read_text(encoding="utf-8"))
    defaults = YAML(typ="safe").load(CHART / "values.yaml")
    assert set(defaults) == set(schema["properties"]) - {"global"}
    for name, value in defaults.items():
        inner = schema["properties"][name]
        if isinstance(value, dict) and "properties" in inner:
            assert set(value) == set(inner["properties"]), name
    assert _open(schema, "$") == [
        "$.properties.global",  # a parent chart's
    ]


def _open(node, path):
    """Places of the schema where an object may have any key with any value."""
    if isinstance(node, list):
        return [found for index, item in enumerate(node) for found in _open(item, f"{path}[{index}]")]
    if not isinstance(node, dict):
        return []
    own = node.get("type") in ("object", ["object", "null"]) and node.get("additionalProperties") is not False
    return ([path] if own else []) + [found for key, item in node.items() for found in _open(item, f"{path}.{key}")]


def test_settings_in_values_are_checked_as_the_program_checks_them():
    """The chart's schema of schedule, guards, clocks, limits and dead man's switch is the product's own.

    After a change of the settings: `python -m tests.helm.settings_schema`.
    """
    product = json.loads((ROOT / "policies" / "schema" / "settings.json").read_text(encoding="utf-8"))
    schema = json.loads(VALUES.read_text(encoding="utf-8"))
    expected = derived(product)
    assert {name: schema["definitions"].get(name) for name in expected} == expected


def test_the_alerts_of_the_chart_are_the_reviewed_ones(matrix):
    """The chart's copy is byte for byte deploy/prometheus/lifecycle.rules.yml (a link would not be packaged)."""
    copy = CHART / "files" / "lifecycle.rules.yml"
    reviewed = ROOT / "deploy" / "prometheus" / "lifecycle.rules.yml"
    assert copy.read_bytes() == reviewed.read_bytes(), f"cp {reviewed.relative_to(ROOT)} {copy.relative_to(ROOT)}"
    rule = matrix["everything"].one("PrometheusRule")
    assert rule["spec"] == YAML(typ="safe").load(reviewed)
    assert {entry["alert"] for group in rule["spec"]["groups"] for entry in group["rules"] if "alert" in entry}


def test_the_readme_names_every_value():
    """The chart's README explains each group of values, and none that is gone."""
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([a-zA-Z]+)[.`]", readme, re.MULTILINE))
    assert named == set(YAML(typ="safe").load(CHART / "values.yaml"))


def test_notes_say_how_to_look_and_how_to_stop(helm):
    """After an installation the operator reads the two commands that matter most, and what is kept."""
    said = _notes(helm, REPLICAS)
    assert "exec deploy/r-lifecycle -- lifecycle status" in said
    assert "exec deploy/r-lifecycle -- lifecycle stop" in said
    assert "One of 3 replicas leads" in said
    assert "nobody may scrape" in said
    assert "The claim r-lifecycle-checkpoint shows whether history was rewritten." in said
    said = _notes(helm, MATRIX["cronjob-sqlite"])
    assert "create job --from=cronjob/r-lifecycle" in said
    assert "no metrics in this mode" in said
    assert "SQLite file on the claim r-lifecycle-state" in said


def _notes(helm, values):
    file = helm.packages.parent / "values" / "notes.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    answer = helm.run("install", "r", CHART, "--namespace", "portal", "--values", file, "--dry-run=client")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split("NOTES:", 1)[1]
