"""Names a run by its settings, training rows and start adapter, before anything is written: others are another run."""

import time
from collections.abc import MutableMapping
from typing import NamedTuple

from grpo_job.inputs.dataset import Rows
from grpo_job.inputs.start_adapter import StartAdapter
from grpo_job.monitoring import trackers
from grpo_job.outcomes import Outage
from grpo_job.preflight import training_rows
from grpo_job.run_folder.paths import RunFolder
from grpo_job.settings.schema import Settings


class Named(NamedTuple):
    """The settings with the run's name, the rows if they could be read, and when that began (monotonic seconds)."""

    settings: Settings
    rows: Rows | None
    began: float


def name_run(settings: Settings, environment: MutableMapping[str, str], start: StartAdapter | None = None) -> Named:
    """Read the rows and name the run by them and by the weights of `start`.

    Trackers that the user sent nowhere else write below its folder.

    Where the rows cannot be read, the name is that of the settings, and the run's checks say why. Raises `Outage` if
    they cannot be reached now and the name depends on them: under another name, the run would not be resumed.
    """
    began = time.monotonic()
    try:
        rows = training_rows.rows_of(settings)
    except Outage:
        if not settings.run_id:
            raise
        rows = None
    digests = (rows.digest if rows else "") + (start.sha256 if start else "")
    settings = settings.model_copy(update={"run_id": settings.name_of_run(digests)})
    for name, value in trackers.variables(settings.report_to, RunFolder(settings.folder_of_run).trackers).items():
        environment.setdefault(name, value)
    return Named(settings, rows, began)
