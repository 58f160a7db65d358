"""What a changed line of code makes new."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.image.containers import IMAGE, attempt, inspected, tool

ROOT = Path(__file__).parents[2]
PARTS = (".dockerignore", "Dockerfile", "LICENSE", "Makefile", "README.md", "entrypoint.py", "pyproject.toml")
CHANGED = "localhost/grpo-job-changed"
LARGEST_BYTES = 5_000_000


def test_a_changed_python_file_makes_less_than_5_megabytes_new(tmp_path: Path) -> None:
    for name in PARTS:
        shutil.copy2(ROOT / name, tmp_path)
    for name in ("grpo_job", "locks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
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


def layers(image: str) -> list[str]:
    return list(inspected(image)["RootFS"]["Layers"])


def sizes(image: str) -> list[int]:
    """Bytes of each layer that is one, the base's first."""
    told = tool("history", "--human=false", "--no-trunc", "--format={{.Size}}", image).stdout.split()
    return [size for size in map(int, reversed(told)) if size]
