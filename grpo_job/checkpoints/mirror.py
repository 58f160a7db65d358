"""Copies checkpoints to a store in the background.

One checkpoint is sent at a time; of those saved meanwhile, only the newest waits. So training never waits, and the
store may lack some that are kept here.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from grpo_job.checkpoints.manager import NAME, Checkpoint, CheckpointManager
from grpo_job.checkpoints.validity import name_of
from grpo_job.outcomes import RunLocked, Unexpected
from grpo_job.run_folder.files import remove
from grpo_job.settings.schema import Settings
from grpo_job.settings.schemes import scheme_of
from grpo_job.stores import MANIFEST, Outpaced, Patience, Silence, Store, StoreFailed, open_store

ARRIVING = ".arriving"
REPORT_SECONDS = 60.0  # between two reports, for the Hub takes some 128 commits an hour
# A checkpoint that does not reach the mirror in this time, plus that for its size, is left to the next one.
PATIENCE = Patience(seconds=45, call=20)


class Mirror:
    """The checkpoints of one run at one store.

    `assert_held` raises `RunLocked` if another attempt has taken the run over; then `on_lost` ends this one.
    """

    def __init__(
        self, store: Store, keep: int, assert_held: Callable[[], None], on_lost: Callable[[str], object]
    ) -> None:
        self.store, self.keep, self.assert_held, self.on_lost = store, keep, assert_held, on_lost
        self.seconds: list[float] = []  # of each upload
        self._changed = threading.Condition()
        self._waiting: Checkpoint | None = None
        self._going: Checkpoint | None = None
        self._report: Path | None = None
        self._reported_at = -REPORT_SECONDS
        self._troubles: list[str] = []
        self._thread: threading.Thread | None = None

    def send(self, checkpoint: Checkpoint) -> None:
        """Send `checkpoint` after the one being sent; it replaces one that is still waiting."""
        with self._changed:
            self._waiting = checkpoint
            self._wake()

    def send_report(self, report: Path, *, last: bool = False) -> None:
        """Send `report` beside the checkpoints, after those that wait; unless it is the `last`, once in a while."""
        with self._changed:
            if last or time.monotonic() - self._reported_at >= REPORT_SECONDS:
                self._report, self._reported_at = report, time.monotonic()
                self._wake()

    def _wake(self) -> None:
        self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
            self._thread.start()

    def pinned(self) -> list[Path]:
        """Folders being read, which must not be removed."""
        with self._changed:
            return [checkpoint.folder for checkpoint in (self._waiting, self._going) if checkpoint]

    def troubles(self) -> list[str]:
        """A sentence for each failure since the last call."""
        with self._changed:
            told, self._troubles = self._troubles, []
        return told

    def finish(self, seconds: float, *, report: bool = False) -> bool:
        """Wait until the checkpoints, and the `report` too, were sent or failed; False if it takes over `seconds`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not (self._waiting or self._going or (report and self._report)), timeout=seconds
            )

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints at the store, newest first."""
        names = (Path(entry.name) for entry in self.store.list())
        found = [NAME.fullmatch(str(name.parent)) for name in names if name.name == MANIFEST]
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def bring_newer(self, manager: CheckpointManager, than: int) -> list[str]:
        """Download the newest valid checkpoint if it is of a later step; a sentence for each damaged one.

        Raises `Unexpected` if the store cannot be listed, because restarting would lose the run.
        """
        damages = []
        try:
            for step in self.steps():
                if step <= than:
                    break
                if step in manager.unusable:
                    continue
                damage = self._bring(manager, step)
                if damage is None:
                    break
                damages.append(f"checkpoint {name_of(step)} at {self.store.uri} is damaged and not used: {damage}")
        except StoreFailed as failure:
            self._unknown(failure)
        return damages

    def forget(self) -> None:
        """Remove all checkpoints at the store: a restarted run must not find those of an earlier one."""
        try:
            for step in self.steps():
                self.store.delete(name_of(step))
        except StoreFailed as failure:
            self._unknown(failure)

    def _unknown(self, failure: StoreFailed) -> NoReturn:
        raise Unexpected(f"cannot tell which checkpoints {self.store.uri} holds: {failure}") from failure

    def _bring(self, manager: CheckpointManager, step: int) -> str | None:
        """Download a checkpoint to the manager's; its damage, or None."""
        arriving = manager.folder / ARRIVING
        remove(arriving)
        folder = arriving / name_of(step)
        self.store.get(name_of(step), folder)
        damage = manager.damage_of(folder)
        if damage is None:
            manager.put_in_place(folder, manager.folder / name_of(step))
        remove(arriving)
        return damage

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._report is not None)
                self._going, self._waiting = self._waiting, None
                checkpoint, report = self._going, self._report
            try:
                if checkpoint:
                    self._put(checkpoint)
                elif report:
                    self.assert_held()
                    self.store.write(report.name, report.read_bytes())
            except (RunLocked, Outpaced) as lost:
                self.on_lost(str(lost))
            except Exception as failure:  # the thread must survive: the next step logs the failure
                what = f"checkpoint {checkpoint.folder.name}" if checkpoint else "the report"
                self._failed(f"{what} did not reach {self.store.uri}: {failure}")
            with self._changed:
                self._going = None
                if not checkpoint and self._report == report:
                    self._report = None
                self._changed.notify_all()

    def _put(self, checkpoint: Checkpoint) -> None:
        self.assert_held()
        began = time.monotonic()
        others = [step for step in self.steps() if step != checkpoint.step]
        self.store.put(
            checkpoint.folder,
            checkpoint.folder.name,
            replaces=[name_of(step) for step in others[max(self.keep - 1, 0) :]],
        )
        self.seconds.append(time.monotonic() - began)

    def _failed(self, sentence: str) -> None:
        with self._changed:
            self._troubles.append(sentence)


def stores_of(
    settings: Settings, environment: Mapping[str, str], silence: Silence
) -> tuple[Store | None, Store | None]:
    """The stores of the checkpoints and, on the Hub, of takeover requests."""
    if not settings.checkpoint_to:
        return None, None
    scheme = scheme_of(settings.checkpoint_to)
    place = scheme.place_of_run(settings.checkpoint_to, settings.name_of_run())
    patience = replace(PATIENCE, silence=silence)
    opened = partial(open_store, private=settings.publish_private, environment=environment, patience=patience)
    takeover_request = scheme.place_of_takeover_request(place)
    return opened(place), opened(takeover_request) if takeover_request else None
