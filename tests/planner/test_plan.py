"""The plan over GPUs from 16 to 141 GB and Qwen2.5 shapes from 0.5 to 14 billion parameters."""

import json
from typing import Any

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.candidates import Work
from grpo_job.planner.plan import Plan, plan
from grpo_job.planner.shapes import GB, Gpu, ModelShape
from grpo_job.planner.wishes import Wishes

# Totals as torch reports them, a little under the name on the box.
GPUS = {
    "T4": Gpu("Tesla T4", 15.6 * GB, (7, 5)),
    "L4": Gpu("NVIDIA L4", 23.6 * GB, (8, 9)),
    "A10G": Gpu("NVIDIA A10G", 23.6 * GB, (8, 6)),
    "A100-40": Gpu("NVIDIA A100-SXM4-40GB", 42.3 * GB, (8, 0)),
    "A100-80": Gpu("NVIDIA A100-SXM4-80GB", 85.1 * GB, (8, 0)),
    "H100": Gpu("NVIDIA H100 80GB HBM3", 85.0 * GB, (9, 0)),
    "H200": Gpu("NVIDIA H200", 150.1 * GB, (9, 0)),
}


def _qwen(
    hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int, vocabulary: int, tied: bool
) -> dict[str, Any]:
    return {
        "model_type": "qwen2", "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
    }  # fmt: skip


CONFIGS = {
    "0.5B": _qwen(896, 4864, 24, 14, 2, 151936, True),
    "1.5B": _qwen(1536, 8960, 28, 12, 2, 151936, True),
    "3B": _qwen(2048, 11008, 36, 16, 2, 151936, True),
    "7B": _qwen(3584, 18944, 28, 28, 4, 152064, False),
    "14B": _qwen(5120, 13824, 48, 40, 8, 152064, False),
}
SIZES = list(CONFIGS)
# For several GPUs.
LARGE = {"32B": _qwen(5120, 27648, 64, 40, 8, 152064, False), "72B": _qwen(8192, 29568, 80, 64, 8, 152064, False)}
SHAPES = {name: ModelShape.from_config(config) for name, config in (CONFIGS | LARGE).items()}
BY_MEMORY = sorted(GPUS.values(), key=lambda gpu: gpu.memory)

TUTORIAL: dict[str, Any] = {
    "max_seq_length": 1024, "max_prompt_length": 256, "max_completion_length": 200, "completions": 4,
    "micro_batch_limit": 4, "lora_rank": 8, "max_steps": 250,
}  # fmt: skip


def tutorial(
    gpu: Gpu, shape: ModelShape, *, most_bytes: float | None = None, separate_base: int = 0, **changes: Any
) -> Plan:
    work = Work(**{**TUTORIAL, **{name: value for name, value in changes.items() if name in TUTORIAL}})
    wishes = Wishes(**{name: value for name, value in changes.items() if name not in TUTORIAL})
    return plan(gpu, shape, work, wishes, most_bytes=most_bytes, separate_base=separate_base)


def with_batch(completions: int) -> dict[str, int]:
    return {"completions": completions, "micro_batch_limit": completions}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)
@pytest.mark.parametrize("completions", [4, 64])
def test_every_plan_fits_and_agrees_with_itself(gpu: Gpu, size: str, completions: int) -> None:
    chosen = tutorial(gpu, SHAPES[size], **with_batch(completions))
    assert chosen.memory.total <= chosen.budget < gpu.memory
    assert chosen.micro_batch_size * chosen.micro_steps == completions
    assert chosen.kv_cache_bytes >= TUTORIAL["max_seq_length"] * SHAPES[size].kv_bytes_per_token
    assert chosen.max_num_seqs <= chosen.max_num_batched_tokens
    assert 0 < chosen.gpu_memory_utilization <= 0.95
    assert chosen.gpu_memory_utilization * gpu.memory >= chosen.memory.vllm
    assert (chosen.weight_sync == "lora") == chosen.load_in_4bit
    assert chosen.merged_rollout == (chosen.weight_sync == "merge")


