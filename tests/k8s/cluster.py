"""A cluster for the real kubectl: keeps what is applied, and lets the pod of every Job succeed.

The pod of a training ends when its log is read to the end, any other at once.

It refuses what the strict schema of the newest release refuses. Left out: streams (exec, cp, port-forward), watches,
conflicts, namespaces other than `default`, and whatever else these manifests and their README do not need.
"""

import base64
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml

from tests.k8s.discovery import KINDS, PREFIX, Object, discovery

JOB_NAME, CONTROLLER = "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid"
PROTOBUF = b"k8s\0"
LOG = "finished (exit 0): trained, evaluated, published and verified\n"


class Cluster:
    """What stands in the cluster: plural and name -> object."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {("namespaces", "default"): _default_namespace()}

    def create(self, plural: str, made: Object) -> Object:
        if made["kind"] != "PodMonitor":
            kubernetes_validate.validate(made, kubernetes_validate.latest_version(), strict=True)
        made["metadata"] |= {"uid": str(uuid.uuid4()), "resourceVersion": "1", "namespace": "default"}
        self.objects[plural, made["metadata"]["name"]] = made
        if plural == "jobs":
            self._run(made)
        if plural == "pods":
            made["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        return made

    def find(self, plural: str, labels: str, fields: str) -> list[Object]:
        """What has these labels, as `a=1,b=2`, and fields."""
        wanted = dict(pair.split("=", 1) for pair in labels.split(",") if pair)
        name = fields.removeprefix("metadata.name=") if fields.startswith("metadata.name=") else None
        return [
            found
            for (kind, own), found in self.objects.items()
            if kind == plural and wanted.items() <= found["metadata"].get("labels", {}).items() and name in (None, own)
        ]

    def delete(self, plural: str, name: str) -> Object:
        gone = self.objects.pop((plural, name))
        if plural == "jobs":
            self.objects.pop(("pods", f"{name}-0"), None)
        return gone

    def end_of(self, pod: Object) -> None:
        """Its container exits 0, and so its Job is complete."""
        ended = {"exitCode": 0, "reason": "Completed", "message": LOG}
        pod["status"] = {
            "phase": "Succeeded", "containerStatuses": [{"name": "grpo-job", "state": {"terminated": ended}}],
        }  # fmt: skip
        job = self.objects["jobs", pod["metadata"]["labels"][JOB_NAME]]
        job["status"] = {"succeeded": 1, "ready": 0, "conditions": [{"type": "Complete", "status": "True"}]}

    def _run(self, job: Object) -> None:
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        template = job["spec"]["template"]
        labels = {**template["metadata"]["labels"], CONTROLLER: uid, JOB_NAME: name}
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"], "status": {"phase": "Running"}}
        pod["metadata"] = {"name": f"{name}-0", "namespace": "default", "uid": str(uuid.uuid4()), "labels": labels}
        self.objects["pods", f"{name}-0"] = pod
        job["spec"]["selector"] = {"matchLabels": {CONTROLLER: uid}}
        job["status"] = {"active": 1, "ready": 1}
        if labels["app.kubernetes.io/component"] != "training":
            self.end_of(pod)


def _default_namespace() -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": {}}}


def merge(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict) or not isinstance(old, dict):
        return patch
    merged = {**old, **{key: merge(old.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in merged.items() if value is not None}


def secret_from_protobuf(body: bytes) -> Object:
    """`kubectl create secret` alone does not speak JSON: name and keys of what it sends."""
    raw = _fields(body.removeprefix(PROTOBUF))[2][0]
    secret = _fields(raw)
    data = {_fields(pair)[1][0].decode(): base64.b64encode(_fields(pair)[2][0]).decode() for pair in secret[2]}
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": _fields(secret[1][0])[1][0].decode()}, "data": data,
    }  # fmt: skip


def _fields(message: bytes) -> dict[int, list[bytes]]:
    """The fields of a protobuf message that hold bytes."""
    found: dict[int, list[bytes]] = {}
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = number()
        size = number()
        if tag & 7 == 2:
            found.setdefault(tag >> 3, []).append(message[at : at + size])
            at += size
    return found


class _Handler(BaseHTTPRequestHandler):
    cluster: ClassVar[Cluster]

    def do_GET(self) -> None:
        if (page := discovery(self.route)) is not None:
            return self._answer(page)
        if not self.route.startswith((*(f"{prefix}/" for prefix in PREFIX.values()),)):
            return self._refuse(404, "NotFound", f"there is no {self.route}")
        plural, name, *part = self._resource()
        if part == ["log"]:
            self.cluster.end_of(self.cluster.objects[plural, name])
            return self._answer(LOG)
        if name:
            return self._answer_one(plural, name)
        if self._asked("watch"):
            return self._answer("")  # nothing happens by itself
        found = self.cluster.find(plural, self._asked("labelSelector"), self._asked("fieldSelector"))
        version, kind = next(
            (version, kind) for version in KINDS for kind, its in KINDS[version].items() if its == plural
        )
        return self._answer({"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": found})

    def do_POST(self) -> None:
        try:
            self._answer(self.cluster.create(self._resource()[0], self._body()), 201)
        except kubernetes_validate.ValidationError as error:
            self._refuse(422, "Invalid", error.message)

    def do_PATCH(self) -> None:
        plural, name, *_ = self._resource()
        self.cluster.objects[plural, name] = merge(self.cluster.objects[plural, name], self._body())
        self._answer_one(plural, name)

    def do_DELETE(self) -> None:
        self._body()
        plural, name, *_ = self._resource()
        self._answer(self.cluster.delete(plural, name))

    @property
    def route(self) -> str:
        return urlsplit(self.path).path.strip("/")

    def _resource(self) -> list[str]:
        """`[plural, name or "", ...]` of the address."""
        rest = self.route.split("/")[2 if self.route.startswith("api/") else 3 :]
        if rest[0] == "namespaces" and len(rest) > 2:
            rest = rest[2:]
        return [*rest, ""] if len(rest) == 1 else rest

    def _asked(self, name: str) -> str:
        return "".join(parse_qs(urlsplit(self.path).query).get(name, []))

    def _body(self) -> Any:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return secret_from_protobuf(body) if body.startswith(PROTOBUF) else yaml.safe_load(body or "{}")

    def _answer_one(self, plural: str, name: str) -> None:
        if found := self.cluster.objects.get((plural, name)):
            return self._answer(found)
        return self._refuse(404, "NotFound", f"{plural} {name} not found")

    def _refuse(self, code: int, reason: str, message: str) -> None:
        told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason}
        self._answer({**told, "code": code, "message": message, "metadata": {}}, code)

    def _answer(self, page: Object | str, code: int = 200) -> None:
        body = page.encode() if isinstance(page, str) else json.dumps(page).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(page, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def running(folder: Path) -> Iterator[tuple[Cluster, Path]]:
    """A cluster, and the kubeconfig that leads to it."""
    cluster = Cluster()
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield cluster, kubeconfig(folder / "kubeconfig", server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(path: Path, port: int) -> Path:
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here", "users": [],
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": ""}}],
    }  # fmt: skip
    path.write_text(json.dumps(config))
    return path
