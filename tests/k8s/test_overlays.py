"""What each overlay changes, leaf by leaf, and nothing else. And the copies that are none."""

import doctest
from typing import Any

import pytest

from tests.k8s.manifests import K8S, OVERLAYS, Document, all_leaves, job_of_trainjob, jobs, leaves, load, of_kind
from tools import assemble_manifests

JOB = "Job/grpo-gsm8k: "
POD = f"{JOB}spec.template.spec."
BOX = f"{POD}containers[grpo-job]."
SETTINGS = "ConfigMap/grpo-gsm8k: data."
TERMS = f"{POD}affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
GONE = None  # stands in the base, and not in the overlay


def toleration(key: str, value: str) -> dict[str, str]:
    at = f"{POD}tolerations[{key}]."
    return {f"{at}key": key, f"{at}operator": "Equal", f"{at}value": value, f"{at}effect": "NoSchedule"}


def only_on(number: int, key: str, value: str) -> dict[str, Any]:
    at = f"{TERMS}[{number}].matchExpressions[{key}]."
    return {f"{at}key": key, f"{at}operator": "In", f"{at}values": [value]}


def variable(name: str, **fields: str) -> dict[str, str]:
    at = f"{BOX}env[{name}]."
    return {f"{at}name": name, **{f"{at}{field.replace('__', '.')}": value for field, value in fields.items()}}


def resources(cpu: str, memory: str, gpus: str, shm: str) -> dict[str, str]:
    return {
        f"{BOX}resources.requests.cpu": cpu,
        f"{BOX}resources.requests.memory": memory,
        f"{BOX}resources.limits.memory": memory,
        f"{BOX}resources.limits.nvidia.com/gpu": gpus,
        f"{POD}volumes[shm].emptyDir.sizeLimit": shm,
    }


S3 = {
    f"{SETTINGS}GRPO_PUBLISH_TO": "s3://your-bucket/adapters",
    f"{SETTINGS}GRPO_CHECKPOINT_TO": "s3://your-bucket/checkpoints",
    f"{SETTINGS}AWS_DEFAULT_REGION": "us-east-1",
}
FOUR_GPUS = resources("16", "64Gi", "4", "16Gi")
SERVICE = "Service/grpo-gsm8k: "


def ranks_policy() -> dict[str, Any]:
    """Rendered as it is written; its rules are tested in `test_rules.py`."""
    (policy,) = load("components/multi-node/networkpolicy.yaml")
    return policy