@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)
def test_bf16_arithmetic_needs_ampere(gpu: Gpu) -> None:
    assert tutorial(gpu, SHAPES["1.5B"]).dtype == ("float16" if gpu.name == "Tesla T4" else "bfloat16")


@pytest.mark.parametrize("size", ["0.5B", "1.5B", "3B"])
@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)
def test_up_to_3b_the_base_keeps_16_bits_everywhere(gpu: Gpu, size: str) -> None:
    assert not tutorial(gpu, SHAPES[size]).load_in_4bit


@pytest.mark.parametrize(("name", "size"), [("T4", "7B"), ("T4", "14B"), ("L4", "14B"), ("A10G", "14B")])
def test_a_base_that_16_bits_make_too_large_is_held_in_4(name: str, size: str) -> None:
    assert tutorial(GPUS[name], SHAPES[size]).load_in_4bit


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["H200"])
def test_a_large_gpu_gives_nothing_away_for_memory(name: str, size: str) -> None:
    chosen = tutorial(GPUS[name], SHAPES[size])
    assert (chosen.load_in_4bit, chosen.weight_sync) == (False, "copy")
    assert (chosen.gradient_checkpointing, chosen.standby, chosen.micro_steps) == (False, False, 1)


@pytest.mark.parametrize("size", SIZES)
def test_more_memory_never_makes_a_plan_worse(size: str) -> None:
    def sacrifices(gpu: Gpu) -> tuple[bool, bool, bool]:
        chosen = tutorial(gpu, SHAPES[size])
        return chosen.load_in_4bit, chosen.standby, chosen.weight_sync != "copy"

    found = [sacrifices(gpu) for gpu in BY_MEMORY]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)
def test_a_larger_model_never_needs_less_memory_of_vllm(gpu: Gpu) -> None:
    held = {"load_in_4bit": True, "rollout_weights": "lora"}
    weights = [tutorial(gpu, SHAPES[size], **held).memory.weights for size in SIZES]
    assert weights == sorted(weights)


@pytest.mark.parametrize("completions", [4, 16, 64, 128])
def test_a_larger_batch_needs_more_memory_or_smaller_micro_batches(completions: int) -> None:
    small, large = (tutorial(GPUS["H200"], SHAPES["3B"], **with_batch(size)) for size in (completions, 2 * completions))
    assert large.memory.total > small.memory.total or large.micro_steps > small.micro_steps


def test_a_short_memory_splits_the_batch_into_divisors_of_it() -> None:
    chosen = tutorial(GPUS["L4"], SHAPES["7B"], **with_batch(96))
    assert chosen.micro_steps > 1
    assert 96 % chosen.micro_batch_size == 0


def test_the_micro_batch_is_never_above_what_was_given() -> None:
    chosen = tutorial(GPUS["H200"], SHAPES["0.5B"], completions=64, micro_batch_limit=8)
    assert (chosen.micro_batch_size, chosen.micro_steps) == (8, 8)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("load_in_4bit", True), ("load_in_4bit", False), ("gradient_checkpointing", True),
        ("gradient_checkpointing", False), ("standby", True), ("standby", False), ("gpu_memory_utilization", 0.5),
    ],
)  # fmt: skip
def test_a_given_value_wins_and_is_marked_as_given(name: str, value: Any) -> None:
    chosen = tutorial(GPUS["H200"], SHAPES["3B"], **{name: value})
    assert getattr(chosen, name) == value
    assert [choice.value for choice in chosen.choices if choice.name == name and choice.given] == [value]


def test_every_choice_has_a_reason() -> None:
    chosen = tutorial(GPUS["A10G"], SHAPES["7B"])
    assert all(choice.reason for choice in chosen.choices)
    named = {choice.name for choice in chosen.choices}
    assert {"load_in_4bit", "weight_sync", "gradient_checkpointing", "standby", "decode"} <= named


