"""The rendered pods, run: files as a kubelet lays them out, the program as the container starts it."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lifecycle.evidence.keys import is_private
from lifecycle.wiring import keys
from tests.cli.world import DDL, INVENTORY
from tests.helm.kubelet import Node, Pod, ask, is_kubelets, node
from tests.helm.values import MINIMAL, REPLICAS, SQLITE, changed
from tests.servers import fresh_database, libpq_url
from tests.waiting import until

DOCUMENTS = {
    "documents.inventory": INVENTORY.replace("{file: main.url}", "{credential: main}"),
    "addresses.names": ["main"],
    "tenants.existingSecret": "lifecycle-tenants",
}
TENANTS = b"""\
lifecycle: tenants/v1
tenants:
  - {id: portal-one, agreement: clientport, firm: Example Ltd, contract_start: 2020-01-01}
"""


@pytest.fixture
def secrets(tmp_path) -> dict[str, dict[str, bytes]]:
    """The Secrets that an operator makes before the installation."""
    keys.create(tmp_path / "keys")
    return {
        "lifecycle-keys": {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()},
        "lifecycle-addresses": {},
        "lifecycle-tenants": {"tenants.yaml": TENANTS},
    }


def on_sqlite(place: Path, owner: int | None, secrets) -> None:
    """Make the application's database as a file."""
    place.mkdir()
    with sqlite3.connect(place / "portal.sqlite") as connection:
        connection.executescript(DDL)
    connection.close()
    if owner is not None:
        os.chown(place, owner, owner)
        os.chown(place / "portal.sqlite", owner, owner)
    secrets["lifecycle-addresses"]["main"] = f"sqlite:///{place / 'portal.sqlite'}\n".encode()


@contextmanager
def running(place: Node, pod: Pod) -> Iterator[Any]:
    """Run a pod's main container: started when its probes say so, ended by SIGTERM within the grace period."""
    container = pod.spec["containers"][0]
    process = place.start(pod, container)
    try:
        until(lambda: process.poll() is not None or ask(pod, "/readyz")[0] == 200, "the pod does not become ready")
        assert process.poll() is None, process.communicate()
        yield process
        process.terminate()
        assert process.wait(timeout=pod.spec["terminationGracePeriodSeconds"]) == 0
    finally:
        process.kill()
        process.communicate()


def metric(pod: Pod, name: str) -> float:
    """The sum of a metric's series."""
    lines = [line for line in ask(pod, "/metrics")[1].splitlines() if line.startswith((name + " ", name + "{"))]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_one_replica_on_sqlite_lives_in_its_pod(helm, secrets):
    """The init container makes the state, the daemon starts, answers its probes, takes new documents, ends in time."""
    values = changed(SQLITE, DOCUMENTS)
    release = helm.template(values)
    with node(release, secrets) as place:
        on_sqlite(place.root / "application", place.user, secrets)
        pod = place.pod(release.one("Deployment")["spec"]["template"])
        if place.user is not None:
            assert is_kubelets(pod.places["/run/lifecycle"] / "keys" / "log.pem")
        (first,) = pod.spec["initContainers"]
        place.run(pod, first)
        with running(place, pod):
            container = pod.spec["containers"][0]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert ask(pod, container[probe]["httpGet"]["path"])[0] == 200
            assert metric(pod, "lifecycle_leader") == 1
            place.run(pod, container, "store", "prepare", "--run")
            told = json.loads(place.run(pod, container, "--json", "status"))
            assert told["deployment"] == "portal"

            words = changed(values, {"documents.inventory": values["documents"]["inventory"] + "# reviewed\n"})
            before = metric(pod, "lifecycle_reload_failures_total")
            place.reproject(pod, helm.template(words))
            bad = changed(values, {"documents.operators": "lifecycle: operators/v1\noperators: [{id: x}]\n"})
            until(lambda: metric(pod, "lifecycle_documents_stale") == 0, "good documents were refused")
            place.reproject(pod, helm.template(bad))
            until(lambda: metric(pod, "lifecycle_documents_stale") == 1, "bad documents were not noticed")
            assert metric(pod, "lifecycle_reload_failures_total") == before + 1
            assert ask(pod, "/healthz")[0] == 200


