"""Endpoints of S3 and compatible stores as people write them."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from grpo_job.outcomes import InvalidRun

VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
# Domains below which a store has the bucket in the host name, beside all whose next label is `s3`.
BUCKET_IN_HOST = (
    "amazonaws.com", "amazonaws.com.cn", "backblazeb2.com", "digitaloceanspaces.com", "linodeobjects.com",
    "r2.cloudflarestorage.com", "storage.googleapis.com", "vultrobjects.com", "wasabisys.com",
)  # fmt: skip


def endpoint_of(environment: Mapping[str, str]) -> str | None:
    """The endpoint that the variables name; None leaves it to boto3."""
    return next((environment[name] for name in VARIABLES if environment.get(name)), None)


def require_without_bucket(bucket: str, environment: Mapping[str, str]) -> None:
    """Raises `InvalidRun` if the endpoint has the bucket in its path or host: the client adds it itself.

    Consoles show such addresses. Objects would arrive below `bucket/`, or not at all.
    """
    endpoint = endpoint_of(environment) or ""
    try:
        address = urlsplit(endpoint)
        host, port = address.hostname or "", f":{address.port}" if address.port else ""
    except ValueError:  # the client says what is wrong
        return
    path = address.path.rstrip("/")
    in_host = host.startswith(f"{bucket.lower()}.") and _names_buckets(host[len(bucket) + 1 :])
    if not in_host and path.rpartition("/")[2] != bucket:
        return
    variable = next(name for name in VARIABLES if environment.get(name))
    right_host = host[len(bucket) + 1 :] if in_host else host
    right_path = path.rpartition("/")[0] if path.rpartition("/")[2] == bucket else path
    given, right = f"{address.scheme}://{host}{port}{path}", f"{address.scheme}://{right_host}{port}{right_path}"
    raise InvalidRun(f"{variable}: {given} was given, which contains the bucket {bucket}; allowed: {right}")


def _names_buckets(host: str) -> bool:
    return host.startswith(("s3.", "s3-")) or any(f".{host}".endswith(f".{known}") for known in BUCKET_IN_HOST)
