"""Values that cannot be meant are refused before anything is installed, and the message says which and why."""

from __future__ import annotations

import pytest

from tests.helm.values import CRONJOB, DIGEST, EVERYTHING, MINIMAL, OWN_OBJECTS, REPLICAS, SQLITE, changed

TOGETHER = [
    # What no schema can say.
    (SQLITE, {"replicas": 2, "checkpoint.accessMode": "ReadWriteMany"}, "a SQLite state serves one replica"),
    (SQLITE, {"daemon.strategy": "RollingUpdate"}, "a SQLite state allows Recreate only"),
    (SQLITE, {"state.sqlite.existingClaim": "one", "checkpoint.existingClaim": "one"}, "need two volumes"),
    (REPLICAS, {"checkpoint.accessMode": "ReadWriteOnce"}, "several replicas need a volume of ReadWriteMany"),
    (MINIMAL, {"daemon.strategy": "RollingUpdate"}, "RollingUpdate needs a checkpoint volume of ReadWriteMany"),
    (MINIMAL, {"daemon.terminationGracePeriodSeconds": 45}, "must be more than daemon.stopWithinSeconds"),
    (MINIMAL, {"image.repository": ""}, "image.repository: name the image"),
    (MINIMAL, {"image.digest": ""}, "image.digest: name the image's sha256 digest"),
    (MINIMAL, {"image.tag": "1"}, "image.tag: leave it empty beside image.digest"),
    (MINIMAL, {"settings.deployment": ""}, "settings.deployment: name the deployment"),
    (MINIMAL, {"settings.origin": ""}, "settings.origin: name the log"),
    (MINIMAL, {"keys.existingSecret": ""}, "keys.existingSecret: name the Secret"),
    (MINIMAL, {"addresses.existingSecret": ""}, "addresses.existingSecret: name the Secret"),
    (MINIMAL, {"addresses.names": ["portal"]}, "state.credential: state is not among addresses.names"),
    (MINIMAL, {"state.leaderCredential": "direct"}, "state.leaderCredential: direct is not among addresses.names"),
    (MINIMAL, {"state.credential": ""}, "state.credential: name the file"),
    (MINIMAL, {"documents.inventory": ""}, "documents.inventory: give the text"),
    (MINIMAL, {"documents.operators": ""}, "documents.operators: give the text"),
    (MINIMAL, {"documents.policies": {}}, "documents.policies: give agreements"),
    (MINIMAL, {"documents.existingConfigMap": "mine"}, "either texts or existingConfigMap"),
    (MINIMAL, {"documents.items": [{"key": "a", "path": "inventory.yaml"}]}, "belongs to documents.existingConfigMap"),
    (OWN_OBJECTS, {"documents.items": []}, "no key becomes operators.yaml"),
    (OWN_OBJECTS, {"documents.items": []}, "no key becomes a file below policies/"),
    (CRONJOB, {"replicas": 2}, "mode cronjob runs one at a time"),
    (CRONJOB, {"serviceMonitor.enabled": True}, "mode cronjob has nothing to scrape"),
    (CRONJOB, {"prometheusRule.enabled": True}, "the alerts need metrics"),
    (MINIMAL, {"cronjob.metrics.existingClaim": "collected"}, "belongs to mode cronjob"),
    (CRONJOB, {"cronjob.metrics.existingClaim": "one", "checkpoint.existingClaim": "one"}, "must not reach the state"),
    (MINIMAL, {"networkPolicy.egress": []}, "networkPolicy.egress: name the databases"),
    (MINIMAL, {"networkPolicy.egress": [{"name": "world", "ports": [{"port": 443}]}]}, "world leads everywhere"),
    (MINIMAL, {"networkPolicy.egress": [{"name": "two", "cidrs": ["192.0.2.1/32"], "podLabels": {"a": "b"},
                                         "ports": [{"port": 1}]}]}, "two has both cidrs and labels"),
    (MINIMAL, {"networkPolicy.metricsFrom": [{}]}, "an entry without labels admits everybody"),
    (MINIMAL, {"networkPolicy.dns": {"namespaceLabels": None, "podLabels": None}}, "dns: leads everywhere"),
]  # fmt: skip

