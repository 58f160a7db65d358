"""`k8s/serve/`: the pods of both files pass the schemas, rules and standards of the others, and serve the same way."""

import json
from typing import Any

import kubernetes_validate
import pytest

from tests.k8s.manifests import Document, load, of_kind
from tests.k8s.pod_security import breaches
from tests.k8s.rules import faults
from tests.k8s.test_rules import RELEASES, SECRET, validate

DEPLOYMENT, KSERVE = "serve/deployment.yaml", "serve/kserve.yaml"
# Of KServe's own fields those that the file uses; the rest of a predictor is a pod's spec.
OF_PREDICTOR = {"minReplicas", "maxReplicas"}
ADAPTER = {DEPLOYMENT: "/adapter", KSERVE: "/mnt/models"}


def pod_of(source: str) -> Document:
    """The pod that the cluster makes of the file."""
    documents = load(source)
    if source == DEPLOYMENT:
        (deployment,) = of_kind(documents, "Deployment")
        template = deployment["spec"]["template"]
    else:
        (service,) = documents
        assert service["apiVersion"] == "serving.kserve.io/v1beta1"
        assert service["spec"].keys() == {"predictor"}
        predictor = service["spec"]["predictor"]
        spec = {name: value for name, value in predictor.items() if name not in OF_PREDICTOR}
        template = {"metadata": {"labels": service["metadata"]["labels"]}, "spec": spec}
    metadata = {"name": "grpo-adapter", **template["metadata"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def server_of(source: str) -> dict[str, Any]:
    (container,) = pod_of(source)["spec"]["containers"]
    return dict(container)


def options(source: str) -> dict[str, str]:
    split = (argument.removeprefix("--").partition("=") for argument in server_of(source)["args"])
    return {name: value for name, _, value in split}


@pytest.mark.parametrize("source", [DEPLOYMENT, KSERVE])
def test_the_pod_has_the_schema_of_every_release(source: str) -> None:
    validate(json.dumps(pod_of(source)))


def test_deployment_and_service_have_the_schema_of_every_release() -> None:
    for document in load(DEPLOYMENT):
        for release in RELEASES:
            kubernetes_validate.validate(document, release, strict=True)


@pytest.mark.parametrize("source", [DEPLOYMENT, KSERVE])
def test_the_pod_breaks_no_rule_and_is_restricted(source: str) -> None:
    services = of_kind(load(source), "Service")
    assert faults([pod_of(source), *services], SECRET) == []
    assert breaches(pod_of(source)["spec"]) == []
    assert pod_of(source)["spec"]["automountServiceAccountToken"] is False


def test_the_deployment_finds_its_own_pods() -> None:
    (deployment,) = of_kind(load(DEPLOYMENT), "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("source", [DEPLOYMENT, KSERVE])
def test_vllm_serves_base_and_adapter_at_a_commit(source: str) -> None:
    assert server_of(source)["command"][:2] == ["vllm", "serve"]
    found = options(source)
    assert found["lora-modules"] == f"grpo={ADAPTER[source]}"
    assert "enable-lora" in found
    assert len(found["revision"]) == 40
    assert found["generation-config"] == "vllm"
    ports = [port["containerPort"] for port in server_of(source)["ports"]]
    assert ports == [int(found["port"])]


def test_both_serve_with_the_same_options() -> None:
    own = {"port", "lora-modules"}
    deployed, served = options(DEPLOYMENT), options(KSERVE)
    assert deployed.keys() == served.keys()
    assert {name for name in deployed if deployed[name] != served[name]} == own
    assert server_of(DEPLOYMENT)["image"] == server_of(KSERVE)["image"]


def test_the_adapter_is_downloaded_at_a_commit_to_where_vllm_reads_it() -> None:
    (first,) = pod_of(DEPLOYMENT)["spec"]["initContainers"]
    revision = first["command"][first["command"].index("--revision") + 1]
    assert len(revision) == 40
    assert first["args"][:2] == ["--local-dir", ADAPTER[DEPLOYMENT]]
    (uri,) = [one["value"] for one in server_of(KSERVE)["env"] if one["name"] == "STORAGE_URI"]
    assert uri == f"hf://OWNER/ADAPTER:{revision}"
