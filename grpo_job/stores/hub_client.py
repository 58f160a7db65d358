"""The Hub calls that HubStore uses, each within the deadline of its operation.

Every commit names the commit that it was computed from (`parent_commit`), so it is made once or not at all.
If its reply is lost, the history tells whether it was made: each commit title has a mark of its writer and
of the operation, because a writer may run several operations at once.
"""

import secrets
import tempfile
import threading
from collections.abc import Callable, Sequence
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, close_session
from huggingface_hub.hf_api import RepoFile, RepoSibling

from grpo_job.run_folder.files import sha256
from grpo_job.stores import client_errors, hub_errors
from grpo_job.stores.retries import Attempts, StoreFailed

T = TypeVar("T")
Operation = CommitOperationAdd | CommitOperationDelete
Tree = dict[str, RepoFile]


class Moved(Exception):
    """Another commit was made on the same parent."""


class Branch(NamedTuple):
    """A branch of a repository, and how commits to it are marked."""

    uri: str
    repo: str
    name: str
    mark: str


class HubRepo:
    """One branch, for one operation."""

    def __init__(self, api: HfApi, branch: Branch, attempts: Attempts) -> None:
        self._api = api
        self._branch = branch
        self._repo = branch.repo
        self._attempts = attempts
        self._mark = f"{branch.mark}-{secrets.token_hex(4)}"

    def whoami(self) -> None:
        """Checks that the token is accepted."""
        self._try(self._api.whoami)

    def make(self, *, private: bool) -> None:
        """Creates the repository and the branch if they are missing."""
        self._try(lambda: self._api.create_repo(self._repo, private=private, exist_ok=True))
        if self._branch.name != "main":
            self._try(lambda: self._api.create_branch(self._repo, branch=self._branch.name, exist_ok=True))

    def is_public(self) -> bool:
        """Whether everyone can read the repository."""
        return self._try(lambda: self._api.repo_info(self._repo)).private is False

    def head(self) -> str:
        """The newest commit, "" if there is no such repository or branch."""
        info = self._unless_missing(lambda: self._api.repo_info(self._repo, revision=self._branch.name))
        return str(info.sha) if info else ""

    def tree(self, revision: str) -> Tree:
        """The files at a commit by their path; none if `revision` is ""."""

        def files() -> Tree:
            entries = self._api.list_repo_tree(self._repo, recursive=True, revision=revision)
            return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}

        return self._try(files) if revision else {}

    def upload(self, operation: Operation) -> None:
        """Sends the content of a large file before its commit, unless the Hub has it already."""
        if isinstance(operation, CommitOperationAdd):
            # One at a time: for several, the client uses threads that the process would wait for when it exits.
            self._try(
                lambda: self._api.preupload_lfs_files(self._repo, additions=[operation], revision=self._branch.name),
                size=operation.upload_info.size,
            )

    def commit(self, operations: Sequence[Operation], title: str, parent: str) -> str:
        """The commit of `operations` on top of `parent`; raises `Moved` if another commit is there."""
        sent = False

        def once() -> str:
            nonlocal sent
            if sent and (ours := self._child(parent, self._mark)):
                return ours
            sent = True
            return self._api.create_commit(
                self._repo,
                operations,
                commit_message=f"grpo-job: {title} [{self._mark}]",
                revision=self._branch.name,
                parent_commit=parent,
            ).oid

        try:
            return self._try(once)
        except StoreFailed as failure:
            if hub_errors.status_of(failure) != 412:
                raise
            if ours := self._try(lambda: self._child(parent, self._mark)):
                return ours
            raise Moved from failure

    def landed(self, parent: str) -> str:
        """This writer's commit on top of `parent`; "" if there is none, or another writer's is there."""
        return self._try(lambda: self._child(parent, self._branch.mark))

    def read(self, name: str, revision: str) -> bytes | None:
        """A small file at a commit, None if it is not there."""

        def content() -> bytes:
            with tempfile.TemporaryDirectory() as scratch:
                return self._download(name, revision, scratch).read_bytes()

        return self._unless_missing(content) if revision else None

    def fetch(self, file: RepoFile, revision: str, target: Path) -> None:
        """Downloads a file at a commit; it appears at `target` only once it is complete."""

        def download() -> None:
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                arrived = self._download(file.path, revision, scratch)
                if differs(arrived, file):
                    raise ConnectionError(f"{file.path} arrived damaged")
                arrived.replace(target)

        self._try(download, size=file.size)

    def remove_branch(self) -> None:
        """Does nothing if it is not there."""
        self._unless_missing(lambda: self._api.delete_branch(self._repo, branch=self._branch.name))

    def _download(self, name: str, revision: str, scratch: str) -> Path:
        return Path(self._api.hf_hub_download(self._repo, name, revision=revision, local_dir=scratch))

    def _child(self, parent: str, mark: str) -> str:
        history = self._api.list_repo_commits(self._repo, revision=self._branch.name)
        newer = {commit.commit_id: commit.title for commit in history}
        names = list(newer)
        above = names.index(parent) - 1 if parent in names else -1
        return names[above] if above >= 0 and mark in newer[names[above]] else ""

    def _try(self, work: Callable[[], T], *, size: int = 0) -> T:
        uri = self._branch.uri
        return client_errors.called(
            lambda: self._attempts(work, size=size),
            uri,
            hub_errors.FROM_HUB,
            lambda error: hub_errors.failed(error, uri, self._api.endpoint),
        )

    def _unless_missing(self, work: Callable[[], T]) -> T | None:
        try:
            return self._try(work)
        except StoreFailed as failure:
            if hub_errors.is_missing(failure.__cause__ or failure):
                return None
            raise


def another_client() -> None:
    """Replaces the HTTP client of the whole process: an abandoned call may hold a lock of it forever.

    In a thread, because closing the old client waits for that lock too.
    """
    threading.Thread(target=close_session, daemon=True, name="close-session").start()


def differs(path: Path, there: RepoFile | RepoSibling | None) -> bool:
    """Whether the file on the Hub is missing, or has another size or content."""
    if there is None or there.size != path.stat().st_size:
        return True
    if there.lfs is not None:
        return there.lfs.sha256 != sha256(path)
    # A file that is not in large file storage has only its git blob id.
    content = path.read_bytes()
    return there.blob_id != sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