def test_replicas_on_postgresql_share_the_checkpoint_and_one_leads(helm, secrets, postgres_url, postgres_server):
    """The hook makes the schema; both replicas are ready, one leads; the hook runs beside them; the lead passes on."""
    values = changed(REPLICAS, DOCUMENTS | {"addresses.names": ["state", "main"]})
    release = helm.template(values)
    with fresh_database(postgres_server.url) as application, node(release, secrets) as place:
        for statement in DDL.split(";"):
            with psycopg.connect(libpq_url(application)) as connection:
                connection.execute(statement) if statement.strip() else None
        secrets["lifecycle-addresses"] = {"state": postgres_url.encode(), "main": application.encode()}
        hook = place.pod(release.one("Job")["spec"]["template"])
        for container in (*hook.spec["initContainers"], *hook.spec["containers"]):
            place.run(hook, container)

        template = release.one("Deployment")["spec"]["template"]
        one, two = place.pod(template), place.pod(template)
        with ExitStack() as second:
            with running(place, one):
                until(lambda: metric(one, "lifecycle_leader") == 1, "nobody leads")
                second.enter_context(running(place, two))
                assert metric(two, "lifecycle_leader") == 0
                # An upgrade begins like this: the old replicas are still running.
                place.run(hook, hook.spec["containers"][0])
                assert ask(one, "/readyz")[0] == ask(two, "/readyz")[0] == 200
            until(lambda: metric(two, "lifecycle_leader") == 1, "the other one does not take over")


def test_documents_that_cannot_be_used_end_a_release_before_it_begins(helm, secrets, postgres_url):
    """The hook's first container names file, line and column; the migration does not run."""
    values = changed(MINIMAL, DOCUMENTS | {"addresses.names": ["state", "main"]})
    bad = helm.template(changed(values, {"documents.operators": "lifecycle: operators/v1\noperators: [{id: x}]\n"}))
    secrets["lifecycle-addresses"] = {"state": postgres_url.encode(), "main": b"sqlite:////nowhere.db"}
    with node(bad, secrets) as place:
        hook = place.pod(bad.one("Job")["spec"]["template"])
        process = place.start(hook, hook.spec["initContainers"][0])
        out, err = process.communicate(timeout=180)
        assert process.returncode == 2, out + err
        assert "operators.yaml:2:" in err


def test_a_scheduled_run_takes_its_turn_and_ends(helm, secrets):
    """Mode cronjob: the container ends with 0 and one JSON document; a second run finds its state again."""
    release = helm.template(changed(SQLITE, DOCUMENTS | {"mode": "cronjob"}))
    with node(release, secrets) as place:
        on_sqlite(place.root / "application", place.user, secrets)
        pod = place.pod(release.pods[0])
        place.run(pod, pod.spec["initContainers"][0])
        place.run(pod, pod.spec["containers"][0], "store", "prepare", "--run")
        for _ in range(2):
            assert "turns" in json.loads(place.run(pod, pod.spec["containers"][0]))


def test_a_scheduled_run_leaves_its_metrics_on_the_claim_that_a_collector_reads(helm, secrets):
    """Mode cronjob with a claim: lifecycle.prom is there after the run, readable by others, and nothing else is."""
    values = DOCUMENTS | {"mode": "cronjob", "cronjob.metrics.existingClaim": "collected"}
    release = helm.template(changed(SQLITE, values))
    with node(release, secrets) as place:
        on_sqlite(place.root / "application", place.user, secrets)
        pod = place.pod(release.pods[0])
        place.run(pod, pod.spec["initContainers"][0])
        place.run(pod, pod.spec["containers"][0], "store", "prepare", "--run")
        place.run(pod, pod.spec["containers"][0])
        (left,) = pod.places["/var/lib/lifecycle/metrics"].iterdir()
        assert left.name == "lifecycle.prom"
        assert stat.S_IMODE(left.stat().st_mode) == 0o644
        assert "lifecycle_leader 1.0" in left.read_text()


@pytest.mark.parametrize(
    ("mode", "owner", "us", "accepted"),
    [
        (0o600, 1000, 1000, True),
        (0o400, 1000, 1000, True),
        (0o440, 0, 1000, True),
        (0o440, 1000, 1000, False),
        (0o440, 0, 0, False),
        (0o460, 0, 1000, False),
        (0o444, 0, 1000, False),
        (0o640, 1001, 1000, False),
    ],
)
def test_a_secrets_file_is_its_owners_or_roots_for_our_group(monkeypatch, mode, owner, us, accepted):
    """Keys and addresses are read when nobody else can, or when root hands them to us read-only; never otherwise."""
    monkeypatch.setattr(os, "geteuid", lambda: us)
    assert is_private(os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, 1, 32, 0, 0, 0))) is accepted
