"""Chooses the engine, and imports it inside the choice.

The only folder that imports torch, transformers, trl, peft, unsloth and vllm. An engine trains one
LoRA over one base model and generates with it. To add one: an entry in `settings/engines.py`, a
file here, an arm of `build`.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grpo_job.engines import head_start
from grpo_job.engines.interface import Engine, RewardFunctions
from grpo_job.engines.patches.fast_imports import lean_imports
from grpo_job.engines.patches.gc_pause import keep_what_is_loaded, no_collection
from grpo_job.engines.ranks import ALONE, Ranks
from grpo_job.inputs.base_model import BaseModel
from grpo_job.planner.plan import Plan
from grpo_job.runtime.world import own_gpu
from grpo_job.settings.schema import Settings

if TYPE_CHECKING:
    from grpo_job.engines.process_group import ProcessGroup


def build(
    engine: str,
    settings: Settings,
    base: BaseModel,
    rows: Sequence[dict[str, Any]],
    rewards: RewardFunctions,
    folder: Path,
    plan: Plan | None,
    ranks: Ranks = ALONE,
    start: Path | None = None,
) -> Engine:
    """Load the model. `rows` have `prompt` and `answer`; the trainer writes its state below `folder`.
    `start`: LoRA weights to start from, in place of fresh ones.

    `plan` is None without a GPU. All `ranks` of a run must call this at the same time.
    """
    if plan and ranks.count == 1:
        head_start.begin(base.folder)
    with no_collection():
        match engine, plan:
            case "unsloth", Plan():
                from grpo_job.engines.unsloth_vllm import UnslothVllm

                built: Engine = UnslothVllm(settings, base, rows, rewards, folder, plan, ranks, start)
            case "trl", Plan():
                with lean_imports():
                    from grpo_job.engines.trl_vllm import TrlVllm

                built = TrlVllm(settings, base, rows, rewards, folder, plan, ranks, start)
            case "trl", None:
                with lean_imports():
                    from grpo_job.engines.trl_cpu import PlainTrl

                built = PlainTrl(settings, base, rows, rewards, folder, ranks, start)
            case _:
                raise NotImplementedError(f"engines.build has no arm for {engine!r}; settings/engines.py names it")
        keep_what_is_loaded()
    return built


def process_group(ask: Callable[[str], object], key: bytes) -> "ProcessGroup":
    """This process among those that its launcher started; all sign with `key` what they say to each other.

    Rank 0's `ask` gets the signals that other ranks received.
    """
    from grpo_job.engines.process_group import ProcessGroup

    return ProcessGroup(ask, key)


def settle(engine: str, ranks: Ranks) -> None:
    """On each rank before all first share something, because with it they join, each on its GPU."""
    os.environ.update(own_gpu(engine, ranks.count, os.environ))


def merge(base: BaseModel, adapter: Path, folder: Path, dtype: str) -> dict[str, Any]:
    """Write the base with the adapter of `adapter` folded in to `folder`; see `trainer/merge.py`."""
    from grpo_job.engines.trainer import merge as merging

    return merging.merge(base, adapter, folder, dtype)
