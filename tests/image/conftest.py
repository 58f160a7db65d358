"""Volumes for a test, and the rule when these tests run: `make image-test` builds the image and names it to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.containers import AVAILABLE, Volumes

REASON = "GRPO_TEST_IMAGE names no image, or there is no CONTAINER_TOOL to run it: `make image-test`"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.path.name != "test_dockerfile.py":
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.skipif(not AVAILABLE, reason=REASON))


@pytest.fixture
def volumes() -> Iterator[Volumes]:
    made = Volumes()
    yield made
    made.close()