ALONE = [
    # What values.schema.json says.
    ({"mode": "demon"}, "/mode", "value must be one of 'daemon', 'cronjob'"),
    ({"modus": "daemon"}, "", "additional properties 'modus' not allowed"),
    ({"replicas": 0}, "/replicas", "minimum: got 0, want 1"),
    ({"replicas": "two"}, "/replicas", "got string, want integer"),
    ({"image.digest": "sha256:abc"}, "/image/digest", "does not match pattern"),
    ({"image.digest": DIGEST.upper()}, "/image/digest", "does not match pattern"),
    ({"image.repository": "registry.example.com/a b"}, "/image/repository", "does not match pattern"),
    ({"image.pullPolicy": "always"}, "/image/pullPolicy", "value must be one of"),
    ({"settings.state": {"url": "sqlite:///x.db"}}, "/settings", "additional properties 'state' not allowed"),
    ({"settings.keys": "/tmp/keys"}, "/settings", "additional properties 'keys' not allowed"),
    ({"settings.http": {"bind": "0.0.0.0:1"}}, "/settings", "additional properties 'http' not allowed"),
    ({"settings.limits": {"most_item": 1}}, "/settings/limits", "additional properties 'most_item' not allowed"),
    ({"settings.limits": {"most_items": -1}}, "/settings/limits/most_items", "minimum: got -1, want 0"),
    ({"settings.schedule": {"tick": "30s"}}, "/settings/schedule/tick", "does not match pattern"),
    ({"settings.dead_man": {"file": "alive"}}, "/settings/dead_man", "additional properties 'file' not allowed"),
    ({"state.kind": "mariadb"}, "/state/kind", "value must be one of 'postgresql', 'sqlite'"),
    ({"state.url": "postgresql://example.com/x"}, "/state", "additional properties 'url' not allowed"),
    ({"checkpoint.emptyDir": {}}, "/checkpoint", "additional properties 'emptyDir' not allowed"),
    ({"checkpoint.accessMode": "ReadOnlyMany"}, "/checkpoint/accessMode", "value must be one of"),
    ({"checkpoint.size": "0Gi"}, "/checkpoint/size", "does not match pattern"),
    ({"addresses.names": ["../state"]}, "/addresses/names/0", "does not match pattern"),
    ({"addresses.names": ["state", "state"]}, "/addresses/names", "items at 0 and 1 are equal"),
    ({"documents.policies": {"../x.yaml": "a"}}, "/documents/policies", "'../x.yaml' not allowed"),
    ({"documents.policies": {"a.b.yaml": "a"}}, "/documents/policies", "'a.b.yaml' not allowed"),
    ({"pod.labels": {"a b": "c"}}, "/pod/labels", "'a b' not allowed"),
    ({"settings.schedule": {"rules": {"Logs": "often"}}}, "/settings/schedule/rules", "'Logs' not allowed"),
    ({"pod.runAsUser": 0}, "/pod/runAsUser", "minimum: got 0, want 1"),
    ({"pod.hostNetwork": True}, "/pod", "additional properties 'hostNetwork' not allowed"),
    ({"pod.securityContext": {}}, "/pod", "additional properties 'securityContext' not allowed"),
    ({"http.address": "127.0.0.1"}, "/http/address", "value must be one of '0.0.0.0', '::'"),
    ({"http.port": 80}, "/http/port", "minimum: got 80, want 1,024"),
    ({"cronjob.schedule": "daily"}, "/cronjob/schedule", "does not match pattern"),
    ({"cronjob.concurrencyPolicy": "Allow"}, "/cronjob", "additional properties 'concurrencyPolicy' not allowed"),
    ({"networkPolicy.egress": [{"name": "db", "cidrs": ["database"], "ports": [{"port": 1}]}]},
     "/networkPolicy/egress/0/cidrs/0", "does not match pattern"),
    ({"networkPolicy.egress": [{"name": "db", "cidrs": ["192.0.2.1/32"]}]}, "/networkPolicy/egress/0",
     "missing property 'ports'"),
    ({"resources.limits": {"memory": "lots"}}, "/resources/limits/memory", "does not match pattern"),
    ({"fullnameOverride": "Lifecycle_1"}, "/fullnameOverride", "does not match pattern"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "changes", "words"), TOGETHER)
def test_values_that_cannot_go_together_are_refused(helm, values, changes, words):
    """The chart refuses by itself and names the value, what is wrong and what is needed."""
    refused = helm.template(changed(values, changes))
    assert refused.code
    assert "The values cannot be used:" in refused.said
    assert words in refused.said


@pytest.mark.parametrize(("changes", "place", "words"), ALONE)
def test_values_that_are_wrong_by_themselves_are_refused(helm, changes, place, words):
    """The schema refuses misspelt keys and impossible values, and names their place."""
    refused = helm.template(changed(MINIMAL, changes))
    assert refused.code
    assert f"at '{place}'" in refused.said, refused.said
    assert words in refused.said, refused.said


def test_everything_that_is_missing_is_named_at_once(helm):
    """Nobody has to install ten times to find ten gaps."""
    refused = helm.template({})
    assert refused.code
    assert refused.said.count("\n  * ") == 10


def test_a_parent_chart_may_hand_in_its_global_values(helm):
    """A strict schema does not stand in the way of a chart that depends on this one."""
    assert helm.template(changed(EVERYTHING, {"global": {"region": "eu"}})).code == 0
