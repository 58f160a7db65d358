"""How stores with S3's interface differ from S3, as rules for `FaultProxy` before moto: one function for each store.

A rule answers a request itself, or changes its headers and lets it pass. `docs/stores.md` has the same rows.
"""

import re
from email.message import Message

from tests.servers.fault_proxy import Rule

Answer = tuple[int, bytes] | None
REGIONS_OF_R2 = ("auto", "us-east-1", "wnam", "enam", "weur", "eeur", "apac", "oc")


def said(status: int, code: str, message: str) -> tuple[int, bytes]:
    return status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def has_checksum(headers: Message) -> bool:
    """A digest in a header, or one that follows the body in chunks (`aws-chunked`)."""
    names = [name.lower() for name in headers]
    chunked = "aws-chunked" in headers.get("Content-Encoding", "") or "STREAMING" in _digest(headers)
    return chunked or any(name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum")) for name in names if _sends(name))


def keeps_no_sha256(headers: Message) -> None:
    """Later it cannot tell one."""
    del headers["x-amz-checksum-mode"]


def cloudflare_r2() -> Rule:
    """Knows its own regions alone, and none of the trailers that carry checksums."""

    def rule(method: str, path: str, headers: Message) -> Answer:
        region = re.search(r"/\d{8}/([^/]+)/s3/", headers.get("Authorization", ""))
        if region and region[1] not in REGIONS_OF_R2:
            named = ", ".join(REGIONS_OF_R2[2:])
            return said(
                400, "InvalidRegionName", f"The region name '{region[1]}' is not valid. Must be one of: {named}"
            )
        keeps_no_sha256(headers)
        if method in ("PUT", "POST") and has_checksum(headers):
            return said(501, "NotImplemented", "STREAMING-UNSIGNED-PAYLOAD-TRAILER not implemented")
        return None

    return rule


def minio() -> Rule:
    """Answers 503 with a name of its own while it starts."""
    starting = iter([True, True])

    def rule(method: str, path: str, headers: Message) -> Answer:
        if next(starting, False):
            return said(503, "XMinioServerNotInitialized", "Server not initialized yet, please try again.")
        return None

    return rule


def old_minio() -> Rule:
    """Before conditional writes: the header is ignored."""

    def rule(method: str, path: str, headers: Message) -> Answer:
        del headers["If-None-Match"]
        return None

    return rule


def full_minio() -> Rule:
    def rule(method: str, path: str, headers: Message) -> Answer:
        full = "Storage backend has reached its minimum free drive threshold. Please delete a few objects to proceed."
        return said(507, "XMinioStorageFull", full) if method == "PUT" else None

    return rule


def ceph() -> Rule:
    """Takes the trailer for a part of the content, so that its digest is wrong; keeps no SHA-256."""

    def rule(method: str, path: str, headers: Message) -> Answer:
        keeps_no_sha256(headers)
        if method in ("PUT", "POST") and has_checksum(headers):
            return said(400, "XAmzContentSHA256Mismatch", "")
        return None

    return rule


def full_ceph() -> Rule:
    return lambda method, path, headers: said(403, "QuotaExceeded", "") if method == "PUT" else None


def google_cloud_storage() -> Rule:
    """Signs other headers than S3, and ignores conditions on writes."""

    def rule(method: str, path: str, headers: Message) -> Answer:
        keeps_no_sha256(headers)
        del headers["If-None-Match"]
        if method in ("PUT", "POST") and has_checksum(headers):
            return said(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
        return None

    return rule


def _digest(headers: Message) -> str:
    return str(headers.get("x-amz-content-sha256", ""))


def _sends(name: str) -> bool:
    return name != "x-amz-checksum-mode"
