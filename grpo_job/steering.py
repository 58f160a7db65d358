"""Sets the variables that steer the libraries, once, before any of them is imported; what the user set stays.

Which they are, and why, is in `library_environment.py`; the trackers' own are in `trackers/`.
"""

from collections.abc import MutableMapping, Sequence
from pathlib import Path

from grpo_job import library_environment, machine, trackers
from grpo_job.compiled_cache import keep_bytecode, open_cache
from grpo_job.failures import Refused
from grpo_job.library_environment import Variable
from grpo_job.run_folder import RunFolder
from grpo_job.settings import Settings


def steer(settings: Settings, environment: MutableMapping[str, str]) -> tuple[int, str | None]:
    """Change `environment`; how many GPUs were seen, and why compiled code lies elsewhere than asked for, if so.

    Raises `Refused` where that folder cannot be written.
    """
    seen = machine.gpus(environment.get("CUDA_VISIBLE_DEVICES"))
    root = library_environment.cache_folder(
        Path(settings.cache_dir).expanduser().resolve(), machine.versions(), seen[0].capability if seen else None
    )
    try:
        root, distrust = open_cache(root)
    except OSError as error:
        raise Refused(f"GRPO_CACHE_DIR: {settings.cache_dir!r} was given; it cannot be written: {error}") from error
    set_missing(library_environment.library_environment(root), environment)
    keep_bytecode(root / "bytecode")
    # Trackers that the user sent nowhere else write below the run folder.
    folder = RunFolder(settings.folder_of_run).trackers
    for name, value in trackers.variables(settings.report_to, folder).items():
        environment.setdefault(name, value)
    return len(seen), distrust


def set_missing(variables: Sequence[Variable], environment: MutableMapping[str, str]) -> None:
    """Set those that `environment` lacks."""
    for variable in variables:
        environment.setdefault(variable.name, variable.value)
