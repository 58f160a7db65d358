"""The estimate against the runs that its constants were fitted to: within half and double."""

import pytest

from grpo_job.inputs import base_model
from grpo_job.planner import choose
from grpo_job.planner.shapes import ModelShape
from grpo_job.preflight import estimate
from grpo_job.runtime.machine import GpuSeen
from grpo_job.settings.reader import resolve

QWEN_3B = {
    "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 11008, "model_type": "qwen2",
    "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2, "tie_word_embeddings": True,
}  # fmt: skip
H200 = GpuSeen("NVIDIA H200", "GPU-1", 143771, 1, "580.65.06", (9, 0))


def of(recipe: str, config: dict[str, object], engine: str, gpu: GpuSeen | None, **given: str) -> estimate.Estimate:
    named = {f"GRPO_{name.upper()}": value for name, value in given.items()}
    settings = resolve({"GRPO_RECIPE": recipe, **named}).settings
    plan = choose.plan(settings, config, gpu) if gpu else None
    steps = settings.max_steps
    return estimate.of_run(settings, ModelShape.from_config(config), engine, gpu, plan, steps)


def test_the_sample_on_two_cores() -> None:
    guess = of("smoke", base_model.fetch("sample", None).config(), "trl", None)
    assert 0.6 / 2 <= guess.step <= 0.88 * 2
    assert 30 <= guess.total <= 120


def test_a_slower_gpu_takes_longer_and_an_unknown_one_is_no_fault() -> None:
    l4 = GpuSeen("NVIDIA L4", "GPU-1", 23034, 1, "580.65.06", (8, 9))
    odd = l4._replace(name="NVIDIA Something")
    times = [of("gsm8k", QWEN_3B, "trl", gpu).step for gpu in (H200, odd, l4)]
    assert times == sorted(times)


def test_money_is_told_where_there_is_a_price_and_it_is_called_an_estimate() -> None:
    settings = resolve({"GRPO_PRICE_PER_HOUR": "3.6"}).settings
    found = estimate.findings(estimate.Estimate(100, 50, 1.0, 800), settings)
    assert found[0].sentence == (
        "estimate: about 16.7 min, about 1.00 US dollars (could be off by 2x): start 1.7 min, 800 steps of 1.0 s, "
        "two evaluations of 50 s each"
    )


@pytest.mark.parametrize(("hours", "status"), [("1", "passed"), ("0.1", "warned"), ("0.01", "failed")])
def test_a_budget_is_held_against_the_estimate(hours: str, status: str) -> None:
    settings = resolve({"GRPO_MAX_HOURS": hours}).settings
    found = estimate.findings(estimate.Estimate(100, 50, 1.0, 800), settings)
    assert [(finding.name, finding.status) for finding in found] == [("time and cost", "passed"), ("budget", status)]


def test_what_dynamic_sampling_may_take_is_told() -> None:
    settings = resolve({"GRPO_DYNAMIC_SAMPLING": "2"}).settings
    found = estimate.findings(estimate.Estimate(100, 50, 1.0, 800), settings)
    assert found[0].sentence.endswith("; GRPO_DYNAMIC_SAMPLING=2 generates up to 384 completions instead of 128")
