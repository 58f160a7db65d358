"""What an API server refuses and a schema lets pass: words, names, references, arithmetic. Pure: a list of sentences.

Written after the validation of Kubernetes 1.31 and newer, for the fields that these manifests use.
"""

import re
from collections.abc import Iterator
from typing import Any

from tests.k8s.manifests import INDEX_LABEL, Document, Pod, of_kind, pod_of

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")  # RFC 1123
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")  # RFC 1035
SUBDOMAIN = re.compile(rf"{LABEL.pattern}(\.{LABEL.pattern})*")
PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?")  # IANA
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
QUALIFIED = re.compile(rf"({SUBDOMAIN.pattern}/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
IMAGE = re.compile(r"[a-z0-9.-]+(/[a-z0-9._-]+)+:[\w][\w.-]{0,127}(@sha256:[0-9a-f]{64})?")

SETS = {"In", "NotIn"}
# The last two names of a path -> the words that may stand there.
WORDS = {
    "spec.restartPolicy": {"Never", "OnFailure", "Always"},
    "spec.podReplacementPolicy": {"Failed", "TerminatingOrFailed"},
    "spec.completionMode": {"Indexed", "NonIndexed"},
    "spec.accessModes": {"ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"},
    "spec.policyTypes": {"Ingress", "Egress"},
    "rules.action": {"FailJob", "FailIndex", "Ignore", "Count"},
    "onExitCodes.operator": SETS,
    "onPodConditions.status": {"True", "False", "Unknown"},
    "tolerations.operator": {"Exists", "Equal"},
    "tolerations.effect": {"NoSchedule", "PreferNoSchedule", "NoExecute"},
    "matchExpressions.operator": {*SETS, "Exists", "DoesNotExist", "Gt", "Lt"},
    "containers.imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "containers.terminationMessagePolicy": {"File", "FallbackToLogsOnError"},
    "securityContext.fsGroupChangePolicy": {"OnRootMismatch", "Always"},
    "seccompProfile.type": {"RuntimeDefault", "Localhost", "Unconfined"},
    "emptyDir.medium": {"", "Memory", "HugePages"},
    "ports.protocol": {"TCP", "UDP", "SCTP"},
}
UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def faults(documents: list[Document], optional_secrets: frozenset[str] = frozenset()) -> list[str]:
    """Every fault of documents that are applied together. `optional_secrets` are made by the user beforehand."""
    return [*_faults(documents, optional_secrets)]


def _faults(documents: list[Document], optional_secrets: frozenset[str]) -> Iterator[str]:
    for document in documents:
        yield from _words(document, ())
        yield from _metadata(document)
        if document["kind"] == "Job":
            yield from _job(document)
    pods = [pod_of(job) for job in of_kind(documents, "Job")]
    pods += [Pod(pod["metadata"].get("labels", {}), pod["spec"]) for pod in of_kind(documents, "Pod")]
    for pod in pods:
        yield from _pod(pod)
        yield from _references(pod, documents, optional_secrets)
    for service in of_kind(documents, "Service"):
        if not any(selects(service["spec"]["selector"], pod.labels) for pod in pods):
            yield f"Service {service['metadata']['name']}: its selector finds no pod"
    for kind in {document["kind"] for document in documents}:
        names = [document["metadata"]["name"] for document in of_kind(documents, kind)]
        yield from (f"{kind} {name} stands there twice" for name in _repeated(names))


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def quantity(text: str | int | float) -> float:
    """`"16Gi"` in bytes, `"500m"` as 0.5. Raises `ValueError`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]*)", str(text))
    if not found or found[2] not in UNITS:
        raise ValueError(f"{text!r} is no quantity")
    return float(found[1]) * UNITS[found[2]]


def _words(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """A word that is none of those that a field takes."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _words(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from _words(item, path)
    elif (allowed := WORDS.get(".".join(path[-2:]))) and value not in allowed:
        yield f"{'.'.join(path)}: {value!r} is none of {', '.join(sorted(allowed))}"


def _metadata(document: Document) -> Iterator[str]:
    kind, metadata = document["kind"], document["metadata"]
    pattern = {"Service": SERVICE_NAME, "Job": LABEL, "Pod": LABEL}.get(kind, SUBDOMAIN)
    yield from _name(f"{kind} name", metadata["name"], pattern, 63 if kind in ("Service", "Job", "Pod") else 253)
    template = document.get("spec", {}).get("template", {}) if kind == "Job" else {}
    for labels in (metadata.get("labels", {}), template.get("metadata", {}).get("labels", {})):
        for key, value in labels.items():
            yield from _name("label", key, QUALIFIED, 316)
            yield from _name(f"label {key}", value, LABEL_VALUE, 63)
    for key in (*document.get("data", {}), *document.get("stringData", {})):
        yield from _name(f"{kind} key", key, DATA_KEY, 253)
    for key, value in document.get("data", {}).items():
        if not isinstance(value, str):
            yield f"{kind} {metadata['name']}: {key} is no text"


def _name(what: str, name: Any, pattern: re.Pattern[str], longest: int) -> Iterator[str]:
    if not isinstance(name, str) or not pattern.fullmatch(name) or len(name) > longest:
        yield f"{what}: {name!r} is not allowed"


def _job(job: Document) -> Iterator[str]:
    spec, name = job["spec"], job["metadata"]["name"]
    restart = spec["template"]["spec"].get("restartPolicy")
    if restart not in ("Never", "OnFailure"):
        yield f"restartPolicy: {restart!r} is not for a Job"
    if "selector" in spec:
        yield "selector: the Job controller makes it"
    for field in ("backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "completions", "parallelism"):
        if spec.get(field, 0) < 0:
            yield f"{field}: {spec[field]} is below 0"
    if spec.get("completionMode") == "Indexed":
        if "completions" not in spec:
            yield "completionMode: Indexed needs completions"
        yield from _name("name of the last pod", f"{name}-{spec.get('completions', 1) - 1}", LABEL, 63)
    if policy := spec.get("podFailurePolicy"):
        yield from _pod_failure_policy(policy, spec)


def _pod_failure_policy(policy: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    pod = spec["template"]["spec"]
    containers = {container["name"] for key in ("containers", "initContainers") for container in pod.get(key, ())}
    if pod.get("restartPolicy") != "Never":
        yield "podFailurePolicy: only with restartPolicy Never"
    if spec.get("podReplacementPolicy", "Failed") != "Failed":
        yield "podFailurePolicy: only with podReplacementPolicy Failed"
    if len(policy["rules"]) > 20:
        yield "podFailurePolicy: more than 20 rules"
    for number, rule in enumerate(policy["rules"]):
        if ("onExitCodes" in rule) == ("onPodConditions" in rule):
            yield f"rule {number}: one of onExitCodes and onPodConditions"
        if rule["action"] == "FailIndex" and "backoffLimitPerIndex" not in spec:
            yield f"rule {number}: FailIndex needs backoffLimitPerIndex"
        if codes := rule.get("onExitCodes"):
            yield from _exit_codes(number, codes, containers)


def _exit_codes(number: int, codes: dict[str, Any], containers: set[str]) -> Iterator[str]:
    values = codes["values"]
    if codes.get("containerName", *containers) not in containers:
        yield f"rule {number}: there is no container {codes['containerName']!r}"
    if values != sorted(set(values)) or not 1 <= len(values) <= 255:
        yield f"rule {number}: its values are to be in order, each once"
    if codes["operator"] == "In" and 0 in values:
        yield f"rule {number}: 0 is no failure"
    if any(not 0 <= value <= 255 for value in values):
        yield f"rule {number}: an exit code is between 0 and 255"


def _pod(pod: Pod) -> Iterator[str]:
    spec = pod.spec
    names = [container["name"] for container in spec["containers"]]
    volumes = [volume["name"] for volume in spec.get("volumes", ())]
    mounted = {mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", ())}
    for name in (*names, *volumes):
        yield from _name("name of a container or volume", name, LABEL, 63)
    yield from (f"{name} stands there twice" for name in (*_repeated(names), *_repeated(volumes)))
    yield from (f"volume {name} is mounted nowhere" for name in volumes if name not in mounted)
    yield from (f"volume {name} is mounted and not there" for name in sorted(mounted.difference(volumes)))
    for volume in spec.get("volumes", ()):
        if len(volume) != 2:
            yield f"volume {volume['name']}: one source, not {len(volume) - 1}"
    for toleration in spec.get("tolerations", ()):
        if toleration.get("operator") == "Exists" and toleration.get("value"):
            yield f"toleration {toleration.get('key')}: Exists takes no value"
    for container in spec["containers"]:
        yield from _container(container)


def _container(container: dict[str, Any]) -> Iterator[str]:
    if not IMAGE.fullmatch(container["image"].replace("OWNER", "owner")):
        yield f"image: {container['image']!r} is no reference with a tag"
    mounts = container.get("volumeMounts", ())
    yield from (f"{path} is mounted twice" for path in _repeated([mount["mountPath"] for mount in mounts]))
    yield from (f"{mount['mountPath']} is no path" for mount in mounts if not mount["mountPath"].startswith("/"))
    variables = [variable["name"] for variable in container.get("env", ())]
    yield from (f"variable {name} is set twice" for name in _repeated(variables))
    for variable in container.get("env", ()):
        yield from _name("variable", variable["name"], VARIABLE, 253)
        if ("value" in variable) == ("valueFrom" in variable):
            yield f"variable {variable['name']}: one of value and valueFrom"
    for port in container.get("ports", ()):
        yield from _name("name of a port", port.get("name", "port"), PORT_NAME, 15)
    yield from _resources(container.get("resources", {}))


def _resources(resources: dict[str, Any]) -> Iterator[str]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for name, value in (*requests.items(), *limits.items()):
        try:
            quantity(value)
        except ValueError as error:
            yield f"resources {name}: {error}"
            return
    for name, value in requests.items():
        if name in limits and quantity(value) > quantity(limits[name]):
            yield f"resources {name}: more is requested than allowed"
    for name, value in requests.items():
        if "/" in name and limits.get(name) != value:
            yield f"resources {name}: a device is requested by its limit"


def _references(pod: Pod, documents: list[Document], optional_secrets: frozenset[str]) -> Iterator[str]:
    """What a pod names and nobody makes."""
    there = {(document["kind"], document["metadata"]["name"]) for document in documents}
    for kind, name in _named(pod):
        if (kind, name) not in there and not (kind == "Secret" and name in optional_secrets):
            yield f"{kind} {name} is named and not there"
    services = {service["metadata"]["name"]: service["spec"] for service in of_kind(documents, "Service")}
    if (subdomain := pod.spec.get("subdomain")) and services.get(subdomain, {}).get("clusterIP") != "None":
        yield f"subdomain: there is no headless Service {subdomain}"
    for container in pod.spec["containers"]:
        for variable in container.get("env", ()):
            path = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
            label = re.fullmatch(r"metadata\.labels\['(.+)'\]", path)
            if label and label[1] not in {*pod.labels, INDEX_LABEL}:
                yield f"variable {variable['name']}: the pod has no label {label[1]}"


def _named(pod: Pod) -> Iterator[tuple[str, str]]:
    if account := pod.spec.get("serviceAccountName"):
        yield "ServiceAccount", account
    for volume in pod.spec.get("volumes", ()):
        if claim := volume.get("persistentVolumeClaim"):
            yield "PersistentVolumeClaim", claim["claimName"]
        if secret := volume.get("secret"):
            yield "Secret", secret["secretName"]
    for container in pod.spec["containers"]:
        for source in container.get("envFrom", ()):
            yield "ConfigMap", source["configMapRef"]["name"]


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
