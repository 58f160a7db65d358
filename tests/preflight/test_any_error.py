"""Whatever a client raises in a check is one finding that names the variable, and the other checks are still made."""

from collections.abc import Callable
from typing import Any

import pytest

from grpo_job.outcomes import Unexpected
from grpo_job.preflight.findings import Finding, Findings
from tests.preflight.world import World

# What is replaced by a function that raises, and the variable that its finding names.
PLACES = [
    ("grpo_job.inputs.base_model.fetch", "GRPO_MODEL: "),
    ("grpo_job.preflight.model.chat_of", "GRPO_MODEL: "),
    ("grpo_job.preflight.model.exists", "GRPO_MODEL: "),
    ("grpo_job.preflight.load_rewards", "GRPO_REWARDS: "),
    ("grpo_job.inputs.dataset.load", "GRPO_DATASET: "),
    ("grpo_job.preflight.row_checks.findings", "GRPO_DATASET: "),
    ("grpo_job.runtime.machine.gpus", "CUDA_VISIBLE_DEVICES: "),
    ("grpo_job.preflight.resources.needs", "GRPO_OUTPUT_DIR: "),
    ("grpo_job.stores.local.LocalStore.check", "GRPO_PUBLISH_TO: "),
]
ERRORS: list[Callable[[], Exception]] = [
    lambda: PermissionError(13, "Permission denied", "/home/other/.lock"),
    lambda: UnicodeDecodeError("utf-16", b"\xff", 0, 1, "truncated data"),
    lambda: ImportError("no socksio"),
    lambda: RuntimeError("Could not determine home directory."),
    lambda: KeyError("x"),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(("place", "variable"), PLACES)
def test_it_is_one_sentence_and_the_other_findings_are_shown(
    place: str, variable: str, error: Callable[[], Exception], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: Any, **__: Any) -> Any:
        raise error()

    monkeypatch.setattr(place, raises)
    world.set(PUBLISH_TO=f"file://{world.folder}/out", CHECKPOINT_TO="s3://bucket/runs")
    found = world.examine(offline=True)
    named = [finding for finding in found if finding.status == "failed" and finding.sentence.startswith(variable)]
    assert len(named) == 1
    assert "\n" not in named[0].sentence
    assert Finding("skipped", "destination", "s3://bucket/runs was not checked because of --offline") in found


def test_an_ending_of_the_run_is_no_finding() -> None:
    def hangs() -> None:
        raise Unexpected("nvidia-smi did not answer")

    with pytest.raises(Unexpected):
        Findings().attempt("GPU", hangs)
