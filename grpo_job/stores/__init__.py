"""Places that hold files: the Hugging Face Hub, S3 and whatever speaks like it, a folder.

One code serves what is published, checkpoints that are mirrored, leases, and rows from `s3://`.
A store knows files and trees of files; what a tree means is for its callers to know.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from grpo_job.settings.schemes import scheme_of
from grpo_job.stores.retries import Outpaced, Patience, StoreFailed
from grpo_job.stores.trees import MANIFEST, Entries, Entry, Names

__all__ = ["MANIFEST", "Entry", "Outpaced", "Patience", "Store", "StoreFailed", "open_store"]


class Store(Protocol):
    """A place below one URI. `name` is a file's or a tree's path below it; "" is the place itself.

    Everything but `check` raises `StoreFailed` with one sentence when the store cannot do it.
    """

    uri: str

    def check(self) -> None:
        """Proves within 30 seconds that writing will work, by writing; else `InvalidRun` with the cure."""

    def put(self, folder: Path, name: str = "", *, replaces: Sequence[str] = ()) -> str:
        """Makes the tree `name` that of `folder`, sending only what is missing; answers its revision.

        `replaces` names trees to remove once this one is whole (in the same commit, on the Hub).
        """

    def differences(self, folder: Path, name: str = "", *, revision: str = "") -> Names:
        """Reads back: the files of `folder` that the store lacks, or holds with another digest or size."""

    def get(self, name: str, folder: Path) -> None:
        """Brings the tree or file `name` into `folder`, each file checked, all of them or none."""

    def list(self, name: str = "") -> Entries:
        """The files below `name`."""

    def delete(self, name: str) -> None:
        """Removes the tree or file `name`, its manifest first. That it is not there is no fault."""

    def read(self, name: str) -> bytes | None:
        """A small file, None if it is not there."""

    def write(self, name: str, content: bytes) -> None:
        """A small file, put in place of any other."""

    def head(self) -> str:
        """What changes with every write by anybody: the head commit on the Hub; "" elsewhere."""

    def claim(self, name: str, holder: str, *, seen: str = "") -> bool:
        """Creates the file `name` saying `holder` if nobody has; whether it is this holder's.

        `holder` is unique to the attempt. On the Hub, the claim fails if the head is no longer `seen`,
        and after a won claim this store writes only on top of its own commits: `Outpaced` otherwise.
        """


def open_store(
    uri: str,
    *,
    private: bool = True,
    environment: Mapping[str, str] | None = None,
    patience: Patience | None = None,
) -> Store:
    """The store at `uri`; nothing is contacted yet.

    `environment` holds the clients' own variables (`HF_TOKEN`, `HF_ENDPOINT`, `AWS_*`); what is not in
    it is left to each client's own chain of credentials. `private` is for a repository made on the Hub.
    """
    environment = environment or {}
    patience = patience or Patience()
    scheme_of(uri)  # refuses what no store has, with the accepted forms
    scheme, _, place = uri.partition("://")
    match scheme:
        case "hf":
            from grpo_job.stores.hub import HubStore

            return HubStore(place, private=private, environment=environment, patience=patience)
        case "s3":
            from grpo_job.stores.s3 import S3Store

            return S3Store(place, environment=environment, patience=patience)
        case "file":
            from grpo_job.stores.local import LocalStore

            return LocalStore(place, patience=patience)
        case _:
            raise NotImplementedError(f"open_store has no arm for {scheme}://, which settings/schemes.py accepts")
