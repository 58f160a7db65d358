"""What holds for every test."""

from collections.abc import Iterator

import pytest

from grpo_job.settings.redaction.redactor import REDACTOR


@pytest.fixture(autouse=True)
def secrets_of_one_test() -> Iterator[None]:
    """The redactor of the process forgets what a test made known to it, which would be hidden from the tests after."""
    known = REDACTOR.secrets
    yield
    if REDACTOR.secrets != known:
        REDACTOR.__init__(known)  # type: ignore[misc]
