"""The variables that steer the libraries: caches, telemetry, logs, `UNSLOTH_*`, `VLLM_*`. Pure.

The door sets them once, before any heavy import, because the libraries read most of them while
they are imported. Each has its reason beside it; `grpo-job check` prints both.
"""

from pathlib import Path
from typing import NamedTuple

# unsloth and unsloth_zoo remove or overwrite these while they are imported; the engine sets them again after.
OVERWRITTEN_BY_UNSLOTH = ("TORCHINDUCTOR_CACHE_DIR", "VLLM_LOGGING_LEVEL")


class Variable(NamedTuple):
    """One variable, its value, and why it has it."""

    name: str
    value: str
    reason: str


def cache_folder(root: Path, lock_hash: str, capability: tuple[int, int]) -> Path:
    """Where compiled code lives: it is good for one set of versions on one generation of GPU.

    >>> cache_folder(Path("/cache"), "0123456789abcdef", (9, 0)).as_posix()
    '/cache/0123456789ab-sm90'
    """
    return root / f"{lock_hash[:12]}-sm{capability[0]}{capability[1]}"


def library_environment(
    cache_root: Path,
    *,
    merged_rollout: bool,
    standby: bool,
    offline: bool = False,
    log_level: str = "WARNING",
) -> dict[str, str]:
    """Name -> value of every variable; see `library_variables` for the reasons."""
    variables = library_variables(
        cache_root, merged_rollout=merged_rollout, standby=standby, offline=offline, log_level=log_level
    )
    return {variable.name: variable.value for variable in variables}


def library_variables(
    cache_root: Path,
    *,
    merged_rollout: bool,
    standby: bool,
    offline: bool = False,
    log_level: str = "WARNING",
) -> list[Variable]:
    """The variables with their reasons. `cache_root` is absolute and writable by its owner alone.

    `merged_rollout` and `standby` are the plan's. `offline` forbids every call to the Hub,
    publishing included.
    """
    return [
        *_caches(cache_root),
        *_silence(log_level),
        *_unsloth(merged_rollout, standby),
        *_vllm(),
        *(_offline() if offline else []),
    ]


def _caches(root: Path) -> list[Variable]:
    """One root, so that one volume keeps all of it between runs."""
    return [
        Variable("TRITON_CACHE_DIR", str(root / "triton"), "kernels of vLLM's sampler and of Unsloth's layers"),
        Variable("TORCHINDUCTOR_CACHE_DIR", str(root / "inductor"), "torch.compile, when the plan says compile"),
        Variable("CUDA_CACHE_PATH", str(root / "cuda"), "what the driver compiles from PTX"),
        Variable("VLLM_CACHE_ROOT", str(root / "vllm"), "vLLM's compiled graphs and model facts"),
        Variable("VLLM_CONFIG_ROOT", str(root / "vllm_config"), "else vLLM writes to the home folder"),
        Variable(
            "UNSLOTH_COMPILE_LOCATION", str(root / "unsloth"), "else generated trainers land in the current folder"
        ),
        # Unsloth refuses a mega cache whose folder, or a parent of it, others may write to.
        Variable("UNSLOTH_MEGA_CACHE_DIR", str(root / "unsloth_mega"), "else under the home folder"),
    ]


def _silence(log_level: str) -> list[Variable]:
    """No telemetry; one log level; nothing that draws over the progress line."""
    return [
        Variable("UNSLOTH_DISABLE_STATISTICS", "1", "no download that only counts users"),
        Variable("VLLM_NO_USAGE_STATS", "1", "no usage report"),
        Variable("DO_NOT_TRACK", "1", "no usage report"),
        Variable("HF_HUB_DISABLE_TELEMETRY", "1", "no usage report"),
        Variable("VLLM_LOGGING_LEVEL", log_level, "the job's log level"),
        Variable("TRANSFORMERS_VERBOSITY", log_level.lower(), "the job's log level"),
        Variable("TOKENIZERS_PARALLELISM", "false", "no warning after a fork; batches are small"),
    ]


def _unsloth(merged_rollout: bool, standby: bool) -> list[Variable]:
    variables = [
        Variable("UNSLOTH_COMPILE_DISABLE", "1", "compiling the loss takes 45 s and wraps a new closure each step"),
        Variable("UNSLOTH_GRPO_SEQ_PACKING", "0", "checks itself with a forward a row whenever a batch is longer"),
        Variable("UNSLOTH_GRPO_PREFIX_GROUPER", "0", "is off beside vLLM anyway; saves its import"),
        Variable("UNSLOTH_VLLM_NO_FLASHINFER", "1", "needs nvcc at run time; vLLM's own attention is used"),
        Variable("UNSLOTH_VLLM_MERGED_ROLLOUT", _flag(merged_rollout), "fold the adapter into shared weights"),
        Variable("UNSLOTH_VLLM_STANDBY", _flag(standby), "vLLM frees its KV cache while training"),
    ]
    if standby:
        reason = "else Unsloth replaces the plan's share of memory by its own"
        variables.append(Variable("UNSLOTH_VLLM_STANDBY_UTIL_OVERRIDE", "1", reason))
    return variables


def _vllm() -> list[Variable]:
    return [
        Variable("VLLM_ENABLE_V1_MULTIPROCESSING", "0", "engine and trainer share one process and its weights"),
        Variable("VLLM_USE_FLASHINFER_SAMPLER", "0", "needs nvcc at run time"),
        Variable("VLLM_HOST_IP", "127.0.0.1", "one process talks to itself: no look for a route outside"),
    ]


def _offline() -> list[Variable]:
    return [
        Variable("HF_HUB_OFFLINE", "1", "no call to the Hub"),
        Variable("TRANSFORMERS_OFFLINE", "1", "no call to the Hub"),
    ]


def _flag(value: bool) -> str:
    return "1" if value else "0"
