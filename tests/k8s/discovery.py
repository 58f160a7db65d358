"""What a cluster answers where kubectl asks which kinds there are, and whether the server checks fields by itself."""

from typing import Any

Object = dict[str, Any]

KINDS = {
    "v1": {
        "ConfigMap": "configmaps", "Event": "events", "Namespace": "namespaces",
        "PersistentVolumeClaim": "persistentvolumeclaims", "Pod": "pods", "Secret": "secrets",
        "Service": "services", "ServiceAccount": "serviceaccounts",
    },
    "batch/v1": {"Job": "jobs"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    "monitoring.coreos.com/v1": {"PodMonitor": "podmonitors"},
}  # fmt: skip
PREFIX = {version: ("api/v1" if version == "v1" else f"apis/{version}") for version in KINDS}


def discovery(route: str) -> Object | None:
    """The page at this route; None where it is about none of that."""
    if route == "api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if route == "apis":
        names = [version for version in KINDS if version != "v1"]
        versions = [{"groupVersion": name, "version": name.rpartition("/")[2]} for name in names]
        groups = [
            {"name": one["groupVersion"].partition("/")[0], "versions": [one], "preferredVersion": one}
            for one in versions
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if route == "openapi/v3":
        return {"paths": {prefix: {"serverRelativeURL": f"/openapi/v3/{prefix}"} for prefix in PREFIX.values()}}
    for version, prefix in PREFIX.items():
        if route == prefix:
            return _resources(version)
        if route == f"openapi/v3/{prefix}":
            return _openapi(version)
    return None


def _resources(version: str) -> Object:
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    resources = [
        {"name": plural, "kind": kind, "namespaced": kind != "Namespace", "verbs": verbs, "singularName": kind.lower()}
        for kind, plural in KINDS[version].items()
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


def _openapi(version: str) -> Object:
    group, _, number = version.rpartition("/")
    field_validation = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    paths = {
        f"/{PREFIX[version]}/namespaces/{{namespace}}/{plural}/{{name}}": {
            "patch": {
                "x-kubernetes-group-version-kind": {"group": group, "version": number, "kind": kind},
                "parameters": field_validation,
                "responses": {},
            }
        }
        for kind, plural in KINDS[version].items()
    }
    return {"openapi": "3.0.0", "info": {"title": "cluster", "version": "1"}, "paths": paths}
