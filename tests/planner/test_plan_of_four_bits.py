"""How vLLM decodes when training holds the base in 4 bits: from 16-bit weights of its own, or from the same 4 bits."""

from dataclasses import replace
from typing import Any

import pytest

from grpo_job.planner.plan import Plan
from grpo_job.planner.shapes import GB, ModelShape
from tests.planner.test_plan import CONFIGS, GPUS, SHAPES, SIZES, tutorial, with_batch

ROOMY = 0.85


def in_4_bits(name: str, size: str, **changes: Any) -> Plan:
    return tutorial(GPUS[name], SHAPES[size], load_in_4bit=True, **changes)


@pytest.mark.parametrize(
    ("name", "size", "dequantizes"),
    [
        ("L4", "3B", True), ("L4", "7B", False), ("A100-80", "7B", True), ("A100-80", "14B", True),
        ("H200", "3B", True), ("H200", "14B", True), ("T4", "7B", False),
    ],
)  # fmt: skip
def test_vllm_decodes_from_16_bits_where_they_fit(name: str, size: str, dequantizes: bool) -> None:
    chosen = in_4_bits(name, size)
    assert chosen.load_in_4bit
    assert chosen.dequantizes == dequantizes
    assert chosen.weight_sync == ("copy" if dequantizes else "lora")
    assert chosen.rollout_weights == ("rounded" if dequantizes else "lora")
    assert not chosen.merged_rollout


def test_the_copy_costs_the_weights_in_16_bits_and_in_4() -> None:
    shape, chosen = SHAPES["3B"], in_4_bits("H200", "3B")
    assert chosen.memory.weights == shape.weights(in_4bit=False)
    assert chosen.memory.training_copy == shape.weights(in_4bit=True)
    kept = in_4_bits("H200", "3B", rollout_weights="lora").memory
    assert (kept.weights, kept.training_copy) == (shape.weights(in_4bit=True), 0.0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", GPUS)
@pytest.mark.parametrize("completions", [4, 64])
def test_a_copy_leaves_room(name: str, size: str, completions: int) -> None:
    chosen = in_4_bits(name, size, **with_batch(completions))
    assert not chosen.dequantizes or chosen.memory.total <= ROOMY * GPUS[name].memory


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)
def test_four_bits_for_want_of_memory_are_those_of_vllm_too(gpu: Any, size: str) -> None:
    """Where 16 bits fit a second time, they fit once."""
    assert not tutorial(gpu, SHAPES[size]).dequantizes


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rollout_weights": "lora"}, "the settings leave no other way"),
        ({"standby": True}, "the settings leave no other way"),
        ({"gpu_memory_utilization": 0.04}, "vLLM has no room for 6.2 GB of 16-bit weights"),
        ({"most_bytes": 9 * GB}, "vLLM has no room for 6.2 GB of 16-bit weights"),
    ],
)
def test_the_way_of_4_bits_remains(changes: dict[str, Any], why: str) -> None:
    chosen = in_4_bits("H200", "3B", **changes)
    assert (chosen.weight_sync, chosen.dequantizes) == ("lora", False)
    assert [choice.reason for choice in chosen.choices if choice.name == "weight_sync"] == [
        f"{why}; vLLM's kernels read the 4-bit base and apply the adapter"
    ]


def test_a_checkpoint_without_16_bits_has_none_for_vllm() -> None:
    config = {**CONFIGS["3B"], "quantization_config": {"quant_method": "bitsandbytes"}}
    chosen = tutorial(GPUS["H200"], ModelShape.from_config(config), load_in_4bit=True)
    assert chosen.weight_sync == "lora"
    assert any("the checkpoint has no 16-bit weights for vLLM" in line for line in chosen.lines())
    assert replace(SHAPES["3B"], quantized=True) == ModelShape.from_config(config)


@pytest.mark.parametrize("way", ["folded", "rounded"])
def test_the_copy_takes_the_adapter_as_asked_and_says_why_it_is_there(way: str) -> None:
    chosen = in_4_bits("H200", "3B", rollout_weights=way)
    assert (chosen.weight_sync, chosen.rollout_weights) == ("copy", way)
    why = "vLLM has room for the base in 16 bits (6.2 GB), from which it decodes fast"
    assert f"weight_sync: copy ({why})" in chosen.lines()


def test_training_in_4_bits_is_not_replayed_from_graphs() -> None:
    chosen = in_4_bits("H200", "3B")
    assert not chosen.training_graphs
    assert "training_graphs: False (training has no 16-bit weights of its own)" in chosen.lines()


@pytest.mark.parametrize("processes", [1, 2])
def test_an_engine_with_a_base_of_its_own_dequantizes_always(processes: int) -> None:
    chosen = in_4_bits("H200", "3B", separate_base=processes)
    assert chosen.dequantizes
    assert chosen.memory.weights == SHAPES["3B"].weights(in_4bit=False)
