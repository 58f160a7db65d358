"""What is known of each engine without importing it: one entry in ENGINES, from which every table and check is made.

Below the settings' types because `GRPO_ENGINE` takes these names; the code of an engine is in `grpo_job/engines/`,
behind an arm of `engines.build`.
"""

from typing import NamedTuple

from grpo_job.outcomes import InvalidRun


class Needs(NamedTuple):
    """What an engine needs on one kind of machine."""

    packages: tuple[str, ...]
    """whose versions must be those of the lock"""
    start_seconds: float
    """from the start of the process until the model is loaded, without the download"""
    learn_flop: float = 6.0
    """arithmetic of a step per weight and token: forward, backward, and what is computed twice"""


class EngineFacts(NamedTuple):
    """One engine. `on_gpu` or `on_cpu` is None if it cannot run there."""

    label: str
    """where it runs, for the table of settings"""
    on_gpu: Needs | None
    on_cpu: Needs | None
    several_processes: bool
    separate_base: bool = True
    """on a GPU, training and vLLM do not read the same weights; see `planner.plan.plan`"""
    own_gpu: bool = False
    """in several processes, each must see its own GPU alone; see `runtime.world.own_gpu`"""
    card_tags: tuple[str, ...] = ()
    """on the adapter's model card"""

    def runs(self, gpus: int, processes: int = 1) -> bool:
        """Whether it runs on a machine with so many GPUs, in so many processes."""
        return bool(self.on_gpu if gpus else self.on_cpu) and (processes == 1 or self.several_processes)


# On the CPU torch is outside the lock, see README, "Develop".
_TRL = ("trl", "transformers", "peft")
_TRL_AND_VLLM = ("torch", "vllm", *_TRL)

# `auto` takes the first that runs on the machine. Seconds and FLOP are fitted to benchmarks/RESULTS.md:
# the 3B shape on an H200 with cold caches, the sample on two CPU cores.
ENGINES: dict[str, EngineFacts] = {
    "unsloth": EngineFacts(
        label="one GPU or many",
        on_gpu=Needs((*_TRL_AND_VLLM, "unsloth", "unsloth-zoo", "bitsandbytes"), 90.0, learn_flop=4.0),
        on_cpu=None,
        several_processes=True,
        separate_base=False,
        own_gpu=True,
        card_tags=("unsloth",),
    ),
    "trl": EngineFacts(
        label="CPU, one GPU or many",
        on_gpu=Needs(_TRL_AND_VLLM, 70.0, learn_flop=9.5),
        on_cpu=Needs(_TRL, 10.0),
        several_processes=True,
    ),
}


def meaning() -> str:
    """The engines for the table of settings: `unsloth (one GPU), ...`."""
    known = ", ".join(f"{name} ({facts.label})" for name, facts in ENGINES.items())
    return f"{known}; auto: the first of these that runs on the machine, and of several GPUs fits each"


def that_run(gpus: int, processes: int = 1) -> list[str]:
    """The engines that run on a machine with so many GPUs, in so many processes; the preferred one first."""
    return [name for name, facts in ENGINES.items() if facts.runs(gpus, processes)]


def needs(engine: str, gpus: int) -> Needs:
    """What `engine` needs on a machine with so many GPUs. Raises `InvalidRun` if it cannot run there."""
    found = ENGINES[engine].on_gpu if gpus else ENGINES[engine].on_cpu
    if found is None:
        why = "it runs only without a GPU" if gpus else "it needs an NVIDIA GPU, and none is visible"
        raise InvalidRun(f"GRPO_ENGINE: {engine!r} was given; {why}; allowed here: {', '.join(that_run(gpus))}")
    return found
