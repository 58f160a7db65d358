"""Every place that the run will write to is tried, and every fault told."""

from pathlib import Path

from grpo_job.preflight.destinations import Places
from grpo_job.settings.schema import Settings
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server


def test_every_destination_is_checked_and_every_fault_told(hub: HubServer, s3: S3Server, tmp_path: Path) -> None:
    good = ("hf://alice/adapter", "s3://bucket/models/adapter", f"file://{tmp_path}/published")
    bad = ("hf://bob/adapter", "s3://no-such-bucket")
    environment = {**s3.environment(), "HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token("alice")}
    places = Places(Settings(publish_to=(*good, *bad)), environment, offline=False)
    found = {finding.sentence: finding.status for finding in places.findings()}
    assert all(found[f"{uri}: read/write check passed"] == "passed" for uri in good)
    failed = [sentence for sentence, status in found.items() if status == "failed"]
    assert [sentence.split(": ")[:2] for sentence in failed] == [["GRPO_PUBLISH_TO", uri] for uri in bad]
