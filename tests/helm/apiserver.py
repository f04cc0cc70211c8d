"""As much of Kubernetes' API as helm needs to install, upgrade, roll back and uninstall: objects kept and watched.

Nothing runs here and nothing is checked beyond names: a Job is complete once it was made, or failed where the test says
so. What a test reads is the order in which helm made, changed and removed objects.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

KINDS = {
    "v1": {
        "configmaps": "ConfigMap", "persistentvolumeclaims": "PersistentVolumeClaim", "secrets": "Secret",
        "serviceaccounts": "ServiceAccount", "services": "Service", "namespaces": "Namespace", "pods": "Pod",
    },
    "apps/v1": {"deployments": "Deployment"},
    "batch/v1": {"jobs": "Job", "cronjobs": "CronJob"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "monitoring.coreos.com/v1": {"servicemonitors": "ServiceMonitor", "prometheusrules": "PrometheusRule"},
}  # fmt: skip
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


@dataclass
class Cluster:
    """What is there, and what happened to it, in order."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    jobs_fail: bool = False
    version: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def names(self, kind: str) -> set[str]:
        """The names of the objects of a kind."""
        return {o["metadata"]["name"] for o in self.objects.values() if o["kind"] == kind}

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """One object."""
        (found,) = [o for o in self.objects.values() if o["kind"] == kind and o["metadata"]["name"] == name]
        return found

    def put(self, path: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Keep an object; a Job ends at once."""
        with self.changed:
            self.version += 1
            what = "change" if path in self.objects else "make"
            known = self.objects.get(path, {}).get("metadata", {})
            thing["metadata"] |= {"resourceVersion": str(self.version), "uid": known.get("uid", f"uid-{self.version}")}
            thing["metadata"].setdefault("generation", 1)
            if thing["kind"] == "Job":
                condition = {"type": "Failed" if self.jobs_fail else "Complete", "status": "True", "reason": "Ended"}
                thing["status"] = {"conditions": [condition], "succeeded": int(not self.jobs_fail)}
            self.objects[path] = thing
            if thing["kind"] != "Secret":
                self.history.append(f"{what} {thing['kind']} {thing['metadata']['name']}")
            self.changed.notify_all()
        return thing

    def remove(self, path: str) -> dict[str, Any] | None:
        """Forget an object."""
        with self.changed:
            thing = self.objects.pop(path, None)
            if thing is not None and thing["kind"] != "Secret":
                self.history.append(f"remove {thing['kind']} {thing['metadata']['name']}")
            self.version += 1
            self.changed.notify_all()
        return thing

    def below(self, path: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """The objects of a collection that selectors leave."""
        wanted = dict(part.split("=", 1) for part in query.get("labelSelector", [""])[0].split(",") if "=" in part)
        named = dict(part.split("=", 1) for part in query.get("fieldSelector", [""])[0].split(",") if "=" in part)
        found = [o for place, o in self.objects.items() if place.rpartition("/")[0] == path]
        return [
            o
            for o in found
            if wanted.items() <= o["metadata"].get("labels", {}).items()
            and named.get("metadata.name", o["metadata"]["name"]) == o["metadata"]["name"]
        ]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cluster = cluster


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        path = parts.path.rstrip("/")
        if (found := _discovery(path)) is not None:
            self._answer(200, found)
        elif path in self.server.cluster.objects:
            self._answer(200, self.server.cluster.objects[path])
        elif "watch" in query:
            self._watch(path, query)
        elif (kind := _collection(path)) is not None:
            things = self.server.cluster.below(path, query)
            group = path.removeprefix("/apis/").removeprefix("/api/").split("/namespaces")[0]
            meta = {"resourceVersion": str(self.server.cluster.version)}
            self._answer(200, {"kind": f"{kind}List", "apiVersion": group, "metadata": meta, "items": things})
        else:
            self._absent(path)

    def do_POST(self) -> None:
        thing = self._body()
        path = f"{urlsplit(self.path).path}/{thing['metadata']['name']}"
        if path in self.server.cluster.objects:
            self._answer(409, _status(409, "AlreadyExists"))
        else:
            self._answer(201, self.server.cluster.put(path, thing))

    def do_PATCH(self) -> None:
        path, thing = urlsplit(self.path).path, self._body()
        self._answer(200, self.server.cluster.put(path, thing))

    def do_PUT(self) -> None:
        self._answer(200, self.server.cluster.put(urlsplit(self.path).path, self._body()))

    def do_DELETE(self) -> None:
        self._body()
        path = urlsplit(self.path).path
        if self.server.cluster.remove(path) is None:
            self._absent(path)
        else:
            self._answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def _watch(self, path: str, query: dict[str, list[str]]) -> None:
        """Tell of each object that is there or comes, for a second; helm asks again."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        told: dict[str, Any] = {}
        begun = "sendInitialEvents" in query
        for _ in range(4):
            with self.server.cluster.changed:
                now = {o["metadata"]["name"]: o for o in self.server.cluster.below(path, query)}
                events = [("ADDED" if n not in told else "MODIFIED", o) for n, o in now.items() if told.get(n) != o]
                events += [("DELETED", o) for n, o in told.items() if n not in now]
                told = dict(now)
                if begun:
                    events.append(("BOOKMARK", _bookmark(path, self.server.cluster.version)))
                    begun = False
                for kind, thing in events:
                    self.wfile.write(json.dumps({"type": kind, "object": thing}).encode() + b"\n")
                self.wfile.flush()
                self.server.cluster.changed.wait(0.25)

    def _body(self) -> dict[str, Any]:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return dict(json.loads(content)) if content else {}

    def _absent(self, path: str) -> None:
        self._answer(404, _status(404, "NotFound", f"{path} not found"))

    def _answer(self, code: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _status(code: int, reason: str, message: str = "") -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
            "message": message or reason}  # fmt: skip


def _bookmark(path: str, version: int) -> dict[str, Any]:
    """The mark after what was there when a watch began."""
    group = path.removeprefix("/apis/").removeprefix("/api/").split("/namespaces")[0]
    marks = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
    return {"apiVersion": group, "kind": _collection(path), "metadata": marks}


def _discovery(path: str) -> dict[str, Any] | None:
    """What there is in this cluster."""
    if path == "/version":
        return {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = []
        for name in KINDS:
            if "/" in name:
                group, version = name.split("/")
                told = {"groupVersion": name, "version": version}
                groups.append({"name": group, "versions": [told], "preferredVersion": told})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if path.startswith("/openapi/v3"):
        return _openapi(path.removeprefix("/openapi/v3/"))
    name = path.removeprefix("/apis/").removeprefix("/api/")
    if name not in KINDS or path.count("/") != name.count("/") + 2:
        return None
    resources = [
        {"name": plural, "singularName": kind.lower(), "kind": kind, "namespaced": kind != "Namespace", "verbs": VERBS}
        for plural, kind in KINDS[name].items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}


def _openapi(path: str) -> dict[str, Any] | None:
    """That the server itself validates fields: helm then sends objects as they are. (strict.py has validated them.)"""
    places = {("api/" if name == "v1" else "apis/") + name: name for name in KINDS}
    if path == "/openapi/v3":
        return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in places}}
    if path not in places:
        return None
    group, _, version = places[path].rpartition("/")
    validated = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    paths = {
        f"/{path}/namespaces/{{namespace}}/{plural}/{{name}}": {
            "patch": {
                "parameters": [validated],
                "responses": {},
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
            }
        }
        for plural, kind in KINDS[places[path]].items()
    }
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.37.0"}, "paths": paths}


def _collection(path: str) -> str | None:
    plural = path.rpartition("/")[2]
    return next((kinds[plural] for kinds in KINDS.values() if plural in kinds), None)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[Cluster, Path]]:
    """An empty cluster, and the file that leads helm there."""
    made = Cluster()
    server = _Server(made)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    config = folder / "kubeconfig"
    address = f"http://127.0.0.1:{server.server_address[1]}"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "here", "cluster": {"server": address}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "portal"}}],
                "users": [{"name": "me", "user": {}}],
                "current-context": "here",
            }
        ),
        encoding="utf-8",
    )
    try:
        yield made, config
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
