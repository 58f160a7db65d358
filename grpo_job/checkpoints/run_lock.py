"""Keeps two attempts from working on one run: a lease in the run folder, and one at the mirror.

A thread renews them. An attempt that was frozen or offline while another took the run over learns of it from
`assert_held`, which is called before anything is written, or from that thread.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from grpo_job.checkpoints.lease import FOLDER, HolderLocks, Lease
from grpo_job.outcomes import InvalidRun, RunLocked, Unexpected
from grpo_job.run_folder.files import FIND_OUT, VANISHED
from grpo_job.stores import Outpaced, Store, StoreFailed, open_store

RENEWALS_IN_A_LEASE = 4
UNKNOWN = "cannot tell whether another attempt is running: "


class RunLock:
    """One attempt's hold on one run."""

    def __init__(
        self,
        folder: Path,
        remote: Store | None,
        seconds: float,
        on_lost: Callable[[str], object],
        *,
        takeover_request: Store | None = None,
    ) -> None:
        """`on_lost` is called in a thread with the reason if another attempt has taken the run over."""
        self.seconds, self.on_lost = seconds, on_lost
        self.locks = HolderLocks(folder / FOLDER)
        self.here = self._lease(open_store(f"file://{quote(str(folder))}"))
        self.there = [self._lease(remote, takeover_request)] if remote else []
        self._over, self._writing = threading.Event(), threading.Lock()
        self._trouble = ""

    def acquire(self) -> dict[str, Any]:
        """Hold the run from now on; returns what the previous attempt left at the mirror.

        Raises `RunLocked` if another attempt holds it, `InvalidRun` if the mirror refuses the lease, and `Outage` if
        it cannot be reached.
        """
        self.locks.lock()
        try:
            self._acquire(self.here, UNKNOWN)
            for lease in self.there:
                self._acquire(lease, f"GRPO_CHECKPOINT_TO: {UNKNOWN}")
        except (RunLocked, Unexpected, InvalidRun):
            self._let_go()
            raise
        self.locks.clear()
        threading.Thread(target=self._renew, name="lease", daemon=True).start()
        return next((lease.found for lease in self.there), {})

    def _acquire(self, lease: Lease, told: str) -> None:
        """A folder of this machine may come back, and an outage passes; what a store refuses, it refuses again."""
        try:
            lease.acquire()
        except StoreFailed as failure:
            if lease is self.here:
                raise Unexpected(f"{told}{failure}") from failure
            raise failure.as_refusal(told) from failure

    def leave(self, values: dict[str, Any]) -> None:
        """Leave values for the next attempt on any machine: stored with the next renewal, and at release."""
        for lease in (self.here, *self.there):
            lease.left = values

    def assert_held(self) -> None:
        """Raises `RunLocked` if another attempt has taken the run over in this folder, `Unexpected` if it vanished."""
        if gone := self.gone():
            raise Unexpected(gone)
        self.here.assert_held()

    def gone(self) -> str:
        """What to say if the run folder was removed, moved or unmounted meanwhile; empty if it is in its place."""
        if self.locks.is_in_place():
            return ""
        return f"the run folder {self.locks.folder.parent} {VANISHED}: {FIND_OUT}"

    def assert_held_everywhere(self) -> None:
        """As `assert_held`, at the store too. Raises `StoreFailed` if the store cannot tell."""
        self.assert_held()
        for lease in self.there:
            lease.assert_held()

    def release(self) -> str:
        """Let the next attempt begin at once; returns what went wrong, which costs it only time."""
        self._over.set()
        trouble = ""
        try:
            with self._writing:  # a renewal under way would overwrite what is left for the next attempt
                for lease in self._leases():
                    lease.release()
        except (StoreFailed, RunLocked) as failure:
            trouble = str(failure)
        self.locks.unlock(keep_file=bool(trouble))
        return trouble

    def trouble(self) -> str:
        """What went wrong with renewing since the last call."""
        told, self._trouble = self._trouble, ""
        return told

    def _let_go(self) -> None:
        """Release what was acquired, because the rest could not be."""
        if self.here.number:
            self.here.left = self.here.found  # this attempt does nothing, and is none
            self.here.release()
        self.locks.unlock()

    def _lease(self, store: Store, takeover_request: Store | None = None) -> Lease:
        return Lease(store, self.locks.holder, self.seconds, self.locks.is_gone, takeover_request)

    def _leases(self) -> list[Lease]:
        """Those to be written: writing to a folder that vanished would create it again."""
        return [*self.there, *([self.here] if self.locks.is_in_place() else [])]

    def _renew(self) -> None:
        while not self._over.wait(self.seconds / RENEWALS_IN_A_LEASE):
            try:
                with self._writing:
                    if not self._over.is_set():
                        self._renew_all()
            except (RunLocked, Outpaced) as lost:
                if not self._over.is_set():
                    self.on_lost(str(lost))
            except StoreFailed as failure:
                self._trouble = f"the lease is not renewed: {failure}"

    def _renew_all(self) -> None:
        for lease in self._leases():
            lease.renew()
