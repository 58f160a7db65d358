"""The plan where each of several processes trains on a base of its own, and vLLM's weights may be spread over GPUs."""

from typing import Any

import pytest

from grpo_job.engines.gpu_plan import Plan
from grpo_job.engines.shapes import GB
from grpo_job.failures import Refused
from tests.engines.test_gpu_plan import GPUS, SHAPES, SIZES, tutorial, with_batch


def of_several(gpu: str, size: str, processes: int, **changes: Any) -> Plan:
    return tutorial(GPUS[gpu], SHAPES[size], apart=processes, **changes)


@pytest.mark.parametrize("processes", [2, 4, 8])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", GPUS)
def test_each_of_several_processes_trains_on_a_base_of_its_own_or_the_run_is_refused(
    name: str, size: str, processes: int
) -> None:
    try:
        chosen = of_several(name, size, processes)
    except Refused:
        assert GPUS[name].memory < 45 * GB
        return
    assert chosen.memory.total <= chosen.budget
    assert (chosen.hand_over, chosen.standby) == ("copy", False)
    assert processes % chosen.tensor_parallel == 0
    assert chosen.memory.training_copy == SHAPES[size].weights(in_4bit=chosen.load_in_4bit)
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
    assert chosen.load_in_4bit
    reasons = {choice.name: choice.reason for choice in chosen.choices}
    assert reasons["tensor_parallel"].endswith(f"{chosen.tensor_parallel} GPUs share them")


def test_transformers_own_layers_keep_more_than_unsloths() -> None:
    """64 of the longest rows at once, without recomputation, ran out of an H200's memory."""
    chosen = of_several("H200", "3B", 2, **with_batch(64))
    assert chosen.gradient_checkpointing or chosen.micro_batch_size < 64
    assert tutorial(GPUS["H200"], SHAPES["3B"], **with_batch(64)).micro_batch_size == 64


def test_heads_that_the_gpus_cannot_share_evenly_bound_the_spread() -> None:
    """28 heads: over 4 and 7 GPUs, and not over 8."""
    assert of_several("L4", "7B", 8).tensor_parallel in (2, 4)


def test_a_spread_cache_holds_the_sequences_of_all_its_processes() -> None:
    alone, spread = of_several("A100-80", "7B", 2, **with_batch(64)), of_several("L4", "7B", 2, **with_batch(64))
    assert spread.tensor_parallel == 2
    assert spread.max_num_seqs % 2 == 0
    assert alone.tensor_parallel == 1


def test_what_fits_no_number_of_its_gpus_is_refused_with_the_numbers() -> None:
    with pytest.raises(Refused, match=r"14\.8 billion parameters need at least"):
        of_several("T4", "14B", 2)
