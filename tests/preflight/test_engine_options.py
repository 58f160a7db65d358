"""An option that the chosen engine does not honour is refused before anything is loaded."""

import pytest

from grpo_job import preflight
from grpo_job.outcomes import InvalidRun
from grpo_job.preflight.engine_options import findings
from grpo_job.runtime import machine
from grpo_job.settings.reader import resolve

CORRECTED = {"GRPO_VLLM_IMPORTANCE_SAMPLING_CORRECTION": "true"}
ONLY_ON_A_GPU = [
    (CORRECTED, "GRPO_VLLM_IMPORTANCE_SAMPLING_CORRECTION acts on vLLM's rollouts"),
    ({"GRPO_GENERATION_KWARGS": '{"presence_penalty": 1}'}, "'presence_penalty' was given; allowed on a CPU: min_tok"),
    ({"GRPO_OPTIM": "lion_8bit"}, "GRPO_OPTIM=lion_8bit needs bitsandbytes and a GPU; allowed on a CPU: adafactor"),
]


@pytest.mark.parametrize(("given", "said"), ONLY_ON_A_GPU)
def test_what_only_a_gpu_honours_is_refused_on_a_cpu(given: dict[str, str], said: str) -> None:
    settings = resolve(given).settings
    (found,) = findings(settings, gpus=0)
    assert (found.status, found.name) == ("failed", "options")
    assert said in found.sentence
    assert findings(settings, gpus=1) == []


def test_what_both_honour_is_not_refused() -> None:
    given = {"GRPO_GENERATION_KWARGS": '{"min_tokens": 4}', "GRPO_OPTIM": "adamw_8bit", "GRPO_TOP_P": "0.9"}
    assert findings(resolve(given).settings, gpus=0) == []


def test_a_check_on_a_cpu_tells_them_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda visible: [])
    given = {"GRPO_RECIPE": "smoke", **CORRECTED, "GRPO_OPTIM": "lion_8bit"}
    with pytest.raises(InvalidRun) as refused:
        preflight.check(resolve(given).settings, {})
    assert [fault.split()[0] for fault in refused.value.faults] == [
        "GRPO_VLLM_IMPORTANCE_SAMPLING_CORRECTION", "GRPO_OPTIM=lion_8bit",
    ]  # fmt: skip
