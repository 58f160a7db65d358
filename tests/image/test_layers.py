"""What a changed line of code makes new."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.image.containers import IMAGE, attempt, inspected, tool

ROOT = Path(__file__).parents[2]
CHANGED = "localhost/grpo-job-changed"
LARGEST_BYTES = 6_000_000  # the package with its bytecode is 5.1 MB, the embedded sample would be 2 MB more


def test_a_changed_python_file_makes_the_package_new_and_nothing_else(tmp_path: Path) -> None:
    copy_tracked_files(tmp_path)
    with (tmp_path / "grpo_job/job.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    try:
        subprocess.run(
            ["make", "image-cpu", f"IMAGE={CHANGED}", "CPU_TAG=cpu"], cwd=tmp_path, env=os.environ, check=True
        )
        new = set(layers(f"{CHANGED}:cpu")) - set(layers(IMAGE))
        assert 0 < len(new) <= 2
        assert sum(sizes(f"{CHANGED}:cpu")[-len(new) :]) < LARGEST_BYTES
    finally:
        attempt("rmi", "--force", f"{CHANGED}:cpu")


def copy_tracked_files(to: Path) -> None:
    """What a clone has, so that a file which the Dockerfile begins to copy is there."""
    told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, told.split("\0")):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)


def layers(image: str) -> list[str]:
    return list(inspected(image)["RootFS"]["Layers"])


def sizes(image: str) -> list[float]:
    """Bytes of each layer that is one, the base's first."""
    told = tool("history", "--no-trunc", "--format={{.Size}}", image).stdout.splitlines()
    return [size for size in map(in_bytes, reversed(told)) if size]


def in_bytes(text: str) -> float:
    """`3.93 MB`, as podman writes it, and `3.93MB`, as docker does."""
    number, unit = re.fullmatch(r"([\d.]+) ?([kMG]?B)", text.strip()).groups()  # type: ignore[union-attr]
    return float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
