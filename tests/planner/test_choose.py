"""Which engine a run of several processes takes, each on a GPU of its own."""

from typing import Any

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.planner import choose
from grpo_job.planner.plan import Plan
from grpo_job.planner.shapes import GB
from grpo_job.planner.wishes import MemoryLimit
from grpo_job.runtime.machine import GpuSeen
from grpo_job.runtime.world import Layout
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings
from tests.planner.test_plan import CONFIGS, GPUS

FOUR = Layout(4)


def seen(gpu: str) -> GpuSeen:
    size = GPUS[gpu]
    return GpuSeen(size.name, "", int(size.memory / 2**20), 0, "", size.capability)


def asking(**settings: str) -> Settings:
    asked = {
        "per_device_train_batch_size": "64",
        "max_completion_length": "200",
        "max_prompt_length": "256",
        **settings,
    }
    return resolve({f"GRPO_{name.upper()}": value for name, value in asked.items()}).settings


def chosen(gpu: str, size: str, layout: Layout = FOUR, **settings: str) -> tuple[str, Plan]:
    given = asking(**settings), CONFIGS[size], seen(gpu)
    return choose.choose(*given, layout), choose.plan(*given, layout=layout)


def reason(plan: Plan) -> Any:
    return next(choice for choice in plan.choices if choice.name == "engine")


@pytest.mark.parametrize("layout", [Layout(2), FOUR, Layout(4, nodes=2)])
@pytest.mark.parametrize(("gpu", "size"), [("H200", "3B"), ("H100", "7B"), ("A100-40", "3B"), ("L4", "1.5B")])
def test_unsloth_where_each_gpu_has_room_for_both_weights(gpu: str, size: str, layout: Layout) -> None:
    engine, plan = chosen(gpu, size, layout)
    assert engine == "unsloth"
    assert (plan.weight_sync, plan.load_in_4bit, plan.standby) == ("copy", False, False)
    assert (plan.tensor_parallel, plan.base_shards) == (1, 1)
    assert plan.memory.total <= plan.budget
    assert reason(plan).value == "unsloth"
    assert reason(plan).reason.endswith("nothing is shared")


@pytest.mark.parametrize(
    ("gpu", "size", "settings", "why"),
    [
        ("L4", "7B", {}, "not unsloth: GRPO_MODEL: 7.6 billion parameters need at least"),
        ("H200", "3B", {"load_in_4bit": "true"}, "not unsloth: GRPO_LOAD_IN_4BIT: true was given"),
        ("H200", "3B", {"shard_base": "true"}, "not unsloth: GRPO_SHARD_BASE: true was given"),
    ],
)
def test_trl_where_gpus_must_share_and_the_plan_says_why(
    gpu: str, size: str, settings: dict[str, str], why: str
) -> None:
    engine, plan = chosen(gpu, size, **settings)
    assert engine == reason(plan).value == "trl"
    assert reason(plan).reason.startswith(why)


@pytest.mark.parametrize("name", ["load_in_4bit", "standby", "shard_base"])
def test_unsloth_is_refused_what_it_cannot_do_in_several_processes(name: str) -> None:
    said = f"GRPO_{name.upper()}: true was given; in several processes unsloth trains with 16-bit weights of its own on"
    with pytest.raises(InvalidRun, match=said):
        chosen("H200", "3B", engine="unsloth", **{name: "true"})


def test_what_was_asked_for_is_taken_and_refused_with_its_numbers() -> None:
    assert chosen("H200", "3B", engine="trl")[0] == "trl"
    engine, plan = chosen("H200", "3B", engine="unsloth")
    assert (engine, reason(plan).given) == ("unsloth", True)
    with pytest.raises(InvalidRun, match=r"7\.6 billion parameters need at least"):
        chosen("L4", "7B", engine="unsloth")


def test_each_of_several_processes_replays_graphs_with_few_completions() -> None:
    assert chosen("H200", "3B", per_device_train_batch_size="32")[1].training_graphs


def test_after_memory_ran_out_a_smaller_plan_of_the_same_engine_is_taken_if_there_is_one() -> None:
    settings, config, gpu = asking(), CONFIGS["3B"], seen("H200")
    failed = choose.plan(settings, config, gpu, layout=FOUR)
    limit = MemoryLimit(gpu.name, 0.8 * failed.memory.total, failed.load_in_4bit)
    smaller = choose.plan(settings, config, gpu, limit, FOUR)
    assert choose.choose(settings, config, gpu, FOUR, limit) == "unsloth"
    assert smaller.memory.total <= limit.bytes
    least = MemoryLimit(gpu.name, 15 * GB, load_in_4bit=False)
    assert choose.choose(settings, config, gpu, FOUR, least) == "trl"


def test_one_process_and_a_cpu_take_the_first_that_runs_without_asking_memory() -> None:
    assert choose.choose(asking(), CONFIGS["14B"], seen("T4")) == "unsloth"
    plan = choose.plan(asking(), CONFIGS["3B"], seen("H200"))
    assert "engine" not in [choice.name for choice in plan.choices]
    small = {**CONFIGS["0.5B"], "num_hidden_layers": 1, "vocab_size": 1000}
    assert choose.choose(asking(), small, None, Layout(2)) == "trl"
