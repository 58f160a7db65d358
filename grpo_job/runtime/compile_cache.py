"""The folder of compiled code: private to its user, and not trusted if others could have written to it.

Its content is loaded as code (Triton's launchers, vLLM's graphs). The folders above it may be shared, as volumes in
clusters often are.
"""

import importlib.util
import os
import stat
import sys
from pathlib import Path

from grpo_job.run_folder import scratch


def open_cache(folder: Path) -> tuple[Path, str | None]:
    """The folder to use, and why it is not the one asked for, if so. Raises `OSError` if none can be made.

    A folder that others can write to is not used; code is then compiled again in a temporary one.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fault = _fault(folder.lstat())
    if fault is None:
        return folder, None
    fresh = scratch.folder("cache")
    return fresh, f"compiled code in {folder} is not trusted because {fault}: it is compiled again, in {fresh}"


def keep_bytecode(folder: Path) -> None:
    """If PyTorch was installed without bytecode, keep the bytecode of all modules in `folder` from now on.

    Some installers and images omit it, and so does PYTHONDONTWRITEBYTECODE: 19 of the 59 s of a start on a GPU.
    """
    torch = importlib.util.find_spec("torch")
    if torch and torch.cached and not Path(torch.cached).exists() and sys.pycache_prefix is None:
        sys.pycache_prefix, sys.dont_write_bytecode = str(folder), False


def _fault(status: os.stat_result) -> str | None:
    if stat.S_ISLNK(status.st_mode):
        return "it is a link"
    if status.st_uid != os.geteuid():
        return f"it belongs to user {status.st_uid} and not to {os.geteuid()}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write there (mode {stat.S_IMODE(status.st_mode):04o})"
    return None
