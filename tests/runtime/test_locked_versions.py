"""The versions that the check compares with are those of the locks."""

from pathlib import Path

from grpo_job.preflight.versions import MATTERS, ON_CPU
from grpo_job.runtime import locked_versions
from tools.lock_versions import as_text

LOCKS = Path(__file__).parents[2] / "locks"


def test_the_file_is_made_from_the_locks_as_they_are() -> None:
    """Where this fails: `make lock`, or `python -m tools.lock_versions locks/cpu.lock locks/gpu.lock`."""
    texts = {name: (LOCKS / f"{name}.lock").read_text() for name in ("cpu", "gpu")}
    assert locked_versions.FILE.read_text() == as_text(texts)


def test_what_an_engine_stands_on_is_locked() -> None:
    assert set(ON_CPU) <= locked_versions.locked()["cpu"].keys()
    for packages in MATTERS.values():
        assert set(packages) <= locked_versions.locked()["gpu"].keys()
