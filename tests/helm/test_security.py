"""Pods run under Kubernetes' pod-security profile "restricted", and a little stricter.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted names the controls.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
OURS = {"emptyDir", "persistentVolumeClaim", "projected"}


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """All containers of a pod, the first ones included."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def violations(spec: dict[str, Any]) -> set[str]:
    """The controls of the profile (baseline and restricted) that a pod's spec breaks."""
    found = {field for field in ("hostNetwork", "hostPID", "hostIPC", "hostUsers") if spec.get(field)}
    pod = spec.get("securityContext", {})
    found |= {f"pod.{field}" for field in ("sysctls", "seLinuxOptions", "windowsOptions", "appArmorProfile")
              if field in pod}  # fmt: skip
    for volume in spec.get("volumes", []):
        (kind,) = set(volume) - {"name"}
        if kind not in VOLUMES:
            found.add(f"volume {kind}")
    for container in containers(spec):
        found |= container_violations(container, pod)
    return found


def container_violations(container: dict[str, Any], pod: dict[str, Any]) -> set[str]:
    """The controls that one container breaks, with what it inherits from its pod."""
    own = container.get("securityContext", {})
    found = {f"container.{field}" for field in ("seLinuxOptions", "windowsOptions", "procMount", "appArmorProfile")
             if field in own}  # fmt: skip
    if own.get("privileged"):
        found.add("privileged")
    if own.get("allowPrivilegeEscalation") is not False:
        found.add("allowPrivilegeEscalation")
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        found.add("runAsNonRoot")
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        found.add("runAsUser")
    if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in {"RuntimeDefault", "Localhost"}:
        found.add("seccomp")
    capabilities = own.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        found.add("capabilities")
    if any("hostPort" in port for port in container.get("ports", [])):
        found.add("hostPort")
    return found


def test_every_pod_keeps_the_restricted_profile(rendered):
    """No pod of any release breaks a control: a namespace may enforce `restricted`."""
    assert rendered.pods
    for pod in rendered.pods:
        assert violations(pod["spec"]) == set()


def test_no_pod_can_speak_to_kubernetes(rendered):
    """No service-account token is mounted, by the pod or by its account; no service is in the environment."""
    for pod in rendered.pods:
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False
        assert not [v for v in pod["spec"]["volumes"] if "serviceAccountToken" in str(v)]
    for account in rendered.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    assert not [o for o in rendered.objects if "Role" in o["kind"]]


def test_nothing_but_volumes_can_be_written(rendered):
    """Root file systems are read-only; documents and secrets are mounted read-only; what is written has a limit."""
    for pod in rendered.pods:
        for container in containers(pod["spec"]):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            assert writable <= {"/tmp", *(f"/var/lib/lifecycle/{name}" for name in ("checkpoint", "state", "metrics"))}
            assert container["resources"]["limits"]["memory"]
        for volume in pod["spec"]["volumes"]:
            assert set(volume) - {"name"} <= OURS
            if "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"]


def test_secrets_are_files_of_the_pods_group_and_never_in_the_environment(rendered):
    """Keys and addresses are 0440 under the pod's fsGroup, one folder down so that no link is followed to them."""
    for pod in rendered.pods:
        context = pod["spec"]["securityContext"]
        assert context["fsGroup"]
        assert context["runAsUser"]
        for container in containers(pod["spec"]):
            assert all("value" in entry for entry in container["env"])
            assert "envFrom" not in container
        secrets = [v["projected"] for v in pod["spec"]["volumes"] if v["name"] == "secrets"]
        for volume in secrets:
            assert volume["defaultMode"] == 0o440
            for source in volume["sources"]:
                for item in source["secret"]["items"]:
                    assert item["mode"] == 0o440
                    assert item["path"].count("/") == 1


def test_the_migration_sees_no_key(matrix):
    """The hook needs the state's address alone: none of the deployment's keys is mounted into it."""
    pod = matrix["everything"].one("Job")["spec"]["template"]["spec"]
    assert "lifecycle-keys" not in str(pod)
    assert "lifecycle-addresses" in str(pod)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda spec: spec.update(hostNetwork=True), "hostNetwork"),
        (lambda spec: spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "volume hostPath"),
        (lambda spec: spec["securityContext"].update(sysctls=[{"name": "a", "value": "b"}]), "pod.sysctls"),
        (lambda spec: spec["containers"][0]["securityContext"].update(privileged=True), "privileged"),
        (lambda spec: spec["containers"][0]["securityContext"].update(runAsUser=0), "runAsUser"),
        (lambda spec: spec["containers"][0]["securityContext"].update(runAsNonRoot=False), "runAsNonRoot"),
        (lambda spec: spec["containers"][0]["securityContext"].pop("capabilities"), "capabilities"),
        (lambda spec: spec["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
         "allowPrivilegeEscalation"),
        (lambda spec: spec["containers"][0]["securityContext"].update(seccompProfile={"type": "Unconfined"}),
         "seccomp"),
        (lambda spec: spec["containers"][0]["ports"].append({"containerPort": 1, "hostPort": 1}), "hostPort"),
    ],
)  # fmt: skip
def test_the_profile_check_would_notice(matrix, change, broken):
    """Each control that is taken away from a good pod is found by name."""
    spec = copy.deepcopy(matrix["minimal"].one("Deployment")["spec"]["template"]["spec"])
    change(spec)
    assert violations(spec) == {broken}
