"""Values of releases as people write them: what they have in common, and the matrix that everything is rendered for."""

from __future__ import annotations

import copy
from typing import Any

from tests.helm.tools import ROOT

DIGEST = "sha256:" + "0123456789abcdef" * 4
POLICIES = ROOT / "policies"


def _text(name: str) -> str:
    return (POLICIES / name).read_text(encoding="utf-8")


MINIMAL: dict[str, Any] = {
    "image": {"repository": "registry.example.com/tools/lifecycle", "digest": DIGEST},
    "settings": {"deployment": "portal", "origin": "lifecycle.example.com/portal"},
    "keys": {"existingSecret": "lifecycle-keys"},
    "addresses": {"existingSecret": "lifecycle-addresses", "names": ["state", "clientport"]},
    "documents": {
        "inventory": _text("inventories/clientport.yaml"),
        "operators": "lifecycle: operators/v1\noperators: []\n",
        "policies": {
            "operator.yaml": _text("operator.yaml"),
            "statutes/de.yaml": _text("statutes/de.yaml"),
            "statutes/eu.yaml": _text("statutes/eu.yaml"),
            "agreements/clientport.yaml": _text("agreements/clientport.yaml"),
        },
    },
    "networkPolicy": {"egress": [{"name": "databases", "cidrs": ["192.0.2.10/32"], "ports": [{"port": 5432}]}]},
}
"""The least that can be installed: one replica on PostgreSQL."""


def changed(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the values with other ones at dotted paths."""
    result = copy.deepcopy(values)
    for path, value in changes.items():
        *folders, last = path.split(".")
        place = result
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return result


SQLITE = changed(
    MINIMAL,
    {"state.kind": "sqlite", "addresses.names": ["clientport"], "networkPolicy.egress": []},
)
REPLICAS = changed(MINIMAL, {"replicas": 3, "checkpoint.accessMode": "ReadWriteMany"})
CRONJOB = changed(MINIMAL, {"mode": "cronjob"})
EVERYTHING = changed(
    REPLICAS,
    {
        "image.pullSecrets": ["pull"],
        "settings.schedule": {
            "look": "PT5M",
            "classes": {
                "daily": {"every": "PT24H", "at": "02:00", "zone": "Europe/Berlin"},
                "often": {"every": "PT1H"},
            },
            "rules": {"logs": "often"},
        },
        "settings.guards": {"history_floor": 5000},
        "settings.clocks": {"ntp": ["ntp.example.com"], "state": True},
        "settings.limits": {"most_items": 20_000_000, "margin_days": 5},
        "settings.dead_man": {"ping": "https://watch.example.com/lifecycle"},
        "state.leaderCredential": "leader",
        "addresses.names": ["state", "leader", "clientport"],
        "checkpoint.storageClass": "shared",
        "checkpoint.size": "1Gi",
        "tenants": {"existingSecret": "lifecycle-tenants", "key": "register"},
        "daemon.stopWithinSeconds": 90,
        "daemon.terminationGracePeriodSeconds": 120,
        "http.address": "::",
        "pod.labels": {"team": "privacy"},
        "pod.annotations": {"example.com/owner": "privacy"},
        "pod.nodeSelector": {"kubernetes.io/os": "linux"},
        "pod.tolerations": [{"key": "dedicated", "operator": "Equal", "value": "data", "effect": "NoSchedule"}],
        "pod.priorityClassName": "important",
        "pod.topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
        ],
        "resources.limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "1Gi"},
        "serviceAccount.annotations": {"example.com/role": "lifecycle"},
        "networkPolicy.metricsFrom": [
            {
                "namespaceLabels": {"kubernetes.io/metadata.name": "monitoring"},
                "podLabels": {"app.kubernetes.io/name": "prometheus"},
            }
        ],
        "networkPolicy.dns.cidrs": ["169.254.20.10/32"],
        "networkPolicy.egress": [
            {"name": "databases", "cidrs": ["192.0.2.10/32", "2001:db8::/64"], "ports": [{"port": 5432}]},
            {"name": "time", "cidrs": ["198.51.100.7/32"], "ports": [{"port": 123, "protocol": "UDP"}]},
            {"name": "pooler", "podLabels": {"app": "pgbouncer"}, "ports": [{"port": 6432}]},
        ],
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "fullnameOverride": "promises",
    },
)
OWN_OBJECTS = changed(
    MINIMAL,
    {
        "image": {"repository": "lifecycle", "tag": "0.1.0", "pullPolicy": "Never"},
        "documents": {
            "existingConfigMap": "portal-documents",
            "items": [
                {"key": "inventory", "path": "inventory.yaml"},
                {"key": "operators", "path": "operators.yaml"},
                {"key": "operator", "path": "policies/operator.yaml"},
                {"key": "statutes-de", "path": "policies/statutes/de.yaml"},
            ],
        },
        "checkpoint.existingClaim": "checkpoints",
        "serviceAccount.existing": "portal",
        "migration.enabled": False,
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget.enabled": False,
    },
)

MATRIX: dict[str, dict[str, Any]] = {
    "minimal": MINIMAL,
    "replicas": REPLICAS,
    "everything": EVERYTHING,
    "own-objects": OWN_OBJECTS,
    "sqlite": SQLITE,
    "sqlite-own-claim": changed(SQLITE, {"state.sqlite.existingClaim": "state", "migration.enabled": False}),
    "cronjob": CRONJOB,
    "cronjob-sqlite": changed(SQLITE, {"mode": "cronjob", "cronjob.suspend": True}),
    "cronjob-everything": changed(
        EVERYTHING,
        {"mode": "cronjob", "replicas": 1, "serviceMonitor.enabled": False}
        | {"cronjob.metrics.existingClaim": "collected"},
    ),
}
