"""`file:///folder`: a folder, or a volume mounted there.

The folder itself may be a mount point, so nothing is renamed over it: each file is written to a temporary
file, flushed to disk and renamed, and the manifest of the tree is written last.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import unquote

from grpo_job.outcomes import InvalidRun
from grpo_job.run_folder.files import flush_folder, sha256
from grpo_job.stores import trees
from grpo_job.stores.retries import CHECK, SLOWEST, Patience, StoreFailed, TooSlow, within
from grpo_job.stores.trees import MANIFEST, Entries, Entry, Names

T = TypeVar("T")

CHECK_SECONDS = CHECK.seconds
UNFINISHED = ".unfinished-"
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)  # what file systems without hard links say


class LocalStore:
    """`file:///folder`, see `Store`. Raises `InvalidRun` if the address is not an absolute path."""

    def __init__(self, place: str, *, patience: Patience) -> None:
        self.uri = f"file://{place}"
        self._root = Path(unquote(place))
        self._patience = patience
        if not self._root.is_absolute():
            raise InvalidRun(f"{self.uri} is not an absolute path; allowed: file:///folder, with three slashes.")

    def check(self, *, claims: bool = False, largest: int = 0) -> None:
        try:
            self._in_time(CHECK_SECONDS, self._probe)
        except StoreFailed as failure:
            raise failure.as_refusal() from failure

    def put(self, folder: Path, name: str = "", *, replaces: Sequence[str] = ()) -> str:
        def send() -> str:
            trees.send_tree(self, folder, name)
            for other in replaces:
                self.delete(other)
            return trees.revision_of(folder)

        patience = max(self._patience.seconds, CHECK_SECONDS)  # a slow disk is no outage
        with self._sentences():
            return self._in_time(patience + trees.size_of(folder) / SLOWEST, send)

    def differences(self, folder: Path, name: str = "", *, revision: str = "") -> Names:
        with self._sentences():
            return [file for file, path in trees.files_of(folder).items() if self.differs(path, trees.join(name, file))]

    def get(self, name: str, folder: Path) -> None:
        with self._sentences():
            trees.fetch_tree(trees.inside(self.uri, name, self.list(name)), self._fetch, folder)

    def list(self, name: str = "") -> Entries:
        with self._sentences():
            path = self._path(name)
            if path.is_file():
                return [Entry(name, path.stat().st_size)]
            return [
                Entry(trees.join(name, file), there.stat().st_size)
                for file, there in trees.files_of(path).items()
                if not there.name.startswith(UNFINISHED)
            ]

    def delete(self, name: str) -> None:
        with self._sentences():
            path = self._path(name)
            if path.is_dir():
                (path / MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(path)
            path.unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        with self._sentences():
            path = self._path(name)
            return path.read_bytes() if path.is_file() else None

    def write(self, name: str, content: bytes) -> None:
        with self._sentences():
            self._arrive(name, lambda file: file.write(content))

    def head(self) -> str:
        return ""

    def claim(self, name: str, holder: str, *, seen: str = "") -> bool:
        with self._sentences():
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.parent / f"{UNFINISHED}{secrets.token_hex(8)}"
            try:
                temporary.write_bytes(holder.encode())
                _link(temporary, path)
            except FileExistsError:
                return path.read_bytes() == holder.encode()
            finally:
                temporary.unlink(missing_ok=True)
            return True

    # What `send_tree` writes with.

    def differs(self, path: Path, name: str) -> bool:
        there = self._path(name)
        if not there.is_file() or there.stat().st_size != path.stat().st_size:
            return True
        return sha256(there) != sha256(path)

    def send(self, path: Path, name: str) -> None:
        def copy(file: BinaryIO) -> None:
            with path.open("rb") as source:
                shutil.copyfileobj(source, file)

        self._arrive(name, copy)

    def _probe(self) -> None:
        name, content = f".probe-{secrets.token_hex(4)}", secrets.token_bytes(16)
        self.write(name, content)
        if self.read(name) != content:
            raise StoreFailed(f"{self.uri}: a file written there reads back differently: use another folder.")
        self.delete(name)

    def _in_time(self, seconds: float, work: Callable[[], T]) -> T:
        """Calls on a volume whose server is gone do not fail: they block forever."""
        try:
            return within(seconds, work)
        except TooSlow as error:
            raise StoreFailed(f"{self.uri} does not respond ({error}): check the volume.", outage=True) from error

    def _path(self, name: str) -> Path:
        return self._root / name.strip("/")

    def _fetch(self, name: str, target: Path) -> None:
        shutil.copyfile(self._path(name), target)
        if sha256(target) != sha256(self._path(name)):
            raise StoreFailed(f"{self.uri}/{name} changed while it was read: try again.")

    def _arrive(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Writes a file completely or not at all, and returns once it is on disk."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{UNFINISHED}{secrets.token_hex(8)}"
        try:
            with temporary.open("wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        flush_folder(path.parent)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreFailed(f"{self.uri} cannot be used ({error}): {_cure(error)}.") from error
        except ValueError as error:  # a path with a NUL, or with half a character
            raise StoreFailed(f"{self.uri} cannot be used ({error}): correct the address.") from error


def _link(file: Path, name: Path) -> None:
    """Give the content of `file` a `name`. Raises `FileExistsError` if that is taken.

    link() is atomic, on NFS too. Where there are no hard links (exFAT, SMB, most of FUSE), the name is taken first: who
    reads in between finds an empty claim, whose holder is unknown.
    """
    try:
        os.link(file, name)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        with name.open("xb") as taken:
            taken.write(file.read_bytes())
            taken.flush()
            os.fsync(taken.fileno())


def _cure(error: OSError) -> str:
    match error:
        case PermissionError():
            return "let the job's user write there, or name another folder"
        case _ if error.errno == 28:
            return "free some space there, or name a folder on a larger disk"
        case _ if error.errno == 30:
            return "mount it writable, or name another folder"
        case _:
            return "name a folder that can be written"
