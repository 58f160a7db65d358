"""The servers that mirrors and leases are tested against, and the clock of leases."""

from types import SimpleNamespace

import pytest

from tests.servers.fixtures import as_the_door_sets_it, hub, one_reading_of_boto3s_models, s3, s3_server

__all__ = ["as_the_door_sets_it", "hub", "one_reading_of_boto3s_models", "s3", "s3_server"]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of who waits for a lease, which passes only while it sleeps."""
    now = [0.0]
    slept = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr("grpo_job.checkpoints.lease.time", slept)
    return now
