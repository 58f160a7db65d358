"""With which lock the installed packages are compared."""

import pytest

from grpo_job.preflight import versions
from grpo_job.runtime.locked_versions import locked
from grpo_job.settings.schema import Settings


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_what_is_installed_from_a_lock_differs_from_it_in_nothing_on_a_machine_without_a_gpu(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "installed", lambda: dict(locked()[kind]))
    assert [found.status for found in versions.findings("trl", 0, Settings())] == ["passed"]
