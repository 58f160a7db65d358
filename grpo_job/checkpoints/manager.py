"""Turns what the trainer wrote into a checkpoint, atomically.

The trainer writes to `checkpoints/.partial`. Each file is hashed and flushed, the metrics so far are added,
`manifest.json` is written last, and the folder is renamed to `checkpoints/step-000010`. A folder without a matching
manifest is not a checkpoint.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job.checkpoints.validity import damage_of, digest_of, name_of, signed
from grpo_job.run_folder.files import flush_folder, read_json, remove, sha256, share_as_folder, write_bytes, write_json
from grpo_job.run_folder.identity import differences
from grpo_job.stores import MANIFEST
from grpo_job.stores.trees import files_of

PARTIAL = ".partial"
REPLACED = ".replaced"
NAME = re.compile(r"step-(\d{6,})")
# Written by the trainers, not needed to resume, and not to be published (a pickle; a card).
DROPPED = ("training_args.bin", "README.md")


class Checkpoint(NamedTuple):
    """A verified checkpoint: the step after which it was saved, its folder, its manifest."""

    step: int
    folder: Path
    manifest: dict[str, Any]


class CheckpointManager:
    """The checkpoints of one run folder.

    `identity`: what a checkpoint must match to be resumed, the settings that change the result and the revisions of
    model and rows. `extras`: files to copy into each checkpoint (the metrics so far). `facts`: further entries of the
    manifest. `key`: signs each manifest, and only checkpoints that it signed are valid.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, Any],
        *,
        keep: int,
        extras: tuple[Path, ...] = (),
        facts: Mapping[str, Any] | None = None,
        key: bytes | None = None,
    ) -> None:
        self.folder, self.keep, self.extras, self.facts = folder, keep, extras, dict(facts or {})
        self.key = key
        self.unusable: set[int] = set()  # steps whose checkpoint the engine refused
        self.pinned: Callable[[], list[Path]] = list  # folders being read, to be removed later
        self.identity: dict[str, Any] = json.loads(json.dumps(dict(identity)))  # as it is loaded back
        self.last_saved = time.monotonic()

    @property
    def partial(self) -> Path:
        """Where the trainer writes; emptied when a run starts."""
        return self.folder / PARTIAL

    def clear_partial(self) -> None:
        """Remove what an earlier attempt left incomplete."""
        for leftover in (self.partial, self.folder / REPLACED):
            remove(leftover)
        self.partial.mkdir(parents=True)

    def forget(self) -> None:
        """Remove all checkpoints: a restarted run must not find the later steps of an earlier one."""
        for folder in self._newest_first():
            shutil.rmtree(folder)

    def commit(self, step: int, written: Path) -> Checkpoint:
        """Make the trainer's folder `written` the checkpoint of `step`; remove the oldest ones beyond `keep`."""
        for name in DROPPED:
            (written / name).unlink(missing_ok=True)
        for extra in self.extras:
            if extra.is_file():
                shutil.copyfile(extra, written / extra.name)
        files = {name: _digest(path) for name, path in files_of(written).items() if name != MANIFEST}
        facts = {**self.facts, "facts_sha256": digest_of(self.facts)}
        manifest = {"step": step, "identity": self.identity, **facts, "files": files}
        write_json(written / MANIFEST, signed(manifest, self.key))
        share_as_folder(written)
        flush_folder(written)
        final = self.folder / name_of(step)
        self.put_in_place(written, final)
        self.last_saved = time.monotonic()
        self._prune()
        return Checkpoint(step, final, manifest)

    def restore_extras(self, checkpoint: Checkpoint | None) -> None:
        """Restore the extras from `checkpoint`; without one, remove them."""
        for extra in self.extras:
            kept = checkpoint.folder / extra.name if checkpoint else None
            if kept and kept.is_file():
                write_bytes(extra, kept.read_bytes())
            else:
                extra.unlink(missing_ok=True)

    def newest_good(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest valid checkpoint of this run, and a sentence for each newer one that is damaged or of another run.

        If all valid ones are of another run, the newest of them, for which `differences` is not empty.
        """
        strangers: list[Checkpoint] = []
        damages: list[str] = []
        for folder in self._newest_first():
            if damage := self.damage_of(folder):
                damages.append(f"checkpoint {folder.name} is damaged and not used: {damage}")
                continue
            manifest = read_json(folder / MANIFEST)
            checkpoint = Checkpoint(manifest["step"], folder, manifest)
            differences = self.differences(checkpoint)
            if not differences:
                return checkpoint, damages
            strangers.append(checkpoint)
            damages.append(f"checkpoint {folder.name} is of another run and not used: {'; '.join(differences)}")
        return (strangers[0], []) if strangers else (None, damages)

    def damage_of(self, folder: Path) -> str | None:
        """Why `folder` is not a valid checkpoint of this run's key, or None."""
        return damage_of(folder, self.key)

    def set_aside(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint that the engine cannot use under a name that is no checkpoint's, and do not fetch it."""
        self.unusable.add(checkpoint.step)
        self.put_in_place(checkpoint.folder, self.folder / f"unusable-{checkpoint.folder.name}")

    def newest_before(self, step: int) -> Path | None:
        """The newest whole checkpoint of `step` or an earlier one."""
        early = (folder for folder in self._newest_first() if int(folder.name.rpartition("-")[2]) <= step)
        return next((folder for folder in early if self.damage_of(folder) is None), None)

    def differences(self, checkpoint: Checkpoint) -> list[str]:
        """How `identity` differs from the checkpoint's, as `name: old -> new`."""
        return differences(checkpoint.manifest["identity"], self.identity)

    def put_in_place(self, written: Path, final: Path) -> None:
        """Rename; an old checkpoint of this step is moved first, because rename cannot replace a non-empty folder."""
        aside = self.folder / REPLACED
        remove(aside)
        if final.exists():
            final.rename(aside)
        written.rename(final)
        flush_folder(self.folder)
        remove(aside)

    def _newest_first(self) -> list[Path]:
        """By number, because names are longer from a million steps on."""
        found = {path: match for path in self.folder.glob("step-*") if (match := NAME.fullmatch(path.name))}
        return sorted((path for path in found if path.is_dir()), key=lambda path: int(found[path][1]), reverse=True)

    def _prune(self) -> None:
        """Damaged ones do not count, so the last valid one always stays."""
        good = 0
        for folder in self._newest_first():
            if good >= self.keep:
                if folder not in self.pinned():
                    shutil.rmtree(folder)
            elif self.damage_of(folder) is None:
                good += 1


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return {"sha256": sha256(path), "bytes": path.stat().st_size}
