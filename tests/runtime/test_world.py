"""How many processes a run has, seen from outside of the launcher and from inside."""

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.runtime.world import Layout, is_rank, layout, one_gpu
from grpo_job.settings.schema import Settings

MANY = Settings(per_device_train_batch_size=64)
MEETING = {"PET_NNODES": "2", "PET_NODE_RANK": "1", "PET_MASTER_ADDR": "first", "PET_MASTER_PORT": "29500"}
RANK = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("settings", "environment", "gpus", "expected"),
    [
        (MANY, {}, 0, Layout(1)),
        (MANY, {}, 1, Layout(1)),
        (MANY, {}, 4, Layout(4)),
        (MANY.model_copy(update={"processes": 1}), {}, 4, Layout(1)),
        (MANY.model_copy(update={"processes": 2}), {}, 0, Layout(2)),
        (MANY, MEETING, 4, Layout(4, nodes=2)),
        (MANY, {**MEETING, "PET_NPROC_PER_NODE": "gpu"}, 4, Layout(4, nodes=2)),
        (MANY, RANK, 2, Layout(2, nodes=2)),
        (MANY, {"RANK": "0", "WORLD_SIZE": "8"}, 4, Layout(4)),
    ],
)
def test_there_is_one_process_a_gpu_unless_something_else_was_said(
    settings: Settings, environment: dict[str, str], gpus: int, expected: Layout
) -> None:
    assert layout(settings, environment, gpus) == expected


@pytest.mark.parametrize(
    ("settings", "environment", "gpus", "sentence"),
    [
        (
            MANY.model_copy(update={"processes": 4}), {}, 2,
            "GRPO_PROCESSES: 4 was given, and 2 GPUs are visible; allowed: at most 2, or auto for one per GPU",
        ),
        (
            MANY.model_copy(update={"shard_base": True}), {**MEETING, "PET_NPROC_PER_NODE": "1"}, 1,
            "GRPO_SHARD_BASE: true was given; it needs several processes on a machine, and this run has one; "
            "allowed: auto, false, or more GRPO_PROCESSES",
        ),
        (
            MANY, {"PET_NNODES": "2", "PET_NODE_RANK": "0"}, 4,
            "PET_MASTER_ADDR, PET_MASTER_PORT: must be set when PET_NNODES=2",
        ),
        (
            MANY, {**MEETING, "PET_NNODES": "1:4"}, 4,
            "PET_NNODES: '1:4' was given; allowed: the number of machines, fixed for the whole run",
        ),
    ],
)  # fmt: skip
def test_what_cannot_start_is_refused_with_what_was_given(
    settings: Settings, environment: dict[str, str], gpus: int, sentence: str
) -> None:
    with pytest.raises(InvalidRun) as refusal:
        layout(settings, environment, gpus)
    assert str(refusal.value) == sentence


def test_a_batch_that_the_gpus_cannot_share_is_refused_before_anything_is_started() -> None:
    with pytest.raises(
        InvalidRun, match="= 8 completions cannot be divided into whole groups of GRPO_NUM_GENERATIONS=8"
    ):
        layout(Settings(per_device_train_batch_size=8), {}, gpus=4)


def test_only_what_a_launcher_told_its_place_on_the_machine_is_a_rank() -> None:
    """Kubeflow's PyTorchJob sets RANK and WORLD_SIZE for a pod, which has yet to start its processes."""
    assert is_rank(RANK)
    assert not is_rank({"RANK": "0", "WORLD_SIZE": "2"})
    assert not is_rank({})


def test_one_process_sees_the_first_of_several_gpus() -> None:
    assert one_gpu({"CUDA_VISIBLE_DEVICES": "GPU-b, GPU-a"}, gpus=2) == {"CUDA_VISIBLE_DEVICES": "GPU-b"}
    assert one_gpu({"CUDA_VISIBLE_DEVICES": "3"}, gpus=1) == {}
