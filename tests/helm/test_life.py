"""A release's life by helm's own hand: installed, upgraded, refused, rolled back, uninstalled, and in which order.

The cluster keeps objects and runs nothing (apiserver.py); what the pods do is in test_rehearsal.py. helm keeps its
releases in a database of the test, since it speaks to Secrets in a binary form.
"""

from __future__ import annotations

import json

import pytest

from tests.helm.apiserver import cluster
from tests.helm.tools import CHART
from tests.helm.values import MATRIX, REPLICAS, changed
from tests.servers import libpq_url

NAME = "r-lifecycle"


@pytest.fixture
def there(tmp_path):
    """An empty cluster."""
    with cluster(tmp_path) as made:
        yield made


@pytest.fixture
def told(helm, there, tmp_path, postgres_url):
    """Run helm against the cluster; returns its exit code, what it said, and what happened since the last call."""
    made, config = there
    driver = {"HELM_DRIVER": "sql", "HELM_DRIVER_SQL_CONNECTION_STRING": f"{libpq_url(postgres_url)}?sslmode=disable"}

    def run(verb, *arguments, values=None):
        made.history.clear()
        more = ["--timeout", "60s", "--namespace", "portal"]
        if values is not None:
            file = tmp_path / "values.json"
            file.write_text(json.dumps(values), encoding="utf-8")
            more += ["--values", file, "--disable-openapi-validation"]
        answer = helm.run(verb, "r", *arguments, *more, KUBECONFIG=str(config), **driver)
        return answer.returncode, answer.stdout + answer.stderr, list(made.history)

    return run


def test_a_release_is_installed_upgraded_rolled_back_and_uninstalled(told, there):
    """The migration comes first each time; a failed one changes nothing; the checkpoint outlives the release."""
    made, _ = there
    code, said, happened = told("install", CHART, values=REPLICAS)
    assert code == 0, said
    assert happened.index(f"make Job {NAME}-migration") < happened.index(f"make Deployment {NAME}")
    assert happened.index(f"make NetworkPolicy {NAME}-migration") < happened.index(f"make Job {NAME}-migration")
    # Nothing of the hook is left.
    assert not [o for o in made.objects.values() if o["metadata"]["name"].startswith(f"{NAME}-migration")]
    first = made.one("Deployment", NAME)["spec"]["template"]

    newer = changed(REPLICAS, {"image.digest": "sha256:" + "f" * 64})
    code, said, happened = told("upgrade", CHART, values=newer)
    assert code == 0, said
    migrated = happened.index(f"make Job {NAME}-migration")
    assert migrated < happened.index(f"change Deployment {NAME}")
    # Until the schema is there, the old replicas and what they read stay as they are.
    assert all(f"{NAME}-migration" in event for event in happened[:migrated])
    second = made.one("Deployment", NAME)["spec"]["template"]
    assert second != first

    made.jobs_fail = True
    code, said, happened = told("upgrade", CHART, values=changed(newer, {"replicas": 2}))
    assert code != 0
    assert "pre-upgrade hooks failed" in said
    assert all(f"{NAME}-migration" in event for event in happened)
    assert made.one("Deployment", NAME)["spec"]["replicas"] == 3
    # What failed stays to be looked at.
    assert f"{NAME}-migration" in made.names("Job")
    made.jobs_fail = False

    code, said, happened = told("rollback", "1")
    assert code == 0, said
    assert made.one("Deployment", NAME)["spec"]["template"] == first
    # A schema is never taken back: the way back runs no migration.
    assert not [event for event in happened if "Job" in event]

    code, said, happened = told("uninstall")
    assert code == 0, said
    assert f"[PersistentVolumeClaim] {NAME}-checkpoint" in said
    assert made.names("PersistentVolumeClaim") == {f"{NAME}-checkpoint"}
    assert made.names("Deployment") == set()


def test_an_installation_after_an_uninstallation_finds_its_volumes(told, there):
    """The claims that were kept are taken over by a release of the same name, state and checkpoint alike."""
    made, _ = there
    values = MATRIX["cronjob-sqlite"]
    claims = {f"{NAME}-checkpoint", f"{NAME}-state"}
    assert told("install", CHART, values=values)[0] == 0
    assert told("uninstall")[0] == 0
    assert made.names("PersistentVolumeClaim") == claims
    for claim in claims:
        # What helm writes when it makes an object, and checks when it finds one.
        assert made.one("PersistentVolumeClaim", claim)["metadata"]["annotations"]["meta.helm.sh/release-name"] == "r"
    code, said, happened = told("install", CHART, values=values)
    assert code == 0, said
    assert not [event for event in happened if event.startswith("remove PersistentVolumeClaim")]
