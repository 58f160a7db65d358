"""The file of a toy store: `mem://box[/prefix]`, held in this process."""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

from grpo_job.run_folder.files import sha256
from grpo_job.stores.retries import Patience
from grpo_job.stores.trees import Entries, Entry, Names, fetch_tree, files_of, inside, join, revision_of, send_tree

HELD: dict[str, bytes] = {}
_LOCK = threading.Lock()


class MemoryStore:
    """`mem://box[/prefix]`, see `Store`."""

    def __init__(self, place: str, *, patience: Patience) -> None:
        self.uri = f"mem://{place}"

    def check(self, *, claims: bool = False, largest: int = 0) -> None:
        self.write(".probe", b"probe")
        self.delete(".probe")

    def put(self, folder: Path, name: str = "", *, replaces: Sequence[str] = ()) -> str:
        send_tree(self, folder, name)
        for other in replaces:
            self.delete(other)
        return revision_of(folder)

    def differences(self, folder: Path, name: str = "", *, revision: str = "") -> Names:
        return [file for file, path in files_of(folder).items() if self.differs(path, join(name, file))]

    def get(self, name: str, folder: Path) -> None:
        def fetch(source: str, target: Path) -> None:
            target.write_bytes(HELD[self._key(source)])

        fetch_tree(inside(self.uri, name, self.list(name)), fetch, folder)

    def list(self, name: str = "") -> Entries:
        below = self._key(name)
        found = [key for key in sorted(HELD) if key == below or key.startswith(f"{below}/")]
        return [Entry(key.removeprefix(f"{self.uri}/"), len(HELD[key])) for key in found]

    def delete(self, name: str) -> None:
        for entry in self.list(name):
            del HELD[self._key(entry.name)]

    def read(self, name: str) -> bytes | None:
        return HELD.get(self._key(name))

    def write(self, name: str, content: bytes) -> None:
        HELD[self._key(name)] = content

    def head(self) -> str:
        return ""

    def claim(self, name: str, holder: str, *, seen: str = "") -> bool:
        with _LOCK:
            return HELD.setdefault(self._key(name), holder.encode()) == holder.encode()

    # What `send_tree` writes with.

    def differs(self, path: Path, name: str) -> bool:
        there = self.read(name)
        return there is None or hashlib.sha256(there).hexdigest() != sha256(path)

    def send(self, path: Path, name: str) -> None:
        self.write(name, path.read_bytes())

    def _key(self, name: str) -> str:
        return f"{self.uri}/{name.strip('/')}".rstrip("/")
