"""Places that hold files: the Hugging Face Hub, S3 and compatible stores, a folder.

Published results, mirrored checkpoints, leases and rows from `s3://` all use this interface. A store knows files
and trees of files, not what they mean. To add one: an entry in `settings/schemes.py`, a file here, an arm of
`open_store`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.schemes import scheme_of
from grpo_job.stores import client_variables
from grpo_job.stores.retries import Outpaced, Patience, Silence, StoreFailed
from grpo_job.stores.trees import MANIFEST, Entries, Entry, Names

__all__ = ["MANIFEST", "Entry", "Outpaced", "Patience", "Silence", "Store", "StoreFailed", "open_store"]


class Store(Protocol):
    """A place below one URI. `name` is the path of a file or tree below it; "" is the place itself.

    Every method but `check` raises `StoreFailed`, with a one-sentence message, if the store fails.
    """

    uri: str

    def check(self, *, claims: bool = False, largest: int = 0) -> None:
        """Writes, replaces, reads and removes a file within 30 seconds; raises `InvalidRun` with the cure.

        `claims`: proves that `claim` holds, too. `largest`: bytes of the largest file that will be put, which proves
        that files in several parts arrive; it takes longer by what is sent.
        """

    def put(self, folder: Path, name: str = "", *, replaces: Sequence[str] = ()) -> str:
        """Makes the tree `name` equal to `folder`, sending only what is missing; returns its revision.

        `replaces` names trees to remove once this one is complete (in the same commit, on the Hub).
        """

    def differences(self, folder: Path, name: str = "", *, revision: str = "") -> Names:
        """The files of `folder` that the store lacks, or holds with another digest or size."""

    def get(self, name: str, folder: Path) -> None:
        """Downloads the tree or file `name` to `folder` and checks each file; all of them arrive, or none."""

    def list(self, name: str = "") -> Entries:
        """The files below `name`."""

    def delete(self, name: str) -> None:
        """Removes the tree or file `name`, its manifest first. Does nothing if it is not there."""

    def read(self, name: str) -> bytes | None:
        """The content of a small file, None if it is not there."""

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file, replacing any other."""

    def head(self) -> str:
        """What changes with every write by any writer: the head commit on the Hub; "" elsewhere."""

    def claim(self, name: str, holder: str, *, seen: str = "") -> bool:
        """Creates the file `name` with the content `holder` if it does not exist; returns whether it is this holder's.

        `holder` is unique to the attempt. On the Hub, the claim fails if the head is no longer `seen`, and
        after a won claim this store writes only on top of its own commits: it raises `Outpaced` otherwise.
        """


def open_store(
    uri: str, *, private: bool = True, environment: Mapping[str, str] | None = None, patience: Patience | None = None
) -> Store:
    """The store at `uri`, without contacting it.

    Raises `InvalidRun` if no store has this address, or if its client cannot use one of its variables.

    `environment` holds the clients' own variables (`HF_TOKEN`, `HF_ENDPOINT`, `AWS_*`); for what is missing
    there, each client uses its own chain of credentials. `private` applies to a repository created on the Hub.
    """
    environment = environment or {}
    patience = patience or Patience()
    if scheme_of(uri).on_network and (faults := client_variables.faults(environment)):
        raise InvalidRun(*faults)
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
