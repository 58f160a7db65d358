"""The manifests as objects: the files, the rendered overlays, and the pods within them."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

Document = dict[str, Any]

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
OVERLAYS = sorted(f"overlays/{folder.name}" for folder in (K8S / "overlays").iterdir())
KUSTOMIZED = ["base", *OVERLAYS]
FILES = [path.name for path in sorted(K8S.glob("*.yaml"))]
CLUSTER_FILES = [name for name in FILES if name != "podmonitor.yaml"]  # kinds that every cluster knows
TRAINJOB = "others/kubeflow-trainjob.yaml"
WITH_PODS = ["job.yaml", "check-job.yaml", "smoke-job.yaml", "results-pod.yaml", TRAINJOB, *OVERLAYS]
WITH_JOBS = [name for name in WITH_PODS if name != "results-pod.yaml"]
OLDEST_KUBECTL = (1, 31)

# What the Job controller, and JobSet's, put on a pod beside its own labels.
JOB_LABELS = {"Job": "batch.kubernetes.io/job-name", "JobSet": "jobset.sigs.k8s.io/jobset-name"}
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"


class Pod(NamedTuple):
    """A pod as the cluster makes it: the labels that it gets, and its spec."""

    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def container(self) -> dict[str, Any]:
        (only,) = self.spec["containers"]
        return dict(only)


@cache
def load(source: str) -> list[Document]:
    """All documents of a file of `k8s/`, or of a folder that kustomize renders. To be copied before a change."""
    return rendered(source) if source in KUSTOMIZED else parsed((K8S / source).read_text())


def parsed(text: str) -> list[Document]:
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def rendered(folder: str) -> list[Document]:
    require_kubectl()
    command = ["kubectl", "kustomize", str(K8S / folder)]
    return parsed(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


@cache
def _kubectl_version() -> tuple[int, int] | None:
    if shutil.which("kubectl") is None:
        return None
    said = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, timeout=60).stdout
    found = re.search(r"v?(\d+)\.(\d+)\.\d+", said)
    return (int(found[1]), int(found[2])) if found else None


def require_kubectl() -> None:
    """Skip where kubectl is missing, or older than the clusters that these files are for."""
    version = _kubectl_version()
    if version is None or version < OLDEST_KUBECTL:
        have = "there is none" if version is None else "this one is {}.{}".format(*version)
        pytest.skip(f"kubectl {OLDEST_KUBECTL[0]}.{OLDEST_KUBECTL[1]} or newer is what these files are for; {have}")


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    return [document for document in documents if document["kind"] == kind]


def jobs(source: str) -> list[Document]:
    """The Jobs in a source; for a TrainJob, the Job that Kubeflow makes of it."""
    documents = load(source)
    return [*of_kind(documents, "Job"), *(job_of_trainjob(documents) for _ in of_kind(documents, "TrainJob"))]


def job_of_trainjob(documents: list[Document]) -> Document:
    (runtime,), (trainjob,) = of_kind(documents, "TrainingRuntime"), of_kind(documents, "TrainJob")
    (replicated,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    spec = replicated["template"]["spec"]
    pod = spec["template"]
    (container,) = pod["spec"]["containers"]
    container = {**container, "resources": trainjob["spec"]["trainer"]["resourcesPerNode"]}
    labels = {**pod["metadata"]["labels"], JOB_LABELS["JobSet"]: trainjob["metadata"]["name"]}
    template = {"metadata": {"labels": labels}, "spec": {**pod["spec"], "containers": [container]}}
    name = f"{trainjob['metadata']['name']}-{replicated['name']}-0"
    return {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {**spec, "template": template},
    }  # fmt: skip


def pods(source: str) -> Iterator[Pod]:
    for pod in of_kind(load(source), "Pod"):
        yield Pod(pod["metadata"].get("labels", {}), pod["spec"])
    for job in jobs(source):
        yield pod_of(job)


def pod_of(job: Document) -> Pod:
    template = job["spec"]["template"]
    given = {JOB_LABELS["Job"]: job["metadata"]["name"]}
    if job["spec"].get("completionMode") == "Indexed":
        given[INDEX_LABEL] = "0"
    return Pod({**template["metadata"].get("labels", {}), **given}, template["spec"])


def environment(pod: Pod, documents: list[Document]) -> dict[str, str]:
    """The variables of the pod's container, as the kubelet sets them: `env` wins over `envFrom`."""
    config_maps = {document["metadata"]["name"]: document["data"] for document in of_kind(documents, "ConfigMap")}
    found: dict[str, str] = {}
    for source in pod.container.get("envFrom", ()):
        found |= config_maps[source["configMapRef"]["name"]]
    for variable in pod.container.get("env", ()):
        found[variable["name"]] = variable["value"] if "value" in variable else _from_field(variable, pod)
    return found


def _from_field(variable: dict[str, Any], pod: Pod) -> str:
    path = variable["valueFrom"]["fieldRef"]["fieldPath"]
    label = re.fullmatch(r"metadata\.labels\['(.+)'\]", path)
    assert label, f"{path} is no label"
    return pod.labels[label[1]]


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every leaf under its path; an item of a list goes by its name or key where it has one.

    >>> leaves({"a": [{"name": "x", "value": 1}], "b": [2, 3]})
    {'a[x].name': 'x', 'a[x].value': 1, 'b': [2, 3]}
    """
    found: dict[str, Any] = {}
    if isinstance(value, dict) and value:
        for key, item in value.items():
            found |= leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            found |= leaves(item, f"{path}[{item.get('name') or item.get('key') or number}]")
    else:
        found[path] = value
    return found


def all_leaves(documents: list[Document]) -> dict[str, Any]:
    """The leaves of several documents, each under its kind and name."""
    return {
        f"{document['kind']}/{document['metadata']['name']}: {path}": value
        for document in documents
        for path, value in leaves(document).items()
    }
