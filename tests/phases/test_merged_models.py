"""A merged model is published only beside the adapter that is in it, and only whole."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grpo_job import engines
from grpo_job.phases import publish
from grpo_job.phases.evaluate import keep
from grpo_job.run_folder.paths import WEIGHTS
from tests.phases.test_attempt import attempt_at


class Engine:
    def save_adapter(self, folder: Path) -> None:
        folder.mkdir()
        (folder / WEIGHTS).write_bytes(b"weights")


def test_the_model_with_an_earlier_adapter_goes_when_another_adapter_is_saved(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    attempt.folder.open().merged.mkdir()
    (attempt.folder.merged / "model.safetensors").write_bytes(b"of an earlier adapter")
    keep(Engine(), attempt)  # type: ignore[arg-type]
    assert not attempt.folder.merged.exists()


def test_a_merge_that_fails_half_way_leaves_nothing_that_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(base: Any, adapter: Path, folder: Path, dtype: str) -> None:
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError("full")

    monkeypatch.setattr(engines, "merge", half)
    attempt = attempt_at(tmp_path, publish_merged="true")
    attempt.folder.open()
    with pytest.raises(OSError, match="full"):
        publish.merge(attempt, SimpleNamespace(base=None))  # type: ignore[arg-type]
    assert not attempt.folder.merged.exists()
