"""How many processes a run has, on how many machines. Pure.

One process per GPU. A launcher (torchrun) gives each process its rank; without one, `launcher.py` starts it. For a run
on several machines, a cluster starts `grpo-job run` once on each, with torchrun's own variables for where they meet.
"""

from collections.abc import Mapping
from typing import NamedTuple

from grpo_job.outcomes import InvalidRun
from grpo_job.settings import global_batch
from grpo_job.settings.engines import ENGINES, that_run
from grpo_job.settings.schema import Settings

MEETING = ("PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT")


class Layout(NamedTuple):
    """`processes` on each of `nodes` machines."""

    processes: int
    nodes: int = 1

    @property
    def world(self) -> int:
        """Processes of the run."""
        return self.processes * self.nodes


ONE = Layout(1)


def is_rank(environment: Mapping[str, str]) -> bool:
    """Whether a launcher started this process: it sets global rank, local rank and world size."""
    return all(_is_number(environment.get(name, "")) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))


def layout(settings: Settings, environment: Mapping[str, str], gpus: int) -> Layout:
    """The processes of this run on a machine with `gpus` GPUs, with or without a launcher.

    Raises `InvalidRun` if there are too few GPUs for them, if the engine runs in one process only, if a machine does
    not know the others, and, with the arithmetic, if a step's completions cannot be shared.
    """
    found = _launched(environment) if is_rank(environment) else _to_launch(settings, environment, gpus)
    if gpus and found.processes > gpus:
        raise InvalidRun(
            f"GRPO_PROCESSES: {found.processes} was given, and {gpus} GPUs are visible; "
            f"allowed: at most {gpus}, or auto for one per GPU"
        )
    if settings.engine != "auto" and found.world > 1 and not ENGINES[settings.engine].several_processes:
        raise InvalidRun(
            f"GRPO_ENGINE: {settings.engine!r} was given; it trains in one process, and this run has {found.world}; "
            f"allowed: {', '.join(that_run(gpus, found.world))}, or GRPO_PROCESSES=1"
        )
    if settings.shard_base is True and found.processes == 1:
        raise InvalidRun(
            "GRPO_SHARD_BASE: true was given; it needs several processes on a machine, and this run has one; "
            "allowed: auto, false, or more GRPO_PROCESSES"
        )
    if fault := global_batch.fault(settings, found.world):
        raise InvalidRun(fault)
    return found


def _launched(environment: Mapping[str, str]) -> Layout:
    world = max(1, int(environment["WORLD_SIZE"]))
    given = environment.get("LOCAL_WORLD_SIZE") or str(world)
    if not _is_number(given) or int(given) < 1:
        raise InvalidRun(f"LOCAL_WORLD_SIZE: {given!r} was given; allowed: the number of processes on this machine")
    return Layout(int(given), world // int(given))


def _to_launch(settings: Settings, environment: Mapping[str, str], gpus: int) -> Layout:
    nodes = environment.get("PET_NNODES", "1")
    if not _is_number(nodes) or int(nodes) < 1:
        raise InvalidRun(f"PET_NNODES: {nodes!r} was given; allowed: the number of machines, fixed for the whole run")
    missing = [name for name in MEETING if not environment.get(name)]
    if int(nodes) > 1 and missing:
        raise InvalidRun(f"{', '.join(missing)}: must be set when PET_NNODES={nodes}")
    return Layout(max(1, gpus) if settings.processes == "auto" else settings.processes, int(nodes))


def own_gpu(engine: str, processes: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables with which a rank sees its own GPU alone, under the index 0, if `engine` needs that.

    They count before CUDA is first asked for anything. LOCAL_RANK is the index that libraries take, the first rank of a
    machine or not. Unsloth sets the allocator's variable as here when it is imported, but by then the ranks have met.

    >>> own_gpu("unsloth", 2, {"LOCAL_RANK": "1"})
    {'CUDA_VISIBLE_DEVICES': '1', 'LOCAL_RANK': '0', 'PYTORCH_ALLOC_CONF': 'expandable_segments:True'}
    >>> own_gpu("unsloth", 2, {"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "3, GPU-8a2f", "PYTORCH_ALLOC_CONF": "mine"})
    {'CUDA_VISIBLE_DEVICES': 'GPU-8a2f', 'LOCAL_RANK': '0', 'PYTORCH_ALLOC_CONF': 'mine'}
    >>> own_gpu("unsloth", 1, {}), own_gpu("trl", 2, {"LOCAL_RANK": "1"})
    ({}, {})
    """
    if processes == 1 or not ENGINES[engine].own_gpu:
        return {}
    place = environment["LOCAL_RANK"]
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    return {
        "CUDA_VISIBLE_DEVICES": visible.split(",")[int(place)].strip() if visible else place,
        "LOCAL_RANK": "0",
        "PYTORCH_ALLOC_CONF": environment.get("PYTORCH_ALLOC_CONF", "expandable_segments:True"),
    }


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 10


def one_gpu(environment: Mapping[str, str], gpus: int) -> dict[str, str]:
    """Variables with which a run of one process sees one GPU; otherwise transformers uses all of them.

    >>> one_gpu({}, gpus=2), one_gpu({"CUDA_VISIBLE_DEVICES": "2,3"}, gpus=2), one_gpu({}, gpus=1)
    ({'CUDA_VISIBLE_DEVICES': '0'}, {'CUDA_VISIBLE_DEVICES': '2'}, {})
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES", "0")
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[0].strip()} if gpus > 1 else {}
