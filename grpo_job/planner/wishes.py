"""What a plan must keep to: the user's decisions, and what memory was found to hold."""

from dataclasses import dataclass

from grpo_job.planner.candidates import Auto, RolloutWeights


@dataclass(frozen=True)
class MemoryLimit:
    """After memory ran out on the GPU of this name: the bytes that a plan may use, and the precision to keep."""

    gpu: str
    bytes: float
    load_in_4bit: bool


@dataclass(frozen=True)
class Wishes:
    """What the user decided, under the names of the reasons; the planner decides what is `auto`."""

    load_in_4bit: bool | Auto = "auto"
    gradient_checkpointing: bool | Auto = "auto"
    standby: bool | Auto = "auto"
    shard_base: bool | Auto = "auto"
    training_graphs: bool | Auto = "auto"
    rollout_weights: RolloutWeights | Auto = "auto"
    gpu_memory_utilization: float | Auto = "auto"
