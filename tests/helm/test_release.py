"""What a release consists of: the daemon, the scheduled run, the migration before both, the network around them."""

from __future__ import annotations

import json
import re

import pytest

from lifecycle.core.settings import Settings
from lifecycle.documents import load
from tests.helm.values import EVERYTHING, MATRIX, MINIMAL, changed

HOOK = "helm.sh/hook"


def main_container(pod):
    """The container that a pod is for."""
    (container,) = pod["spec"]["containers"]
    return container


def settings_of(release) -> Settings:
    """The settings that the release's pods read, through the product's own strict loader."""
    text = release.one(
        "ConfigMap", "lifecycle-settings" if release.of("ConfigMap", "lifecycle-settings") else "promises-settings"
    )
    loaded = load(text["data"]["lifecycle.yaml"].encode(), "settings").document
    assert isinstance(loaded, Settings)
    return loaded


def test_the_daemon_is_started_and_watched(matrix):
    """The container runs the daemon on the mounted folder; start, readiness and health are asked over HTTP."""
    container = main_container(matrix["minimal"].pods[0])
    assert container["args"] == ["--dir", "/etc/lifecycle", "daemon"]
    assert container["image"].endswith("@" + MINIMAL["image"]["digest"])
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/startupz", "readiness": "/readyz", "liveness": "/healthz"}
    assert container["ports"] == [{"name": "http", "containerPort": 9464, "protocol": "TCP"}]
    assert all(container[f"{kind}Probe"]["httpGet"]["port"] == "http" for kind in paths)


@pytest.mark.parametrize("name", sorted(MATRIX))
def test_the_program_reads_the_settings_that_the_chart_writes(matrix, name):
    """lifecycle.yaml of every release passes the strict loader; every place in it is one that the pod mounts."""
    release = matrix[name]
    settings = settings_of(release)
    pod = next(pod for pod in release.pods if main_container(pod)["name"] == "lifecycle")
    mounts = tuple(mount["mountPath"] + "/" for mount in main_container(pod)["volumeMounts"])
    places = [settings.policies, settings.inventory, settings.operators, settings.keys, settings.tenants]
    places += [settings.checkpoint, settings.stop_file, settings.dead_man.file]
    assert all(place.startswith(mounts) for place in places if place is not None)
    written = {mount["mountPath"] + "/" for mount in main_container(pod)["volumeMounts"] if not mount.get("readOnly")}
    for place in (settings.checkpoint, settings.stop_file, settings.dead_man.file):
        assert place.startswith(tuple(written))


def test_settings_of_the_values_arrive_unchanged(matrix):
    """Schedule, guards, clocks, limits and ping are the operator's, large numbers included."""
    settings = settings_of(matrix["everything"])
    assert settings.limits.most_items == 20_000_000
    assert settings.schedule.rules == {"logs": "often"}
    assert settings.schedule.classes["daily"].at == "02:00"
    assert settings.clocks.state
    assert settings.dead_man.ping == EVERYTHING["settings"]["dead_man"]["ping"]
    assert settings.state.credential == "state"
    assert settings.leader_url is not None
    assert settings.leader_url.credential == "leader"


def test_http_leaves_the_loopback_only_in_the_pod(matrix):
    """In a pod the probes and the scraper come from outside: HTTP binds to the pod's own network namespace."""
    assert settings_of(matrix["minimal"]).http.address() == ("0.0.0.0", 9464)
    assert settings_of(matrix["everything"]).http.address() == ("::", 9464)
    assert settings_of(matrix["cronjob"]).http.address()[0] == "127.0.0.1"


