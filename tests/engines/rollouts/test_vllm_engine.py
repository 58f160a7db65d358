"""The arguments that vLLM is built with, without vLLM."""

from typing import Any

import pytest

from grpo_job.engines.rollouts.vllm_engine import among_ranks, separate_arguments, vllm_arguments
from grpo_job.settings.schema import Settings
from tests.planner.test_plan import CONFIGS, GPUS, SHAPES, tutorial


def test_only_among_several_ranks_vllm_finds_its_process_group() -> None:
    assert among_ranks(1) == {}
    assert among_ranks(2) == {"distributed_executor_backend": "external_launcher"}


@pytest.mark.parametrize(
    ("said", "off"),
    [
        ({"model_type": "mistral"}, True),
        ({"model_type": "phi3", "sliding_window": 2047}, True),
        ({"model_type": "mistral", "sliding_window": None}, False),
        ({"model_type": "gemma2"}, False),
        ({"model_type": "qwen2", "sliding_window": 32768, "use_sliding_window": False}, False),
    ],
)
def test_a_window_of_all_layers_is_switched_off(said: dict[str, Any], off: bool) -> None:
    plan = tutorial(GPUS["H200"], SHAPES["1.5B"])
    assert vllm_arguments(plan, Settings(), {**CONFIGS["1.5B"], **said})["disable_sliding_window"] is off


def test_a_vllm_that_loads_by_itself_has_16_bits_room_for_the_adapter_and_the_plans_graphs() -> None:
    plan = tutorial(GPUS["H200"], SHAPES["3B"], load_in_4bit=True)
    asked = separate_arguments(plan, Settings(lora_rank=24), CONFIGS["3B"])
    assert (asked["dtype"], asked["quantization"]) == ("bfloat16", None)
    assert (asked["enable_lora"], asked["max_lora_rank"]) == (True, 32)
    assert asked["kv_cache_memory_bytes"] == plan.kv_cache_bytes
    assert asked["compilation_config"]["cudagraph_capture_sizes"] == list(plan.capture_sizes)
