"""Environment variables of the libraries: caches, telemetry, logs, `UNSLOTH_*`, `VLLM_*`, each with its reason.

Those that the user did not set are set once, before any heavy import, because the libraries read most of them at
import.
"""

import hashlib
import json
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import NamedTuple

from grpo_job.outcomes import InvalidRun
from grpo_job.runtime import forward_compat, machine
from grpo_job.runtime.compile_cache import keep_bytecode, open_cache
from grpo_job.settings.schema import Settings

# unsloth and unsloth_zoo remove or overwrite these at import; the engine sets them again afterwards.
OVERWRITTEN_BY_UNSLOTH = ("TORCHINDUCTOR_CACHE_DIR", "VLLM_LOGGING_LEVEL")


class Variable(NamedTuple):
    """One variable, its value, and the reason."""

    name: str
    value: str
    reason: str


def cache_folder(root: Path, versions: Mapping[str, str], capability: tuple[int, int] | None) -> Path:
    """The folder of compiled code, which is valid for one set of versions and one compute capability.

    >>> cache_folder(Path("/cache"), {"torch": "2.11.0"}, (9, 0)).as_posix()
    '/cache/sm90-3ee0da9c891d'
    """
    key = hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:12]
    return root / f"{'cpu' if capability is None else f'sm{capability[0]}{capability[1]}'}-{key}"


def library_environment(cache_root: Path) -> list[Variable]:
    """All variables. `cache_root` is absolute, and only its owner can write to it."""
    return [*_caches(cache_root), *silence(), *_unsloth(), *_vllm()]


def _caches(root: Path) -> list[Variable]:
    """Below one root, so that one volume keeps all of it between runs."""
    return [
        Variable("TRITON_CACHE_DIR", str(root / "triton"), "kernels of vLLM's sampler and of Unsloth's layers"),
        Variable("TORCHINDUCTOR_CACHE_DIR", str(root / "inductor"), "torch.compile, when the plan says compile"),
        Variable("CUDA_CACHE_PATH", str(root / "cuda"), "what the driver compiles from PTX"),
        Variable("VLLM_CACHE_ROOT", str(root / "vllm"), "vLLM's compiled graphs and model facts"),
        Variable("VLLM_CONFIG_ROOT", str(root / "vllm_config"), "else vLLM writes to the home folder"),
        Variable(
            "UNSLOTH_COMPILE_LOCATION", str(root / "unsloth"), "else generated trainers land in the current folder"
        ),
        # Unsloth refuses a mega cache if others can write to its folder or a parent.
        Variable("UNSLOTH_MEGA_CACHE_DIR", str(root / "unsloth_mega"), "else under the home folder"),
    ]


def silence() -> list[Variable]:
    """No telemetry, one log level, one commit per push: all that commands without a model need."""
    return [
        Variable("UNSLOTH_DISABLE_STATISTICS", "1", "no download that only counts users"),
        Variable("VLLM_NO_USAGE_STATS", "1", "no usage report"),
        Variable("DO_NOT_TRACK", "1", "no usage report"),
        Variable("HF_HUB_DISABLE_TELEMETRY", "1", "no usage report"),
        Variable("HF_HUB_DISABLE_XET", "1", "with Xet one push may become several commits, retried on their own"),
        Variable("HF_HUB_DISABLE_PROGRESS_BARS", "1", "no bars between the job's own lines"),
        Variable("WANDB_CONSOLE", "off", "else wandb sends what the process prints, before secrets are hidden in it"),
        Variable("VLLM_LOGGING_LEVEL", "WARNING", "warnings and errors are enough in libraries.log"),
        Variable("TRANSFORMERS_VERBOSITY", "warning", "warnings and errors are enough in libraries.log"),
        Variable("TOKENIZERS_PARALLELISM", "false", "no warning after a fork; batches are small"),
    ]


def _unsloth() -> list[Variable]:
    return [
        Variable("UNSLOTH_COMPILE_DISABLE", "1", "compiling the loss takes 45 s and wraps a new closure each step"),
        Variable("UNSLOTH_GRPO_SEQ_PACKING", "0", "checks itself with one forward per row whenever a batch is longer"),
        Variable("UNSLOTH_GRPO_PREFIX_GROUPER", "0", "is off beside vLLM anyway; saves its import"),
        Variable("UNSLOTH_VLLM_NO_FLASHINFER", "1", "needs nvcc at run time; vLLM's own attention is used"),
        Variable("UNSLOTH_VLLM_STANDBY_UTIL_OVERRIDE", "1", "else standby replaces the plan's share of memory"),
    ]


def _vllm() -> list[Variable]:
    return [
        Variable("VLLM_ENABLE_V1_MULTIPROCESSING", "0", "engine and trainer share one process and its weights"),
        Variable("VLLM_USE_FLASHINFER_SAMPLER", "0", "needs nvcc at run time"),
        Variable("VLLM_HOST_IP", "127.0.0.1", "one process talks only to itself, so no route outside is needed"),
    ]


def steer(settings: Settings, environment: MutableMapping[str, str]) -> tuple[int, str | None]:
    """Set the variables in `environment`; the number of GPUs, and why another cache folder is used, if so.

    Restarts this program first if an older driver needs CUDA's newer libraries. Raises `InvalidRun` if the folder
    cannot be written.
    """
    seen = machine.gpus(environment.get("CUDA_VISIBLE_DEVICES"))
    forward_compat.restart_if_needed(seen, environment)
    try:
        place = Path(settings.cache_dir).expanduser().resolve()
        capability = seen[0].capability if seen else None
        root, distrust = open_cache(cache_folder(place, machine.versions(), capability))
    except (OSError, RuntimeError) as error:  # RuntimeError: a ring of links
        raise InvalidRun(f"GRPO_CACHE_DIR: {settings.cache_dir!r} was given; it cannot be written: {error}") from error
    set_missing(library_environment(root), environment)
    keep_bytecode(root / "bytecode")
    return len(seen), distrust


def set_missing(variables: Sequence[Variable], environment: MutableMapping[str, str]) -> None:
    """Set the variables that `environment` lacks."""
    for variable in variables:
        environment.setdefault(variable.name, variable.value)
