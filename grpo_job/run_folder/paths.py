"""The paths of all files in a run folder."""

from pathlib import Path

from grpo_job.outcomes import InvalidRun
from grpo_job.run_folder.files import write_text
from grpo_job.settings import plain_files

WEIGHTS = "adapter_model.safetensors"  # as PEFT names them, in `adapter` and in every checkpoint


class RunFolder:
    """`GRPO_OUTPUT_DIR/GRPO_RUN_ID/`. Only paths; a file may not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / "settings.json"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.completions = path / "completions.jsonl"
        self.judged = path / "judged.jsonl"
        self.checkpoints = path / "checkpoints"
        self.adapter = path / "adapter"
        self.best_adapter = path / "best_adapter.safetensors"
        self.start_adapter = path / "start_adapter.safetensors"
        self.merged = path / "merged"
        self.evaluation = path / "evaluation"
        self.before = self.evaluation / "before.jsonl"
        self.warm = self.evaluation / "warm.jsonl"
        self.after = self.evaluation / "after.jsonl"
        self.verdict = self.evaluation / "evaluation.json"
        self.choosing = self.evaluation / "choosing.jsonl"
        self.report = path / "report.html"
        self.plots = path / "plots"
        self.summary = path / "summary.json"
        self.trackers = path / "trackers"
        self.heartbeat = path / "heartbeat"
        self.memory = path / "memory.json"
        self.library_log = path / "libraries.log"

    def open(self) -> "RunFolder":
        """Create the folder. Raises `InvalidRun` if it is not writable, or leads elsewhere."""
        require_plain(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.heartbeat, "")
        except OSError as error:
            raise InvalidRun(
                f"GRPO_OUTPUT_DIR: the run folder {self.path} cannot be written: {error.strerror}; "
                "allowed: a folder that this user can write to"
            ) from error
        return self


def require_plain(folder: Path) -> None:
    """Raises `InvalidRun` for a run folder or published tree that links out of itself, or that no reader can take.

    Below `trackers/` are the trackers' own files, which may link to each other and are not read here.
    """
    try:
        plain_files.require_within(folder, skip=("trackers",))
        plain_files.require_shallow(folder, skip=("trackers",))
    except (plain_files.NotPlain, OSError) as error:
        raise InvalidRun(f"{folder}: {error}") from error
