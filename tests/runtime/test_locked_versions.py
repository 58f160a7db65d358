"""The versions that the check compares with are those of the locks."""

from pathlib import Path

from grpo_job.runtime import locked_versions
from grpo_job.settings.engines import ENGINES
from tools.lock_versions import as_text

LOCKS = Path(__file__).parents[2] / "locks"


def test_the_file_is_made_from_the_locks_as_they_are() -> None:
    """Where this fails: `make lock`, or `python -m tools.lock_versions locks/cpu.lock locks/gpu.lock`."""
    texts = {name: (LOCKS / f"{name}.lock").read_text() for name in ("cpu", "gpu")}
    assert locked_versions.FILE.read_text() == as_text(texts)


def test_the_packages_of_every_engine_are_locked() -> None:
    for engine in ENGINES.values():
        for kind, needs in (("cpu", engine.on_cpu), ("gpu", engine.on_gpu)):
            assert set(needs.packages if needs else ()) <= locked_versions.locked()[kind].keys()


def test_both_locks_hold_the_trackers_and_what_they_need_below_a_run_folder() -> None:
    for versions in locked_versions.locked().values():
        assert {"wandb", "tensorboard", "mlflow-skinny", "alembic", "sqlalchemy"} <= versions.keys()
        assert "math-verify" not in versions  # only a benchmark grades with it


def test_no_lock_names_a_file_outside_the_repository() -> None:
    for lock in LOCKS.glob("*.lock"):
        assert not [line for line in lock.read_text().splitlines() if line.startswith("#") and " /" in line]
        assert " -c /" not in lock.read_text()
