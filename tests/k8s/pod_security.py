"""The Pod Security Standard `restricted`, field by field, for Linux pods. Pure: the fields that break it.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}  # fmt: skip
SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SECCOMP = {"RuntimeDefault", "Localhost"}


def breaches(spec: dict[str, Any]) -> list[str]:
    """Every field of a pod's spec that a namespace enforcing `restricted` refuses."""
    return [*_pod(spec), *(field for container in _containers(spec) for field in _container(container, spec))]


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for key in ("containers", "initContainers", "ephemeralContainers") for one in spec.get(key, ())]


def _pod(spec: dict[str, Any]) -> Iterator[str]:
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    for volume in spec.get("volumes", ()):
        yield from (f"volumes.{source}" for source in volume.keys() - VOLUMES - {"name"})
    context = spec.get("securityContext", {})
    yield from (f"sysctls.{one['name']}" for one in context.get("sysctls", ()) if one["name"] not in SYSCTLS)
    yield from _either(context)


def _container(container: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    pod, own = spec.get("securityContext", {}), container.get("securityContext", {})
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()):
        yield "capabilities.drop"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot"
    if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in SECCOMP:
        yield "seccompProfile"
    yield from ("hostPort" for port in container.get("ports", ()) if port.get("hostPort"))
    yield from _hosts_of_probes(container)
    yield from _either(own)


def _either(context: dict[str, Any]) -> Iterator[str]:
    """What is refused in a pod's security context and in a container's alike."""
    if context.get("runAsUser") == 0:
        yield "runAsUser"
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot"
    if context.get("seccompProfile", {}).get("type", "RuntimeDefault") not in SECCOMP:
        yield "seccompProfile"
    if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in SECCOMP:
        yield "appArmorProfile"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield "windowsOptions.hostProcess"


def _hosts_of_probes(container: dict[str, Any]) -> Iterator[str]:
    hooks = container.get("lifecycle", {})
    probes = [container.get(name, {}) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    for probe in (*probes, hooks.get("postStart", {}), hooks.get("preStop", {})):
        yield from ("probe.host" for way in ("httpGet", "tcpSocket") if probe.get(way, {}).get("host"))