def test_the_estimate_of_the_tutorial_as_it_stands_is_near_what_was_measured() -> None:
    """133 GB at peak on an H200: 4-bit, standby, where Unsloth turns 0.9 into 0.879."""
    chosen = tutorial(
        GPUS["H200"], SHAPES["3B"], load_in_4bit=True, standby=True, gradient_checkpointing=True,
        gpu_memory_utilization=0.879,
    )  # fmt: skip
    assert chosen.memory.total / GB == pytest.approx(133, rel=0.05)


def test_the_estimate_in_16_bits_is_near_what_was_measured() -> None:
    """57 GB of PyTorch's allocator at a share of 0.35, without recomputation, with shared weights."""
    chosen = tutorial(
        GPUS["H200"],
        SHAPES["3B"],
        load_in_4bit=False,
        gradient_checkpointing=False,
        gpu_memory_utilization=0.35,
        training_graphs=False,
    )
    allocated = chosen.memory.total - chosen.memory.training_copy - chosen.memory.overhead
    assert allocated / GB == pytest.approx(57, rel=0.05)


def test_a_model_that_cannot_fit_is_refused_with_the_numbers() -> None:
    with pytest.raises(InvalidRun) as refused:
        tutorial(GPUS["T4"], SHAPES["14B"], load_in_4bit=False)
    text = str(refused.value)
    assert "14.8 billion parameters" in text
    assert "Tesla T4 has 15.6 GB" in text
    assert "weights   29.54 GB" in text
    assert "GRPO_LOAD_IN_4BIT=auto" in text


def test_a_share_that_leaves_no_room_for_one_row_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidRun, match=r"GRPO_VLLM_GPU_MEMORY_UTILIZATION: 0\.04 was given"):
        tutorial(GPUS["H200"], SHAPES["3B"], load_in_4bit=False, gpu_memory_utilization=0.04)


def test_a_share_that_leaves_training_no_room_is_refused() -> None:
    with pytest.raises(InvalidRun, match="GRPO_VLLM_GPU_MEMORY_UTILIZATION=auto"):
        tutorial(GPUS["L4"], SHAPES["7B"], gpu_memory_utilization=0.95, standby=False)


def test_rows_may_be_as_long_as_prompt_and_completion_together() -> None:
    short, long = (
        tutorial(GPUS["H200"], SHAPES["3B"], max_prompt_length=limit).memory.activations for limit in (256, 824)
    )
    assert long == pytest.approx(short * 1024 / 456)


@pytest.mark.parametrize(("steps", "decode"), [(1, "graphs"), (250, "graphs"), (5000, "compile")])
def test_compiling_waits_for_runs_that_repay_it(steps: int, decode: str) -> None:
    assert tutorial(GPUS["H200"], SHAPES["3B"], max_steps=steps).decode == decode


@pytest.mark.parametrize("completions", [1, 3, 4, 12, 64, 128])
def test_graphs_cover_one_sequence_up_to_all(completions: int) -> None:
    chosen = tutorial(GPUS["H200"], SHAPES["3B"], **with_batch(completions))
    assert chosen.capture_sizes[0] == 1
    assert chosen.capture_sizes[-1] == chosen.max_num_seqs >= completions
    assert list(chosen.capture_sizes) == sorted(set(chosen.capture_sizes))


def test_standby_overlaps_cache_and_activations_in_the_estimate() -> None:
    l4, batch = GPUS["L4"], with_batch(16)
    awake, asleep = (tutorial(l4, SHAPES["3B"], **batch, standby=value).memory for value in (False, True))
    assert asleep.total < asleep.vllm + asleep.lora + asleep.overhead + asleep.activations + asleep.logits
    assert awake.total >= awake.vllm + awake.activations


def test_the_plan_prints_its_reasons_and_survives_json() -> None:
    chosen = tutorial(GPUS["H200"], SHAPES["3B"])
    text = "\n".join(chosen.lines())
    assert "weight_sync: copy" in text
    assert "usable" in text
    stored = json.loads(json.dumps(chosen.as_dict()))
    assert stored["memory"]["total"] == chosen.memory.total
    assert stored["choices"][0]["reason"]
