"""Who may work on a run: numbered claims at a store, and file locks in the run folder.

Each attempt claims the next number: `lease/000002.json`. The highest number holds the run, and its
holder renews the claim; who finds a higher number than its own has lost the run. A contender takes
over once the holder did not renew for as long as the lease lasts, as the contender's own clock
counts it, or at once where the holder is known to be gone.

On the Hub a commit is a renewal, and only so many are allowed in an hour. So there the commits of
checkpoints renew, and one more where a contender asks for it: it rings, by a commit to a branch
beside the run's, which the holder looks at.
"""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job.outcomes import RunLocked
from grpo_job.stores import Store

FOLDER = "lease"


class Claim(NamedTuple):
    """What a contender sees. `head` changes with every commit, on the Hub."""

    number: int
    content: bytes
    head: str

    @property
    def says(self) -> dict[str, Any]:
        return dict(json.loads(self.content)) if self.content else {}


class Lease:
    """One attempt's hold on a run at one store."""

    def __init__(
        self,
        store: Store,
        holder: str,
        seconds: float,
        is_gone: Callable[[str], bool],
        takeover_request: Store | None = None,
    ) -> None:
        """`is_gone` answers whether a holder is known to have ended; a `takeover_request` makes the holder renew.

        `left` is what stands beside the claim for the next holder; before this one sets it, what it found.
        """
        self.store, self.holder, self.seconds, self.is_gone, self.takeover_request = (
            store,
            holder,
            seconds,
            is_gone,
            takeover_request,
        )
        self.number = 0
        self.renewals = 0
        self.left: dict[str, Any] = {}
        self._rung = ""

    def acquire(self) -> None:
        """Hold the run from now on. Raises `RunLocked` where another attempt does."""
        before = self._look()
        if not self._is_free(before):
            before = self._wait(before)
        self.number, self.left = before.number + 1, before.says.get("left", {})
        if self.takeover_request:
            self._rung = self.takeover_request.head()
        if not self.store.claim(_name(self.number), self._content(), seen=before.head):
            raise RunLocked(f"another attempt took the run at {self.store.uri} over in the same moment")

    def renew(self) -> None:
        """Say that the holder is alive. Raises `RunLocked` where the run was taken over."""
        self.assert_held()
        if self.takeover_request is None or self._rings(self.takeover_request):
            self.renewals += 1
            self.store.write(_name(self.number), self._content().encode())

    def assert_held(self) -> None:
        """Raises `RunLocked` where the run was taken over."""
        if self.number and (other := self.store.read(_name(self.number + 1))) is not None:
            raise RunLocked(f"{json.loads(other)['holder']} has taken the run over; nothing more is written here")

    def release(self) -> None:
        """Let the next attempt begin at once."""
        self.assert_held()
        self.store.write(_name(self.number), self._content(released=True).encode())

    def _rings(self, takeover_request: Store) -> bool:
        before, self._rung = self._rung, takeover_request.head()
        return self._rung != before

    def _look(self) -> Claim:
        numbers = [int(Path(entry.name).stem) for entry in self.store.list(FOLDER) if entry.name.endswith(".json")]
        number, content = max(numbers, default=0), b""
        # Some stores list late what they already hold.
        while (there := self.store.read(_name(number + 1))) is not None:
            number, content = number + 1, there
        return Claim(number, content or self._content_of(number), self.store.head())

    def _content_of(self, number: int) -> bytes:
        return (self.store.read(_name(number)) or b"") if number else b""

    def _is_free(self, claim: Claim) -> bool:
        return not claim.number or claim.says.get("released", False) or self.is_gone(claim.says.get("holder", ""))

    def _wait(self, first: Claim) -> Claim:
        """Until the holder is gone or its lease could have run out. Raises `RunLocked` when it renews."""
        if self.takeover_request:
            self.takeover_request.write("asks.json", self._content().encode())
        end = time.monotonic() + self.seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self.seconds / 12))
            now = self._look()
            if self._is_free(now):
                return now
            if now != first:
                raise RunLocked(f"{now.says.get('holder', 'another attempt')} works on this run ({self.store.uri})")
        return first

    def _content(self, **more: Any) -> str:
        return json.dumps({"holder": self.holder, "renewals": self.renewals, "left": self.left, **more})


class HolderLocks:
    """A locked file for each holder that works in this run folder: free when its process is gone, however it ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._file: int | None = None

    def lock(self) -> None:
        """Hold the lock until `unlock`, or until this process ends, however it ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path(self.holder), os.O_CREAT | os.O_RDWR, 0o644)
        _locked(self._file, fcntl.LOCK_EX)

    def is_gone(self, holder: str) -> bool:
        """Whether `holder` worked in this folder, and its process does not live any more."""
        path = self._path(holder)
        if not holder or not path.is_file():
            return False
        file = os.open(path, os.O_RDWR)
        try:
            return _locked(file, fcntl.LOCK_SH)  # shared: two contenders may look at once
        finally:
            os.close(file)

    def clear(self) -> None:
        """Remove the files of those that are gone: their claims are succeeded by one's own."""
        for path in self.folder.glob("*.lock"):
            if self.is_gone(path.stem):
                path.unlink(missing_ok=True)

    def unlock(self, *, keep_file: bool = False) -> None:
        """`keep_file`: so that others see that the holder is gone, which its claim does not say."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            if not keep_file:
                self._path(self.holder).unlink(missing_ok=True)

    def _path(self, holder: str) -> Path:
        return self.folder / f"{Path(holder).name}.lock"


def _locked(file: int, kind: int) -> bool:
    """False where another holds it, or where the file system knows no locks: then waiting decides."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _name(number: int) -> str:
    return f"{FOLDER}/{number:06d}.json"
