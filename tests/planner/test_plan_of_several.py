"""The plan of several processes, a GPU each: training's base and vLLM's on each GPU, or shared by them."""

from typing import Any

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.plan import ROOMY_SHARE, Plan
from grpo_job.planner.shapes import GB, Gpu
from tests.planner.test_plan import GPUS, SHAPES, SIZES, tutorial, with_batch


def of_several(gpu: str, size: str, processes: int, **changes: Any) -> Plan:
    return tutorial(GPUS[gpu], SHAPES[size], separate_base=processes, **changes)


@pytest.mark.parametrize("processes", [2, 4, 8])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", GPUS)
def test_each_of_several_processes_trains_on_a_base_of_its_own_or_a_part_of_one_or_is_refused(
    name: str, size: str, processes: int
) -> None:
    try:
        chosen = of_several(name, size, processes)
    except InvalidRun:
        assert GPUS[name].memory < 45 * GB
        assert processes < 8 or name == "T4"
        return
    assert chosen.memory.total <= chosen.budget
    assert (chosen.weight_sync, chosen.standby) == ("copy", False)
    assert processes % chosen.tensor_parallel == 0
    whole = SHAPES[size].weights(in_4bit=chosen.load_in_4bit)
    if chosen.base_shards == 1:
        assert chosen.memory.training_copy == whole
    else:
        assert (chosen.base_shards, chosen.load_in_4bit) == (processes, False)
        assert whole / processes < chosen.memory.training_copy < whole
    assert chosen.memory.weights == SHAPES[size].weights(in_4bit=False) / chosen.tensor_parallel


@pytest.mark.parametrize("name", ["H100", "H200"])
def test_a_model_that_fits_each_gpu_is_not_spread(name: str) -> None:
    chosen = of_several(name, "3B", 4)
    assert (chosen.tensor_parallel, chosen.load_in_4bit) == (1, False)
    assert not chosen.training_graphs


@pytest.mark.parametrize("name", ["L4", "A10G"])
@pytest.mark.parametrize(("size", "processes"), [("7B", 2), ("7B", 4), ("14B", 4)])
def test_a_model_that_does_not_fit_one_24_gb_gpu_is_spread_over_several(name: str, size: str, processes: int) -> None:
    chosen = of_several(name, size, processes)
    assert chosen.tensor_parallel > 1
    assert chosen.load_in_4bit or chosen.base_shards == processes
    reasons = {choice.name: choice.reason for choice in chosen.choices}
    assert reasons["tensor_parallel"].endswith(f"{chosen.tensor_parallel} GPUs share them")


@pytest.mark.parametrize(("gpu", "size", "processes"), [("L4", "7B", 4), ("A10G", "14B", 8), ("A100-40", "32B", 8)])
def test_a_base_that_fits_one_gpu_in_4_bits_alone_is_shared_in_16_where_there_are_enough(
    gpu: str, size: str, processes: int
) -> None:
    chosen = of_several(gpu, size, processes, **with_batch(16))
    assert (chosen.base_shards, chosen.load_in_4bit) == (processes, False)
    assert chosen.memory.total <= chosen.budget
    reasons = {choice.name: choice.reason for choice in chosen.choices}
    assert reasons["shard_base"].endswith(f"{processes} GPUs that shard the base for training: it does not fit on one")
    assert of_several(gpu, size, processes, **with_batch(16), shard_base=False).load_in_4bit


def test_parts_in_16_bits_are_taken_without_room_to_spare_where_all_in_4_does_not_fit() -> None:
    gpu = Gpu("58 GB", 58 * GB, (8, 9))
    chosen = tutorial(gpu, SHAPES["72B"], separate_base=8, **with_batch(32))
    assert (chosen.base_shards, chosen.tensor_parallel, chosen.load_in_4bit) == (8, 8, False)
    assert ROOMY_SHARE * gpu.memory < chosen.memory.total <= chosen.budget
    with pytest.raises(InvalidRun, match="GRPO_SHARD_BASE=auto"):
        tutorial(gpu, SHAPES["72B"], separate_base=8, **with_batch(32), shard_base=False)


@pytest.mark.parametrize("processes", [2, 4])
def test_a_base_is_shared_in_16_bits_where_the_user_says_so(processes: int) -> None:
    chosen = of_several("H200", "7B", processes, shard_base=True)
    assert (chosen.base_shards, chosen.load_in_4bit) == (processes, False)
    assert chosen.memory.training_copy < of_several("H200", "7B", processes).memory.training_copy
    assert next(choice.given for choice in chosen.choices if choice.name == "shard_base")


def test_transformers_own_layers_keep_more_than_unsloths() -> None:
    """64 of the longest rows at once, without recomputation, ran out of an H200's memory."""
    chosen = of_several("H200", "3B", 2, **with_batch(64))
    assert chosen.gradient_checkpointing or chosen.micro_batch_size < 64
    assert tutorial(GPUS["H200"], SHAPES["3B"], **with_batch(64)).micro_batch_size == 64


def test_heads_that_the_gpus_cannot_share_evenly_bound_the_spread() -> None:
    """28 heads: over 4 and 7 GPUs, and not over 8."""
    assert of_several("L4", "7B", 8).tensor_parallel in (2, 4)


def test_a_spread_cache_holds_the_sequences_of_all_its_processes() -> None:
    alone, tensor_parallel = (
        of_several("A100-80", "7B", 2, **with_batch(64)),
        of_several("L4", "7B", 2, **with_batch(64)),
    )
    assert tensor_parallel.tensor_parallel == 2
    assert tensor_parallel.max_num_seqs % 2 == 0
    assert alone.tensor_parallel == 1


def test_what_fits_no_number_of_its_gpus_is_refused_with_the_numbers() -> None:
    with pytest.raises(InvalidRun, match=r"14\.8 billion parameters need at least"):
        of_several("T4", "14B", 2)
