"""Trees of files: what a folder holds, what a store should hold, and in which order it is written.

A tree is complete if its `manifest.json` is there. So the manifest is the last file to be written and
the first to be removed, and a tree that is being replaced has none.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from grpo_job.run_folder.files import sha256
from grpo_job.stores.retries import StoreFailed

MANIFEST = "manifest.json"
CHUNK = 1 << 20


class Entry(NamedTuple):
    """A file at a store: its name below the store's URI, its size, and the store's digest if it tells."""

    name: str
    size: int
    digest: str = ""


# Stores have a method `list`, which hides the builtin in their annotations.
Names = list[str]
Entries = list[Entry]


class Objects(Protocol):
    """A store that writes files one by one, so the order matters."""

    def differs(self, path: Path, name: str) -> bool: ...

    def send(self, path: Path, name: str) -> None: ...

    def read(self, name: str) -> bytes | None: ...

    def delete(self, name: str) -> None: ...


def join(*names: str) -> str:
    """`join("", "run", "a.json")` is `run/a.json`."""
    return "/".join(name.strip("/") for name in names if name.strip("/"))


def files_of(folder: Path) -> dict[str, Path]:
    """Every file below `folder` by its name in the tree, the manifest last."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return dict(sorted(found.items(), key=lambda item: (item[0] == MANIFEST, item[0])))


def size_of(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in files_of(folder).values())


def revision_of(folder: Path) -> str:
    """Identifies the tree in `folder`: the digest of its manifest, or of what a manifest would contain."""
    files = files_of(folder)
    if MANIFEST in files:
        return sha256(files[MANIFEST])
    listing = json.dumps({name: sha256(path) for name, path in files.items()})
    return hashlib.sha256(listing.encode()).hexdigest()


def manifest_of(folder: Path, **facts: Any) -> bytes:
    """The manifest of the files in `folder`, equal for equal files."""
    files = {
        name: {"sha256": sha256(path), "size": path.stat().st_size}
        for name, path in files_of(folder).items()
        if name != MANIFEST
    }
    return json.dumps({**facts, "files": files}, indent=1, sort_keys=True).encode() + b"\n"


def leftovers(old_manifest: bytes | None, files: Iterable[str]) -> list[str]:
    """The files that the manifest of an earlier tree names and the new tree lacks."""
    try:
        named = json.loads(old_manifest or b"{}").get("files", {})
    except (ValueError, AttributeError):
        return []
    return sorted({str(name) for name in named if is_safe(str(name))} - set(files))


def is_safe(name: str) -> bool:
    """Whether a name from outside stays inside the folder it is put in."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts


def send_tree(store: Objects, folder: Path, name: str) -> None:
    """Makes the tree `name` at a store equal to `folder`: sends only what is missing, the manifest last."""
    files = files_of(folder)
    missing = [file for file in files if store.differs(files[file], join(name, file))]
    if not missing:
        return
    for file in leftovers(store.read(join(name, MANIFEST)), files):
        store.delete(join(name, file))
    if MANIFEST in files:
        store.delete(join(name, MANIFEST))
        missing = [file for file in missing if file != MANIFEST] + [MANIFEST]
    for file in missing:
        store.send(files[file], join(name, file))


def inside(uri: str, name: str, entries: Iterable[Entry]) -> dict[str, str]:
    """The files of the tree or file `name`: their names in it, and their names at the store.

    `inside("s3://b", "run", [Entry("run/a.json", 3)])` is `{"a.json": "run/a.json"}`.
    """
    found = {entry.name[len(name) :].strip("/"): entry.name for entry in entries}
    if not found:
        raise StoreFailed(f"{join(uri, name)} has no files: check the address.")
    return {file or PurePosixPath(join(uri, name)).name: full for file, full in found.items()}


def fetch_tree(names: Mapping[str, str], fetch: Callable[[str, Path], None], folder: Path) -> None:
    """Downloads files to `folder`: first all of them to a temporary folder, then each is moved, the manifest last.

    `names` maps the name of each file in the tree to the name that `fetch` takes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = sorted((name for name in names if is_safe(name)), key=lambda name: (name == MANIFEST, name))
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=folder) as incoming:
        for name in order:
            target = Path(incoming, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            fetch(names[name], target)
        for name in order:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Path(incoming, name).replace(folder / name)
