"""The world that the checks look at."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import datasets
import pytest

from tests.preflight.world import World
from tests.servers.fixtures import (  # noqa: F401
    as_the_door_sets_it,
    hub,
    no_waiting,
    one_process_for_equal_prompts,
    one_reading_of_boto3s_models,
    s3,
    s3_server,
)
from tests.servers.hub import HubServer


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    with ExitStack() as servers:
        yield World(tmp_path, monkeypatch, lambda: servers.enter_context(HubServer()))
