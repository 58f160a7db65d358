"""Which drivers run the PyTorch of the GPU lock, by driver branch and kind of GPU. Pure, of the standard library alone.

That PyTorch is built for CUDA 13.0. Sources, as of 2026:

- NVIDIA, "CUDA Compatibility", chapter "Minor Version Compatibility": CUDA 13 runs on driver 580 or newer.
- The same, chapter "Forward Compatibility": with the libraries of the package cuda-compat-13-0 in front it runs on
  older drivers, on data-centre GPUs and on "select NGC Server Ready SKUs of RTX cards".
- `NVIDIA_REQUIRE_CUDA` of NVIDIA's own images of CUDA 13.0 (`nvidia/cuda:13.0.2-base`): with these libraries the
  branches 535, 550, 565, 570 and 575, of every brand but GeForce and Titan.

Which professional RTX boards are among the select ones is not listed: the libraries themselves say so when they are
tried (`forward_compat`).
"""

import re
import sys
from collections.abc import Iterable
from typing import Literal

LEAST = 580
BRANCHES = (535, 550, 565, 570, 575)
PACKAGE = "cuda-compat-13-0"
CONSUMER = re.compile(r"GEFORCE|TITAN|\bGTX\b|\bCMP\b", re.IGNORECASE)

Support = Literal["as it is", "with libraries", "no"]


def support(driver: str, name: str) -> Support:
    """Whether CUDA 13 runs on this driver, such as 550.54.15, with the GPU of this name; both as nvidia-smi says them.

    >>> support("580.65.06", "NVIDIA GeForce RTX 4090"), support("550.54.15", "NVIDIA GeForce RTX 4090")
    ('as it is', 'no')
    >>> support("550.54.15", "NVIDIA H100 80GB HBM3"), support("560.35.03", "NVIDIA H100 80GB HBM3")
    ('with libraries', 'no')
    """
    major = driver.partition(".")[0]
    branch = int(major) if major.isdecimal() else 0
    if branch >= LEAST:
        return "as it is"
    return "with libraries" if branch in BRANCHES and not CONSUMER.search(name) else "no"


def refusal(driver: str, name: str) -> str:
    """Why CUDA 13 does not run there, and what would."""
    older = ", ".join(map(str, BRANCHES))
    said = f"{name} has driver {driver}, but CUDA 13 of the lock needs {LEAST} or newer"
    if CONSUMER.search(name):
        return (
            f"{said} on this GPU: use a machine with driver {LEAST} or newer, or one with a data-centre GPU "
            f"(T4, L4, A10, A100, H100) and driver {older}"
        )
    return f"{said}, or one of {older} with {PACKAGE}: use a machine with one of these drivers"


def lacking(driver: str, name: str, why: str) -> str:
    """Why the libraries that this driver needs are of no use yet, and what helps."""
    return (
        f"{name} has driver {driver}, which runs CUDA 13 of the lock only with the libraries of {PACKAGE}, and {why}: "
        f"use the GPU image, which has them, install {PACKAGE} from NVIDIA's repository, or use a machine with driver "
        f"{LEAST} or newer"
    )


def first_refusal(table: Iterable[str]) -> str | None:
    """The refusal of the first GPU that cannot be used, of lines such as `NVIDIA L4, 580.95.05`."""
    for name, _, driver in (line.rpartition(", ") for line in table):
        if support(driver, name) == "no":
            return refusal(driver, name)
    return None


if __name__ == "__main__":  # asked by tools/gpu_machine.sh, before it installs anything
    sys.exit(first_refusal(sys.argv[1].splitlines()))
