"""Every manifest passes the schemas of all current releases, and the rules that schemas do not know."""

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import kubernetes_validate
import pytest

from grpo_job.settings.redaction.redactor import Redactor
from tests.k8s.manifests import (
    CLUSTER_FILES,
    FILES,
    KUSTOMIZED,
    ROOT,
    TRAINJOB,
    WITH_PODS,
    Document,
    job_of_trainjob,
    load,
    of_kind,
    pods,
)  # fmt: skip
from tests.k8s.rules import faults, selects

SECRET = frozenset({"grpo-job-credentials"})
NEWEST = int(kubernetes_validate.latest_version().split(".")[1])
RELEASES = [f"1.{minor}" for minor in range(31, NEWEST + 1)]
# Files that lean on the settings and volumes of job.yaml.
LEANING = ("check-job.yaml", "results-pod.yaml", TRAINJOB)


@pytest.fixture(autouse=True, scope="module")
def _schemas_are_read_once() -> Iterator[None]:
    """They are megabytes, and the validator reads them for every document anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kubernetes_validate.utils, "schema_contents", cache(kubernetes_validate.utils.schema_contents))
        yield


def applied(source: str) -> list[Document]:
    """What is in the cluster when the source has been applied as the README says."""
    documents = load(source)
    if source == TRAINJOB:
        documents = [job_of_trainjob(documents)]
    base = [document for document in load("job.yaml") if document["kind"] != "Job"] if source in LEANING else []
    return [*base, *documents]


@pytest.mark.parametrize("source", [*CLUSTER_FILES, *KUSTOMIZED, TRAINJOB])
def test_every_document_has_the_schema_of_every_release_from_1_31_on(source: str) -> None:
    for document in [job_of_trainjob(load(source))] if source == TRAINJOB else load(source):
        validate(json.dumps(document))


@cache
def validate(document: str) -> None:
    """Most documents stand in every overlay, unchanged."""
    for release in RELEASES:
        kubernetes_validate.validate(json.loads(document), release, strict=True)


@pytest.mark.parametrize("source", [*FILES, *KUSTOMIZED, TRAINJOB])
def test_no_document_breaks_a_rule_that_schemas_do_not_know(source: str) -> None:
    assert faults(applied(source), SECRET) == []


@pytest.mark.parametrize("source", ["networkpolicy.yaml", "podmonitor.yaml"])
def test_the_selectors_of_policies_and_monitors_find_the_pods(source: str) -> None:
    (document,) = load(source)
    selector = document["spec"].get("podSelector") or document["spec"]["selector"]
    for name in WITH_PODS:
        for pod in pods(name):
            wanted = source == "networkpolicy.yaml" or pod.labels["app.kubernetes.io/component"] == "training"
            assert selects(selector["matchLabels"], pod.labels) == wanted


def test_what_is_scraped_is_a_port_of_the_job() -> None:
    (monitor,), (policy,) = load("podmonitor.yaml"), load("networkpolicy.yaml")
    (pod,) = pods("job.yaml")
    (port,) = pod.container["ports"]
    assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} == {port["name"]}
    assert policy["spec"]["ingress"][0]["ports"][0]["port"] == port["name"]
    assert {variable["name"]: variable.get("value") for variable in pod.container["env"]}["GRPO_METRICS_PORT"] == str(
        port["containerPort"]
    )


def test_the_policy_lets_out_names_and_https_only() -> None:
    (policy,) = load("networkpolicy.yaml")
    to_anyone = [rule for rule in policy["spec"]["egress"] if "to" not in rule]
    open_ports = {(port["protocol"], port["port"]) for rule in to_anyone for port in rule["ports"]}
    assert open_ports == {("UDP", 53), ("TCP", 53), ("TCP", 443)}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_only_the_pods_of_a_run_reach_the_ports_of_its_ranks() -> None:
    """Its own NetworkPolicy opens them to each other, whatever port a library chooses, and to nobody else."""
    policies = of_kind(load("overlays/multi-node"), "NetworkPolicy")
    (policy,) = policies
    (pod,) = pods("overlays/multi-node")
    among, monitoring = policy["spec"]["ingress"]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    (peer,) = among["from"]
    assert peer.keys() == {"podSelector"}  # of this namespace
    assert "ports" not in among
    for selector in (peer["podSelector"], policy["spec"]["podSelector"]):
        assert selects(selector["matchLabels"], pod.labels)
        assert not selects(selector["matchLabels"], pod.labels | {"batch.kubernetes.io/job-name": "other"})
    assert [port["port"] for port in monitoring["ports"]] == ["metrics"]
    (general,) = load("networkpolicy.yaml")
    (to,) = [rule["to"] for rule in general["spec"]["egress"] if "to" in rule]
    assert selects(to[0]["podSelector"]["matchLabels"], pod.labels)


@pytest.mark.parametrize("source", WITH_PODS)
def test_every_pod_bears_the_recommended_labels(source: str) -> None:
    for pod in pods(source):
        labels = {key.removeprefix("app.kubernetes.io/"): value for key, value in pod.labels.items()}
        assert labels["name"] == labels["part-of"] == "grpo-job"
        assert labels["component"] in ("training", "check", "smoke", "results")


@pytest.mark.parametrize("source", [*FILES, *KUSTOMIZED])
def test_no_manifest_holds_a_secret(source: str) -> None:
    text = str(load(source))
    assert "secretKeyRef" not in text
    assert Redactor().text(text) == text
    for secret in of_kind(load(source), "Secret"):
        assert source == "secret.example.yaml"
        assert "PUT-YOUR-TOKEN-HERE" in secret["stringData"]["hf-token"]


def test_the_version_is_that_of_the_package() -> None:
    (version,) = [
        line.split('"')[1] for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version")
    ]
    for source in WITH_PODS:
        for pod in pods(source):
            tag = pod.container["image"].rpartition(":")[2]
            cpu = pod.labels["app.kubernetes.io/component"] != "training"
            assert tag == (f"{version}-cpu" if cpu else version)
            assert pod.labels.get("app.kubernetes.io/version", version) == version


def broken(path: str, value: Any, source: str = "job.yaml") -> list[Document]:
    """The documents of a source with one field, such as `Job.spec.template...`, set otherwise; None takes it away."""
    documents = deepcopy(load(source))
    kind, *names = path.split("/")
    there: Any = of_kind(documents, kind)[0]
    *way, last = [int(name) if name.isdecimal() else name for name in names]
    for name in way:
        there = there[name]
    if value is None:
        del there[last]
    else:
        there[last] = value
    return documents


SPEC, POD = "Job/spec", "Job/spec/template/spec"
RULE, BOX = f"{SPEC}/podFailurePolicy/rules/0", f"{POD}/containers/0"
PLANTED: list[tuple[str, Any, str]] = [
    (f"{RULE}/action", "Fail", "'Fail' is none of"),
    (f"{RULE}/action", "FailIndex", "FailIndex needs"),
    (f"{RULE}/onExitCodes/operator", "Is", "'Is' is none of"),
    (f"{RULE}/onExitCodes/values", [3, 2], "in order"),
    (f"{RULE}/onExitCodes/values", [2, 2], "in order"),
    (f"{RULE}/onExitCodes/values", [], "in order"),
    (f"{RULE}/onExitCodes/values", [0, 2], "0 is no failure"),
    (f"{RULE}/onExitCodes/values", [2, 256], "between 0 and 255"),
    (f"{RULE}/onExitCodes/containerName", "main", "no container 'main'"),
    (f"{RULE}/onPodConditions", [{"type": "DisruptionTarget", "status": "True"}], "one of onExitCodes"),
    (f"{SPEC}/podFailurePolicy/rules/3/onPodConditions/0/status", "Yes", "'Yes' is none of"),
    (f"{SPEC}/podFailurePolicy/rules", [{"action": "Ignore", "onPodConditions": []}] * 21, "more than 20"),
    (f"{SPEC}/podReplacementPolicy", "TerminatingOrFailed", "only with podReplacementPolicy"),
    (f"{SPEC}/podReplacementPolicy", "Always", "'Always' is none of"),
    (f"{SPEC}/completionMode", "Indexed", "needs completions"),
    (f"{SPEC}/backoffLimit", -1, "below 0"),
    (f"{SPEC}/selector", {}, "controller makes it"),
    (f"{POD}/restartPolicy", "OnFailure", "only with restartPolicy Never"),
    (f"{POD}/restartPolicy", "Always", "not for a Job"),
    (f"{POD}/serviceAccountName", "other", "ServiceAccount other is named"),
    (f"{POD}/subdomain", "grpo", "no headless Service grpo"),
    (f"{POD}/tolerations/0/operator", "Is", "'Is' is none of"),
    (f"{POD}/tolerations/0/effect", "Never", "'Never' is none of"),
    (f"{POD}/tolerations/0/value", "x", "takes no value"),
    (f"{POD}/securityContext/fsGroupChangePolicy", "Never", "'Never' is none of"),
    (f"{POD}/volumes/0/name", "Outputs", "'Outputs' is not allowed"),
    (f"{POD}/volumes/0/name", "else", "outputs is mounted and not there"),
    (f"{POD}/volumes/0/name", "cache", "cache stands there twice"),
    (f"{POD}/volumes/0/emptyDir", {}, "one source"),
    (f"{POD}/volumes/0/persistentVolumeClaim/claimName", "other", "PersistentVolumeClaim other is named"),
    (f"{POD}/volumes/3/emptyDir/medium", "RAM", "'RAM' is none of"),
    (f"{POD}/volumes/4/secret/secretName", "other", "Secret other is named"),
    (f"{BOX}/name", "grpo_job", "'grpo_job' is not allowed"),
    (f"{BOX}/image", "ghcr.io/OWNER/grpo-job", "no reference with a tag"),
    (f"{BOX}/imagePullPolicy", "Sometimes", "'Sometimes' is none of"),
    (f"{BOX}/terminationMessagePolicy", "Log", "'Log' is none of"),
    (f"{BOX}/volumeMounts/0/mountPath", "/cache", "/cache is mounted twice"),
    (f"{BOX}/volumeMounts/0/mountPath", "cache", "cache is no path"),
    (f"{BOX}/volumeMounts/0", None, "outputs is mounted nowhere"),
    (f"{BOX}/ports/0/name", "metrics-for-prometheus", "name of a port"),
    (f"{BOX}/ports/0/name", "8080", "name of a port"),
    (f"{BOX}/env/1/name", "GRPO_RUN_ID", "GRPO_RUN_ID is set twice"),
    (f"{BOX}/env/1/name", "GRPO-GRACE", "'GRPO-GRACE' is not allowed"),
    (f"{BOX}/env/1/value", None, "one of value and valueFrom"),
    (f"{BOX}/env/0/valueFrom/fieldRef/fieldPath", "metadata.labels['job']", "no label job"),
    (f"{BOX}/envFrom/0/configMapRef/name", "other", "ConfigMap other is named"),
    (f"{BOX}/resources/requests/memory", "17Gi", "more is requested"),
    (f"{BOX}/resources/requests/memory", "16GB", "no quantity"),
    ("Job/metadata/name", "GRPO", "'GRPO' is not allowed"),
    ("Job/metadata/name", "grpo.gsm8k", "'grpo.gsm8k' is not allowed"),
    ("Job/metadata/name", "a" * 64, "is not allowed"),
    ("Job/metadata/labels/version", "a b", "label version: 'a b'"),
    ("ConfigMap/data/GRPO_SEED", 7, "GRPO_SEED is no text"),
    ("ConfigMap/data/GRPO SEED", "7", "'GRPO SEED' is not allowed"),
    ("PersistentVolumeClaim/spec/accessModes", ["ReadWrite"], "'ReadWrite' is none of"),
    ("PersistentVolumeClaim/metadata/name", "grpo-job-outputs", "stands there twice"),
]


@pytest.mark.parametrize(("path", "value", "told"), PLANTED)
def test_each_planted_fault_is_told(path: str, value: Any, told: str) -> None:
    assert any(told in fault for fault in faults(broken(path, value), SECRET))


def test_a_service_that_finds_no_pod_is_told() -> None:
    documents = broken("Service/spec/selector", {"app": "other"}, "overlays/multi-node")
    assert faults(documents, SECRET) == ["Service grpo-gsm8k: its selector finds no pod"]