@pytest.mark.parametrize(("seconds", "text"), [(45, "PT45S"), (60, "PT1M"), (90, "PT1M30S"), (600, "PT10M")])
def test_the_kubelet_waits_longer_than_the_daemon(helm, seconds, text):
    """stop_within reaches the daemon, and the grace period ends after it."""
    release = helm.template(
        changed(MINIMAL, {"daemon.stopWithinSeconds": seconds, "daemon.terminationGracePeriodSeconds": seconds + 1})
    )
    settings = settings_of(release)
    assert str(settings.daemon.stop_within) == text
    pod = release.one("Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > settings.daemon.stop_within.seconds


@pytest.mark.parametrize(
    ("name", "replicas", "strategy"),
    [("minimal", 1, "Recreate"), ("replicas", 3, "RollingUpdate"), ("sqlite", 1, "Recreate")],
)
def test_an_upgrade_replaces_pods_as_the_volumes_allow(matrix, name, replicas, strategy):
    """A volume of one node is not there for a new pod before the old one went; a shared one lets them overlap."""
    spec = matrix[name].one("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (replicas, strategy)
    if strategy == "RollingUpdate":
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_replicas_spread_and_a_drain_takes_one(matrix):
    """Replicas spread over nodes (or as told), and a disruption budget holds for ready ones only."""
    selector = {"app.kubernetes.io/name": "lifecycle", "app.kubernetes.io/instance": "r",
                "app.kubernetes.io/component": "daemon"}  # fmt: skip
    (spread,) = matrix["replicas"].pods[0]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"] == {"matchLabels": selector}
    (spread,) = matrix["everything"].pods[0]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "topology.kubernetes.io/zone"
    budget = matrix["replicas"].one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"] == {"matchLabels": selector}
    assert matrix["everything"].pods[0]["spec"]["priorityClassName"] == "important"


def test_selectors_find_the_pods_they_are_meant_for(rendered):
    """Deployment, Service, budget and monitor select the daemon's pods and never those of the migration."""
    for workload in rendered.of("Deployment"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        chosen = [workload["spec"]["selector"]["matchLabels"]]
        chosen += [o["spec"]["selector"] for o in rendered.of("Service")]
        chosen += [o["spec"]["selector"]["matchLabels"] for o in rendered.of("PodDisruptionBudget")]
        assert all(labels.items() >= selector.items() for selector in chosen)
        for job in rendered.of("Job"):
            other = job["spec"]["template"]["metadata"]["labels"]
            assert not any(other.items() >= selector.items() for selector in chosen)
    for monitor in rendered.of("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        assert rendered.one("Service")["metadata"]["labels"].items() >= wanted.items()


def test_the_schema_is_upgraded_before_the_pods(matrix):
    """With PostgreSQL `db upgrade` is a hook before installation and upgrade, after the documents were validated."""
    release = matrix["replicas"]
    job = release.one("Job")
    assert job["metadata"]["annotations"][HOOK] == "pre-install,pre-upgrade"
    assert job["spec"]["backoffLimit"] == 0
    pod = job["spec"]["template"]["spec"]
    assert [c["args"] for c in (*pod["initContainers"], *pod["containers"])] == [
        ["--dir", "/etc/lifecycle", "validate", "/etc/lifecycle"],
        ["--dir", "/etc/lifecycle", "db", "upgrade"],
    ]
    assert "initContainers" not in release.one("Deployment")["spec"]["template"]["spec"]


def test_the_hook_needs_nothing_that_comes_after_it(matrix):
    """Before an installation none of the release's objects exist: all that the Job names is a hook of less weight."""
    for release in (matrix["minimal"], matrix["everything"]):
        hooks = {
            (o["kind"], o["metadata"]["name"]): o
            for o in release.objects
            if HOOK in o["metadata"].get("annotations", {})
        }
        job = release.one("Job")
        pod = job["spec"]["template"]["spec"]
        needed = {("ServiceAccount", pod["serviceAccountName"])}
        for volume in pod["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                needed |= {("ConfigMap", source["configMap"]["name"])} if "configMap" in source else set()
        assert needed < set(hooks)
        weight = int(job["metadata"]["annotations"]["helm.sh/hook-weight"])
        for key in needed:
            annotations = hooks[key]["metadata"]["annotations"]
            assert annotations[HOOK] == "pre-install,pre-upgrade"
            assert int(annotations["helm.sh/hook-weight"]) < weight
        policy = next(o for (kind, _), o in hooks.items() if kind == "NetworkPolicy")
        labels = job["spec"]["template"]["metadata"]["labels"]
        assert labels.items() >= policy["spec"]["podSelector"]["matchLabels"].items()
        assert policy["spec"]["egress"] == release.of("NetworkPolicy")[0]["spec"]["egress"]


def test_hook_and_pods_read_the_same_settings_and_documents(matrix):
    """What was validated before the upgrade is what the pods then read."""
    for name in ("minimal", "everything"):
        release = matrix[name]
        for ending in ("settings", "documents"):
            own, hook = release.of("ConfigMap", ending)
            assert own["data"] == hook["data"]


def test_with_sqlite_the_pod_upgrades_its_own_file(matrix):
    """No hook could reach the volume: an init container upgrades, and no other replica is running then."""
    for name in ("sqlite", "cronjob-sqlite"):
        release = matrix[name]
        assert release.of("Job") == []
        (first,) = release.pods[0]["spec"]["initContainers"]
        assert first["args"] == ["--dir", "/etc/lifecycle", "db", "upgrade"]
        assert "/var/lib/lifecycle/state" in {mount["mountPath"] for mount in first["volumeMounts"]}
    assert matrix["sqlite-own-claim"].pods[0]["spec"].get("initContainers") is None


def test_the_checkpoint_lies_on_a_volume_of_its_own_and_stays(rendered):
    """The copy outside the database outlives pods and the release; with SQLite it is not on the state's volume."""
    (pod,) = [pod for pod in rendered.pods if main_container(pod)["name"] == "lifecycle"]
    claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod["spec"]["volumes"]
              if "persistentVolumeClaim" in v}  # fmt: skip
    assert claims["checkpoint"]
    assert len(set(claims.values())) == len(claims)
    for claim in rendered.of("PersistentVolumeClaim"):
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert claim["metadata"]["name"] in claims.values()


def test_a_scheduled_run_is_one_at_a_time(matrix):
    """Mode cronjob takes each rule's turn by `lifecycle run`: never two at once, never retried blindly, no HTTP."""
    release = matrix["cronjob"]
    spec = release.one("CronJob")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["timeZone"] == "Europe/Berlin"
    job = spec["jobTemplate"]["spec"]
    assert job["backoffLimit"] == 0
    assert job["activeDeadlineSeconds"] == 21000
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    container = main_container(job["template"])
    assert container["args"] == ["--dir", "/etc/lifecycle", "--json", "run"]
    assert "ports" not in container
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        assert release.of(kind) == []


def test_the_network_is_closed_but_for_what_is_named(matrix):
    """Scraping from selected namespaces, names, the databases that the values name, and nothing else."""
    closed = matrix["minimal"].one("NetworkPolicy", "r-lifecycle")["spec"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert closed["ingress"] == []
    names, databases = closed["egress"]
    assert {(p["protocol"], p["port"]) for p in names["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert databases == {
        "to": [{"ipBlock": {"cidr": "192.0.2.10/32"}}],
        "ports": [{"protocol": "TCP", "port": 5432}],
    }
    opened = matrix["everything"].one("NetworkPolicy", "promises")["spec"]
    assert opened["ingress"] == [
        {
            "from": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
                    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
                }
            ],
            "ports": [{"protocol": "TCP", "port": "http"}],
        }
    ]
    assert [entry["ports"][0]["port"] for entry in opened["egress"]] == [53, 5432, 123, 6432]
    assert all(entry["to"] and all(peer for peer in entry["to"]) for entry in opened["egress"])


def test_new_settings_start_new_pods_and_new_documents_do_not(helm, matrix):
    """Settings are read at the start; documents are reloaded by the running daemon, between runs."""
    before = matrix["minimal"].pods[0]["metadata"]["annotations"]
    text = MINIMAL["documents"]["inventory"] + "# reviewed\n"
    documents = helm.template(changed(MINIMAL, {"documents.inventory": text}))
    assert documents.pods[0]["metadata"]["annotations"] == before
    settings = helm.template(changed(MINIMAL, {"settings.limits": {"margin_days": 4}}))
    assert settings.pods[0]["metadata"]["annotations"] != before


def test_documents_arrive_byte_for_byte(matrix):
    """The digest of a document is evidence: nothing is re-indented, no final line is lost."""
    data = matrix["minimal"].one("ConfigMap", "r-lifecycle-documents")["data"]
    volume = next(v for v in matrix["minimal"].pods[0]["spec"]["volumes"] if v["name"] == "documents")
    items = next(s["configMap"]["items"] for s in volume["projected"]["sources"] if "items" in s.get("configMap", {}))
    files = {item["path"]: data[item["key"]] for item in items}
    documents = MINIMAL["documents"]
    assert files == {
        "inventory.yaml": documents["inventory"],
        "operators.yaml": documents["operators"],
        **{f"policies/{path}": text for path, text in documents["policies"].items()},
    }


def test_scraping_reaches_every_replica(matrix):
    """The monitor scrapes each pod by itself, ready or not, under the job name that the alerts know."""
    service = matrix["everything"].one("Service")["spec"]
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True
    monitor = matrix["everything"].one("ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert set(monitor["spec"]) == {"selector", "namespaceSelector", "endpoints"}
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["portal"]}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"], endpoint["scheme"]) == ("http", "/metrics", "http")
    assert endpoint["port"] in {port["name"] for port in service["ports"]}
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "lifecycle-promises", "action": "replace"}]
    expressions = str(matrix["everything"].one("PrometheusRule"))
    assert set(re.findall(r'job=~"([^"]+)"', expressions)) == {"lifecycle.*"}


def test_values_hold_no_secret(matrix):
    """A release's own record in the cluster names Secrets and holds none."""
    assert json.dumps(matrix["everything"].objects).count("BEGIN PRIVATE KEY") == 0
    assert matrix["everything"].of("Secret") == []