INTENDED: dict[str, dict[str, Any]] = {
    "hub": {f"{SETTINGS}GRPO_PUBLISH_TO": "hf://your-name/qwen2.5-3b-gsm8k"},
    "s3": S3,
    "spot": {
        **S3,
        f"{SETTINGS}GRPO_SAVE_STEPS": "10",
        f"{SETTINGS}GRPO_SAVE_MINUTES": "2",
        f"{BOX}env[GRPO_GRACE_SECONDS].value": "12",
        f"{POD}terminationGracePeriodSeconds": 15,
        **toleration("cloud.google.com/gke-spot", "true"),
        **toleration("kubernetes.azure.com/scalesetpriority", "spot"),
        **only_on(0, "cloud.google.com/gke-spot", "true"),
        **only_on(1, "eks.amazonaws.com/capacityType", "SPOT"),
        **only_on(2, "karpenter.sh/capacity-type", "spot"),
        **only_on(3, "kubernetes.azure.com/scalesetpriority", "spot"),
    },
    "kueue": {f"{JOB}metadata.labels.kueue.x-k8s.io/queue-name": "grpo", f"{JOB}spec.suspend": True},
    "multi-gpu": FOUR_GPUS,
    "multi-node": {
        **FOUR_GPUS,
        f"{JOB}spec.completionMode": "Indexed",
        f"{JOB}spec.completions": 2,
        f"{JOB}spec.parallelism": 2,
        f"{JOB}spec.backoffLimit": 7,
        f"{POD}subdomain": "grpo-gsm8k",
        **variable("PET_NNODES", value="2"),
        **variable(
            "PET_NODE_RANK",
            valueFrom__fieldRef__fieldPath="metadata.labels['batch.kubernetes.io/job-completion-index']",
        ),
        **variable("PET_MASTER_ADDR", value="grpo-gsm8k-0.grpo-gsm8k"),
        **variable("PET_MASTER_PORT", value="29500"),
        f"{BOX}ports[rendezvous].name": "rendezvous",
        f"{BOX}ports[rendezvous].containerPort": 29500,
        "PersistentVolumeClaim/grpo-job-cache: spec.accessModes": ["ReadWriteMany"],
        "PersistentVolumeClaim/grpo-job-outputs: spec.accessModes": ["ReadWriteMany"],
        f"{SERVICE}apiVersion": "v1",
        f"{SERVICE}kind": "Service",
        f"{SERVICE}metadata.name": "grpo-gsm8k",
        f"{SERVICE}metadata.labels.app.kubernetes.io/name": "grpo-job",
        f"{SERVICE}metadata.labels.app.kubernetes.io/instance": "grpo-gsm8k",
        f"{SERVICE}metadata.labels.app.kubernetes.io/part-of": "grpo-job",
        f"{SERVICE}spec.clusterIP": "None",
        f"{SERVICE}spec.publishNotReadyAddresses": True,
        f"{SERVICE}spec.selector.batch.kubernetes.io/job-name": "grpo-gsm8k",
        f"{SERVICE}spec.ports[rendezvous].name": "rendezvous",
        f"{SERVICE}spec.ports[rendezvous].port": 29500,
        **{f"NetworkPolicy/grpo-gsm8k: {path}": value for path, value in leaves(ranks_policy()).items()},
    },
    "gke": {f"{POD}nodeSelector.cloud.google.com/gke-accelerator": "nvidia-l4"},
    "eks": {
        "PersistentVolumeClaim/grpo-job-cache: spec.storageClassName": "gp2",
        "PersistentVolumeClaim/grpo-job-outputs: spec.storageClassName": "gp2",
    },
    "aks": toleration("sku", "gpu"),
}


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The leaves of `after` that are other than in `before`; `GONE` for those that are no more."""
    return {path: after.get(path, GONE) for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def test_every_overlay_is_spoken_for() -> None:
    assert [f"overlays/{name}" for name in sorted(INTENDED)] == OVERLAYS


@pytest.mark.parametrize("name", INTENDED)
def test_an_overlay_changes_what_is_intended_and_nothing_else(name: str) -> None:
    assert differences(all_leaves(load("base")), all_leaves(load(f"overlays/{name}"))) == INTENDED[name]


@pytest.mark.parametrize("source", OVERLAYS)
def test_an_overlay_is_the_base_and_components_without_a_copy(source: str) -> None:
    (kustomization,) = load(f"{source}/kustomization.yaml")
    assert kustomization.keys() == {"apiVersion", "kind", "resources", "components"}
    assert kustomization["resources"] == ["../../base"]


def test_job_yaml_is_made_of_the_base() -> None:
    assert (K8S / "job.yaml").read_text() == assemble_manifests.job(), "run `python -m tools.assemble_manifests`"
    assert doctest.testmod(assemble_manifests).failed == 0


def test_job_yaml_is_what_kustomize_renders_from_the_base() -> None:
    assert all_leaves(load("job.yaml")) == all_leaves(load("base"))


def of_job(job: Document, container: str = "grpo-job") -> dict[str, Any]:
    return {path.replace(f"[{container}]", "[]"): value for path, value in leaves(job["spec"]).items()}


CHECKED_OTHERWISE = (
    "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "template.metadata.annotations",
    "template.metadata.labels.app.kubernetes.io/component", "template.spec.containers[].args",
    "template.spec.containers[].env[GRPO_GRACE_SECONDS]", "template.spec.containers[].env[GRPO_METRICS_PORT]",
    "template.spec.containers[].image", "template.spec.containers[].livenessProbe", "template.spec.containers[].ports",
    "template.spec.containers[].resources", "template.spec.containers[].volumeMounts[shm]",
    "template.spec.securityContext.fsGroupChangePolicy", "template.spec.terminationGracePeriodSeconds",
    "template.spec.tolerations", "template.spec.volumes",
)  # fmt: skip


def test_the_check_is_the_job_but_for_what_a_check_does_not_need() -> None:
    (job,), (check,) = jobs("job.yaml"), jobs("check-job.yaml")
    for path in differences(of_job(job), of_job(check)):
        assert path.startswith(CHECKED_OTHERWISE), path
    assert of_job(check)["template.spec.containers[].args"] == ["check"]


def test_the_smoke_job_is_the_check_but_for_its_settings_its_size_and_its_secrets() -> None:
    (check,), (smoke,) = jobs("check-job.yaml"), jobs("smoke-job.yaml")
    otherwise = (
        "activeDeadlineSeconds", "template.metadata.labels", "template.spec.containers[].args",
        "template.spec.containers[].env", "template.spec.containers[].resources",
        "template.spec.containers[].volumeMounts[credentials]", "template.spec.serviceAccountName",
        "template.spec.terminationGracePeriodSeconds", "template.spec.volumes[credentials]",
    )  # fmt: skip
    for path in differences(of_job(check), of_job(smoke)):
        assert path.startswith(otherwise), path


def test_the_job_that_kubeflow_makes_is_the_job() -> None:
    (job,), made = jobs("job.yaml"), job_of_trainjob(load("others/kubeflow-trainjob.yaml"))
    otherwise = (
        "ttlSecondsAfterFinished", "template.metadata", "podFailurePolicy.rules[0].onExitCodes.containerName",
        "podFailurePolicy.rules[1].onExitCodes.containerName", "podFailurePolicy.rules[2].onExitCodes.containerName",
        "template.spec.containers[].name", "template.spec.containers[].env[GRPO_RUN_ID]",
    )  # fmt: skip
    for path in differences(of_job(job), of_job(made, "node")):
        assert path.startswith(otherwise), path


def test_the_results_pod_sees_the_volume_of_outputs_and_no_gpu() -> None:
    (pod,) = of_kind(load("results-pod.yaml"), "Pod")
    (job,) = jobs("job.yaml")
    claims = {volume["name"]: volume.get("persistentVolumeClaim") for volume in pod["spec"]["volumes"]}
    assert claims["outputs"] in [
        volume.get("persistentVolumeClaim") for volume in job["spec"]["template"]["spec"]["volumes"]
    ]
    assert "nvidia.com/gpu" not in str(pod["spec"]["containers"])
