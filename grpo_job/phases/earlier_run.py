"""What `grpo-job check` says of the run that is in the folder of GRPO_RUN_ID already: whether this one can continue it.

What only the machine that trains knows, such as its engine, is compared there; so are checkpoints at a mirror.
"""

import sys
from collections.abc import Iterator

from grpo_job.checkpoints import CheckpointManager
from grpo_job.inputs.dataset import Rows
from grpo_job.preflight.findings import Finding
from grpo_job.run_folder import identity, shapes
from grpo_job.run_folder.files import Damaged, read_json
from grpo_job.run_folder.paths import RunFolder
from grpo_job.settings import key_file
from grpo_job.settings.global_batch import planned_steps
from grpo_job.settings.schema import Settings
from grpo_job.stores import MANIFEST

NAME = "run folder"


def findings(settings: Settings, rows: Rows | None) -> Iterator[Finding]:
    """A fault for each reason why `run` would refuse to continue; `rows` is None if they could not be read.

    A run without a GRPO_RUN_ID is named by its settings, so no other is in its folder.
    """
    if not settings.run_id or not settings.folder_of_run.exists():
        return
    folder = RunFolder(settings.folder_of_run)
    folder.require_own()
    folder.require_open()
    key = key_file.read(path) if (path := settings.checkpoint_key_path) else None
    manager = CheckpointManager(folder.checkpoints, _known(settings, rows), keep=1, key=key)
    newest = manager.newest_before(sys.maxsize) if settings.resume != "never" else None
    if newest is None:
        return
    manifest = read_json(newest / MANIFEST)
    was = {name: value for name, value in manifest["identity"].items() if name in manager.identity}
    differing = identity.differences(was, manager.identity)
    faults = [identity.another_run(settings, manifest["step"], differing, has_result=_has_result(folder))]
    if rows:
        faults.append(identity.too_few_steps(settings, planned_steps(settings, len(rows.train)), manifest["step"]))
    yield from (Finding("failed", NAME, fault) for fault in faults if fault)


def _known(settings: Settings, rows: Rows | None) -> dict[str, object]:
    """The part of a checkpoint's identity that any machine can tell."""
    known = identity.identity(settings)
    if settings.learning_rate == "auto":
        del known["learning_rate"]
    return known | ({"training_rows": rows.digest} if rows else {})


def _has_result(folder: RunFolder) -> bool:
    try:
        return bool(read_json(folder.summary, shapes.Summary).get("adapter"))
    except Damaged:
        return False
