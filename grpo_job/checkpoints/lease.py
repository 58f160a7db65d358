"""Who may work on a run: numbered claims at a store, and file locks in the run folder.

Each attempt claims the next number: `lease/000002.json`. The highest number holds the run, and its holder renews the
claim; an attempt that finds a higher number than its own has lost the run. A contender takes over if the holder does
not renew for the length of the lease by the contender's own clock, or at once if the holder is known to be gone.

On the Hub a renewal is a commit, and the number of commits per hour is limited. So there the commits of checkpoints
renew the claim, and the holder makes another only if a contender asks for it, by a commit to a separate branch.
"""

import errno
import fcntl
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job.outcomes import InvalidRun, RunLocked
from grpo_job.run_folder import shapes
from grpo_job.run_folder.files import Damaged, parsed
from grpo_job.stores import Store

FOLDER = "lease"
NAME = re.compile(rf"{FOLDER}/(\d{{6,18}})\.json")
ANOTHER = "another attempt"


class Claim(NamedTuple):
    """What a contender sees. On the Hub, `head` changes with every commit."""

    number: int
    content: bytes
    head: str

    @property
    def says(self) -> dict[str, Any]:
        return _read(self.content)


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
        """`is_gone`: whether a holder is known to have ended. `takeover_request`: where to ask the holder to renew.

        `found` is what the last holder left. `left` is stored with the claim for the next one; until this holder sets
        it, it is what was found and one attempt more, because this one may be killed at any moment.
        """
        self.store, self.holder, self.seconds = store, holder, seconds
        self.is_gone, self.takeover_request = is_gone, takeover_request
        self.number = 0
        self.renewals = 0
        self.found: dict[str, Any] = {}
        self.left: dict[str, Any] = {}
        self._last_request = ""

    def acquire(self) -> None:
        """Hold the run from now on. Raises `RunLocked` if another attempt does."""
        before = self._look()
        if not self._is_free(before):
            before = self._wait(before)
        self.number, self.found = before.number + 1, before.says.get("left", {})
        self.left = {**self.found, "attempts": self.found.get("attempts", 0) + 1}
        if self.takeover_request:
            self._last_request = self.takeover_request.head()
        if not self.store.claim(_name(self.number), self._content(), seen=before.head):
            raise RunLocked(f"another attempt took the run at {self.store.uri} over in the same moment")

    def renew(self) -> None:
        """Show that the holder is alive. Raises `RunLocked` if the run was taken over."""
        self.assert_held()
        if self.takeover_request is None or self._is_requested(self.takeover_request):
            self.renewals += 1
            self.store.write(_name(self.number), self._content().encode())

    def assert_held(self) -> None:
        """Raises `RunLocked` if the run was taken over."""
        if self.number and (other := self.store.read(_name(self.number + 1))) is not None:
            raise RunLocked(
                f"{_read(other).get('holder', ANOTHER)} has taken the run over; nothing more is written here"
            )

    def release(self) -> None:
        """Let the next attempt take the run at once."""
        self.assert_held()
        self.store.write(_name(self.number), self._content(released=True).encode())

    def _is_requested(self, takeover_request: Store) -> bool:
        before, self._last_request = self._last_request, takeover_request.head()
        return self._last_request != before

    def _look(self) -> Claim:
        found = [NAME.fullmatch(entry.name) for entry in self.store.list(FOLDER)]
        number, content = max((int(match[1]) for match in found if match), default=0), b""
        # Listings of some stores lag behind their content.
        while (there := self.store.read(_name(number + 1))) is not None:
            number, content = number + 1, there
        if number and not content:
            content = self.store.read(_name(number)) or b""
        return Claim(number, content, self.store.head())

    def _is_free(self, claim: Claim) -> bool:
        return not claim.number or claim.says.get("released", False) or self.is_gone(claim.says.get("holder", ""))

    def _wait(self, first: Claim) -> Claim:
        """Wait until the holder is gone or its lease has expired. Raises `RunLocked` if it renews."""
        if self.takeover_request:
            self.takeover_request.write("asks.json", self._content().encode())
        end = time.monotonic() + self.seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self.seconds / 12))
            now = self._look()
            if self._is_free(now):
                return now
            if now != first:
                raise RunLocked(f"{now.says.get('holder', ANOTHER)} works on this run ({self.store.uri})")
        return first

    def _content(self, **more: Any) -> str:
        return json.dumps({"holder": self.holder, "renewals": self.renewals, "left": self.left, **more})


class HolderLocks:
    """A locked file per holder in this run folder; the system releases it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._file: int | None = None

    def lock(self) -> None:
        """Hold the lock until `unlock` or the end of this process."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path(self.holder), os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            raise InvalidRun(
                f"GRPO_OUTPUT_DIR: {self.folder} cannot be written ({error.strerror}): let the job's user write there, "
                "or use another GRPO_OUTPUT_DIR"
            ) from error
        _locked(self._file, fcntl.LOCK_EX)

    def is_gone(self, holder: str) -> bool:
        """Whether `holder` worked in this folder and its process has ended."""
        path = self._path(holder)
        if not holder or not path.is_file():
            return False
        try:
            file = os.open(path, os.O_RDONLY)  # another user's file may not be written
        except OSError:
            return False
        try:
            return _locked(file, fcntl.LOCK_SH)  # shared, because two contenders may check at the same time
        finally:
            os.close(file)

    def clear(self) -> None:
        """Remove the files of holders that are gone, after this one has a newer claim."""
        for path in self.folder.glob("*.lock"):
            if self.is_gone(path.stem):
                path.unlink(missing_ok=True)

    def is_in_place(self) -> bool:
        """Whether the file that this process has locked is still where it was: if not, the run folder is gone."""
        try:
            return self._file is None or os.path.samestat(self._path(self.holder).stat(), os.fstat(self._file))
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)

    def unlock(self, *, keep_file: bool = False) -> None:
        """`keep_file`: if the claim could not be released, so that others see that the holder is gone."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            if not keep_file:
                self._path(self.holder).unlink(missing_ok=True)

    def _path(self, holder: str) -> Path:
        return self.folder / f"{Path(holder).name}.lock"


def _locked(file: int, kind: int) -> bool:
    """False if another process holds it, or if the file system has no locks: then contenders wait."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _read(content: bytes) -> dict[str, Any]:
    """What a claim says. A damaged one says nothing: its holder is unknown, so its lease must expire."""
    try:
        return parsed(Path(FOLDER), content.decode(), shapes.Claim) if content else {}
    except (Damaged, UnicodeDecodeError):
        return {}


def _name(number: int) -> str:
    return f"{FOLDER}/{number:06d}.json"
