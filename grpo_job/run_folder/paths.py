"""The paths of all files in a run folder."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grpo_job.outcomes import InvalidRun
from grpo_job.run_folder import shapes
from grpo_job.run_folder.files import Damaged, read_json, read_jsonl, sha256, write_text
from grpo_job.settings import plain_files

WEIGHTS = "adapter_model.safetensors"  # as PEFT names them, in `adapter` and in every checkpoint
OF_ANOTHER_USER = (
    "cannot be read and written by this user; allowed: the user of the earlier attempts, files that were given to this "
    "one, or another GRPO_RUN_ID"
)
KEPT = "the job keeps one there: move it away, and run the same command again"


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
        self.verify = path / "verify.json"
        self.trackers = path / "trackers"
        self.heartbeat = path / "heartbeat"
        self.memory = path / "memory.json"
        self.library_log = path / "libraries.log"
        self.lease = path / "lease"

    def open(self) -> "RunFolder":
        """Create the folder. Raises `InvalidRun` if it is not writable, leads elsewhere, or another kind of thing is in
        the way."""
        self.require_own()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.heartbeat, "")
        except OSError as error:
            raise InvalidRun(
                f"GRPO_OUTPUT_DIR: the run folder {self.path} cannot be written: {error.strerror}; "
                "allowed: a folder that this user can write to"
            ) from error
        self.require_open()
        return self

    def require_own(self) -> None:
        """Raises `InvalidRun` if it leads elsewhere, or another kind of thing is in the way."""
        require_plain(self.path)
        try:
            wrong = list(self._in_the_way())
        except PermissionError as error:
            raise InvalidRun(f"GRPO_OUTPUT_DIR: {error.filename} {OF_ANOTHER_USER}") from error
        if wrong:
            raise InvalidRun(*wrong)

    def require_open(self) -> None:
        """Raises `InvalidRun` if this user cannot read and write what is there."""
        below = (Path(at, name) for at, folders, _ in os.walk(self.checkpoints) for name in folders)
        kept = {*self._kept(), *below}
        if closed := sorted(str(path) for path in kept if not _is_open(path)):
            raise InvalidRun(f"GRPO_OUTPUT_DIR: {', '.join(closed)} {OF_ANOTHER_USER}")

    def lacks(self, summary: Mapping[str, Any]) -> str:
        """What a trained run's folder should hold and does not, by its summary; empty if it holds it all."""
        try:
            return self._lost(summary) if summary.get("adapter") else ""
        except PermissionError as error:
            return f"{error.filename} cannot be read"

    def _lost(self, summary: Mapping[str, Any]) -> str:
        needed = (self.settings, self.environment, self.metrics, self.before, self.after, self.verdict)
        if missing := [str(path) for path in (*needed, self.adapter / WEIGHTS) if not path.is_file()]:
            return f"{', '.join(missing)} vanished"
        try:
            read_json(self.verdict, shapes.Verdict)
            logged = read_jsonl(self.metrics, shapes.Step)
        except Damaged as damage:
            return damage.sentence
        if not logged or logged[-1]["step"] != summary["steps"]["done"]:
            return f"{self.metrics} does not hold the last step"
        saved = {self.adapter / WEIGHTS: summary["adapter"].get("sha256")}
        for name, digest in summary.get("records", {}).items():
            saved[self.path / name] = digest
        wrong = (path for path, digest in saved.items() if not path.is_file() or sha256(path) != digest)
        return next((f"{path} has other content than was saved" for path in wrong), "")

    def _kept(self) -> set[Path]:
        return {value for value in vars(self).values() if isinstance(value, Path)}

    def _in_the_way(self) -> Iterator[str]:
        """A sentence for each file where the job keeps a folder, and for each folder or other thing for a file."""
        folders = {
            self.path, self.checkpoints, self.adapter, self.merged, self.evaluation, self.plots, self.trackers,
            self.lease,
        }  # fmt: skip
        files = self._kept() - folders
        for path in sorted({*files, *self.lease.glob("*")}):
            if (path.exists() or path.is_symlink()) and not path.is_file():
                yield f"{path} is not a file, but {KEPT}"
        for path in sorted({*folders, *self.checkpoints.glob("step-*")}):
            if (path.exists() or path.is_symlink()) and not path.is_dir():
                yield f"{path} is not a folder, but {KEPT}"


def _is_open(path: Path) -> bool:
    """Whether this user can read and write what is at `path`, if there is anything."""
    return not os.access(path, os.F_OK) or os.access(path, os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0))


def require_plain(folder: Path) -> None:
    """Raises `InvalidRun` for a run folder or published tree that links out of itself, or that no reader can take.

    Below `trackers/` are the trackers' own files, which may link to each other and are not read here.
    """
    try:
        plain_files.require_within(folder, skip=("trackers",))
        plain_files.require_shallow(folder, skip=("trackers",))
    except plain_files.NotPlain as fault:  # which begins with the name of the file
        raise InvalidRun(f"{folder}/{fault}") from fault
    except OSError as error:
        raise InvalidRun(f"{folder}: {error}") from error
