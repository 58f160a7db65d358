"""Chooses the engine, and imports it inside the choice.

The only folder that imports torch, transformers, trl, peft, unsloth and vllm. An engine trains one
LoRA over one base model and generates with it; add one by a file and one arm of `build`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from grpo_job import global_batch
from grpo_job.base_model import BaseModel
from grpo_job.engines import gpu_plan
from grpo_job.engines.collection import keep_what_is_loaded, no_collection
from grpo_job.engines.gpu_plan import Plan, Within
from grpo_job.engines.lean_import import lean_imports
from grpo_job.engines.shapes import Gpu, ModelShape
from grpo_job.failures import Refused
from grpo_job.layout import ONE, Layout
from grpo_job.machine import GpuSeen
from grpo_job.ranks import ALONE, Ranks
from grpo_job.settings import Settings

if TYPE_CHECKING:
    from grpo_job.engines.process_group import ProcessGroup

Prompts = Sequence[list[dict[str, str]]]
Adapter = Literal["on", "off"]
RewardFunctions = Sequence[tuple[Callable[..., Any], float]]
MOST_PARAMETERS_ON_CPU = 200_000_000  # above, one step takes minutes


class Listener(Protocol):
    """What an engine tells, and asks, while it trains."""

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        """A step was logged, under TRL's own metric names."""

    def on_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        """The completions that the step learned from, with what each reward paid."""

    def on_save(self, step: int, written: Path) -> None:
        """The trainer wrote its state to the folder `written`."""

    def on_progress(self) -> None:
        """Any sign of life."""

    def measure(self, step: int) -> dict[str, float]:
        """Further metrics of this step, asked before it is logged; the listener may generate for them."""

    def should_save(self, step: int) -> bool:
        """Is a checkpoint due after this step?"""

    def should_stop(self, step: int) -> bool:
        """End training after this step, with a checkpoint?"""

    def asked_to_stop(self) -> str | None:
        """The signal that this process got, where it got one."""

    def stop_too(self, reason: str) -> None:
        """Another process of this run was asked to stop; `should_stop` heeds it."""


class Engine(Protocol):
    """A base model with one LoRA, held by one library stack."""

    planned_steps: int

    def train(self, listener: Listener, resume_from: Path | None = None) -> None:
        """Run to the planned number of steps, or until the listener stops it."""

    def generate(
        self,
        prompts: Prompts,
        *,
        adapter: Adapter,
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        samples: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        """`samples` completions for each prompt; greedy at temperature 0. Leaves training's RNG as it was."""

    def answer_along(self) -> None:
        """On a rank that is not 0: its part of what rank 0 generates."""

    def save_adapter(self, folder: Path) -> None:
        """Write adapter and tokenizer; the adapter's config names the 16-bit base as the user did."""

    def is_saved_in(self, weights: Path) -> bool:
        """Whether this safetensors file holds the LoRA weights in memory, bit by bit."""

    def load_adapter(self, weights: Path) -> None:
        """Go on with the LoRA weights of this safetensors file; raises `Refused` where they are not this LoRA's."""

    def generate_from(self, adapter: Path, prompts: Prompts, max_tokens: int) -> list[str]:
        """Greedy answers of the adapter as it stands on disk."""

    def adapter_changes_anything(self) -> bool:
        """Whether any LoRA weight that starts at zero has moved."""

    def close(self) -> None:
        """Give back what is held outside the process."""


def choose(
    settings: Settings, config: Mapping[str, Any], gpu_count: int, processes: int = 1
) -> Literal["unsloth", "trl"]:
    """The engine for this model on this machine, for a run of `processes`. `config` is the model's config.json.

    Raises `Refused` where no engine can train it.
    """
    if settings.engine == "unsloth" and gpu_count == 0:
        raise Refused("GRPO_ENGINE: 'unsloth' was given; it needs an NVIDIA GPU, and none is visible: allowed is trl")
    if gpu_count == 0 and (parameters := ModelShape.from_config(config).parameters) > MOST_PARAMETERS_ON_CPU:
        raise Refused(
            f"GRPO_MODEL: {settings.model!r} has {parameters / 1e9:.1f} billion parameters and no NVIDIA GPU is there: "
            "run it on a machine with a GPU, or try the job on this one with GRPO_RECIPE=smoke"
        )
    if settings.engine != "auto":
        return settings.engine
    return "unsloth" if gpu_count and processes == 1 else "trl"


def plan(
    whole: Settings, config: Mapping[str, Any], gpu: GpuSeen, within: Within | None = None, layout: Layout = ONE
) -> Plan:
    """What each process of `layout` runs on a `gpu` of its own; `within` counts where it is of this GPU.

    Raises `Refused` with the numbers where the model cannot fit.
    """
    settings = global_batch.share(whole, layout.world)
    tried = within if within and within.gpu == gpu.name else None
    share = settings.vllm_gpu_memory_utilization
    return gpu_plan.plan(
        Gpu(gpu.name, gpu.memory_mib * 2**20, gpu.capability),
        ModelShape.from_config(config),
        max_seq_length=settings.max_seq_length,
        max_prompt_length=settings.max_prompt_length,
        max_completion_length=settings.max_completion_length,
        completions_per_step=settings.completions_per_generation,
        per_device_train_batch_size=settings.per_device_train_batch_size,
        lora_rank=settings.lora_rank,
        max_steps=settings.max_steps if settings.max_steps > 0 else 1000,
        load_in_4bit=tried.load_in_4bit if tried else settings.load_in_4bit,
        gpu_memory_utilization=None if share == "auto" else share,
        gradient_checkpointing=settings.gradient_checkpointing,
        standby=settings.standby,
        shard_base=settings.shard_base,
        training_graphs=settings.training_graphs,
        most_bytes=tried.bytes if tried else None,
        apart=layout.processes if layout.world > 1 or settings.engine == "trl" else 0,
    )


def build(
    engine: str,
    settings: Settings,
    base: BaseModel,
    rows: Sequence[dict[str, Any]],
    rewards: RewardFunctions,
    folder: Path,
    plan: Plan | None,
    ranks: Ranks = ALONE,
) -> Engine:
    """Load the model. `rows` have `prompt` and `answer`; the trainer writes its state below `folder`.

    `plan` is None where there is no GPU. All `ranks` of a run build together.
    """
    with no_collection():
        match engine, plan:
            case "unsloth", Plan():
                from grpo_job.engines.unsloth_vllm import UnslothVllm

                built: Engine = UnslothVllm(settings, base, rows, rewards, folder, plan)
            case "trl", Plan():
                with lean_imports():
                    from grpo_job.engines.trl_vllm import TrlVllm

                built = TrlVllm(settings, base, rows, rewards, folder, plan, ranks)
            case "trl", None:
                with lean_imports():
                    from grpo_job.engines.plain_trl import PlainTrl

                built = PlainTrl(settings, base, rows, rewards, folder, ranks)
            case _:
                raise Refused(f"GRPO_ENGINE: {engine!r} was given; allowed: unsloth (on a GPU), trl")
        keep_what_is_loaded()
    return built


def process_group(ask: Callable[[str], object]) -> "ProcessGroup":
    """This process's place among those that its launcher started. Rank 0's `ask` hears what another rank was asked."""
    from grpo_job.engines.process_group import ProcessGroup

    return ProcessGroup(ask)


def merge(base: BaseModel, adapter: Path, folder: Path) -> None:
    """Write the 16-bit base with the adapter of `adapter` folded in to `folder`."""
    from grpo_job.engines import peft_adapter

    peft_adapter.merge(base, adapter, folder)
