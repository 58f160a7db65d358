"""Every pod keeps the Pod Security Standard `restricted`, and a few promises of our own."""

from copy import deepcopy
from typing import Any

import pytest

from tests.k8s.manifests import WITH_PODS, pods
from tests.k8s.pod_security import breaches


@pytest.mark.parametrize("source", WITH_PODS)
def test_every_pod_is_restricted(source: str) -> None:
    found = list(pods(source))
    assert found
    for pod in found:
        assert breaches(pod.spec) == []


@pytest.mark.parametrize("source", WITH_PODS)
def test_every_pod_keeps_away_from_the_cluster_and_its_own_root(source: str) -> None:
    for pod in pods(source):
        assert pod.spec["automountServiceAccountToken"] is False
        assert pod.spec["enableServiceLinks"] is False
        assert pod.container["securityContext"]["readOnlyRootFilesystem"] is True
        user = pod.spec["securityContext"]
        assert (user["runAsUser"], user["runAsGroup"]) == (10001, 0)  # the image's
        assert not {"serviceAccountToken", "hostPath"} & {key for volume in pod.spec["volumes"] for key in volume}


def pod(**changes: Any) -> dict[str, Any]:
    """A restricted pod with some fields of its spec, its context or its container set otherwise."""
    (good, *_) = pods("job.yaml")
    spec = deepcopy(good.spec)
    own: dict[str, Any] = spec["containers"][0]["securityContext"]
    for path, value in changes.items():
        where, _, field = path.partition("__")
        {"pod": spec, "context": spec["securityContext"], "container": spec["containers"][0], "own": own}[where][
            field
        ] = value
    return spec


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pod__hostNetwork": True}, "hostNetwork"),
        ({"pod__hostPID": True}, "hostPID"),
        ({"pod__hostIPC": True}, "hostIPC"),
        ({"pod__volumes": [{"name": "a", "hostPath": {"path": "/"}}]}, "volumes.hostPath"),
        ({"pod__volumes": [{"name": "a", "nfs": {}}]}, "volumes.nfs"),
        ({"pod__initContainers": [{"name": "a"}]}, "capabilities.drop"),
        ({"context__sysctls": [{"name": "kernel.msgmax", "value": "1"}]}, "sysctls.kernel.msgmax"),
        ({"context__runAsNonRoot": False}, "runAsNonRoot"),
        ({"context__runAsNonRoot": None}, "runAsNonRoot"),
        ({"context__runAsUser": 0}, "runAsUser"),
        ({"context__seccompProfile": {"type": "Unconfined"}}, "seccompProfile"),
        ({"context__seccompProfile": {}}, "seccompProfile"),
        ({"context__appArmorProfile": {"type": "Unconfined"}}, "appArmorProfile"),
        ({"context__seLinuxOptions": {"type": "spc_t"}}, "seLinuxOptions"),
        ({"context__seLinuxOptions": {"user": "root"}}, "seLinuxOptions"),
        ({"context__windowsOptions": {"hostProcess": True}}, "windowsOptions.hostProcess"),
        ({"own__privileged": True}, "privileged"),
        ({"own__allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
        ({"own__capabilities": {"drop": ["NET_RAW"]}}, "capabilities.drop"),
        ({"own__capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE"]}}, "capabilities.add"),
        ({"own__procMount": "Unmasked"}, "procMount"),
        ({"own__runAsUser": 0}, "runAsUser"),
        ({"own__runAsNonRoot": False}, "runAsNonRoot"),
        ({"own__seccompProfile": {"type": "Unconfined"}}, "seccompProfile"),
        ({"container__ports": [{"containerPort": 80, "hostPort": 80}]}, "hostPort"),
        ({"container__livenessProbe": {"httpGet": {"host": "10.0.0.1"}}}, "probe.host"),
        ({"container__lifecycle": {"preStop": {"tcpSocket": {"host": "10.0.0.1"}}}}, "probe.host"),
    ],
)
def test_each_field_that_breaks_the_standard_is_found(changes: dict[str, Any], field: str) -> None:
    assert field in breaches(pod(**changes))
