"""`hf://owner/name[@branch]`: a model repository on the Hugging Face Hub, private unless told otherwise.

Each write is one commit, so a tree is never incomplete. After a won claim, this store writes only
on top of its own commits: the branch itself is the lease.

Xet stays off (`HF_HUB_DISABLE_XET`, set at start-up): with it, one push may become several commits.
"""

import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token

from grpo_job.outcomes import InvalidRun
from grpo_job.stores import hub_errors, trees
from grpo_job.stores.client_variables import read_token
from grpo_job.stores.hub_client import Branch, HubRepo, Moved, Operation, Tree, another_client, differs
from grpo_job.stores.retries import CHECK, Attempts, Outpaced, Patience, Silence, StoreFailed
from grpo_job.stores.trees import MANIFEST, Entries, Entry, Names

logger = logging.getLogger(__name__)


class HubStore:
    """`hf://owner/name[@branch]`, see `Store`. Raises `InvalidRun` if the address is not that of a repository."""

    def __init__(self, place: str, *, private: bool, environment: Mapping[str, str], patience: Patience) -> None:
        self.uri = f"hf://{place}"
        repo, _, branch = place.partition("@")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
            raise InvalidRun(
                f"{self.uri} is not the address of a repository; allowed: hf://owner/name, hf://owner/name@branch."
            )
        self._branch = Branch(self.uri, repo, branch or "main", secrets.token_hex(8))
        self._private = private
        self._patience = patience
        self._silence = patience.silence or Silence()
        endpoint = environment.get("HF_ENDPOINT", "").rstrip("/")
        self._environment = environment
        self._api = HfApi(endpoint=endpoint or None, token=_token(environment))
        self._known = self._api.token or get_token()
        self._fence = ""

    def check(self, *, claims: bool = False, largest: int = 0) -> None:
        """Every commit is conditional on its parent, and the Hub itself says how large files are sent."""
        attempts = Attempts(CHECK, self._wait_at_check, renew=another_client)
        repo = HubRepo(self._api, self._branch, attempts)
        try:
            self._know_the_token(repo)
            repo.make(private=self._private)
            if self._private and repo.is_public():
                logger.warning("%s is a public repository and stays public: everyone can read it.", self.uri)
            self._probe(attempts)
        except StoreFailed as failure:
            raise failure.as_refusal() from failure

    def put(self, folder: Path, name: str = "", *, replaces: Sequence[str] = ()) -> str:
        repo = self._open(size=trees.size_of(folder))
        return self._write(repo, name or "publish", lambda parent: _changes(repo, folder, name, replaces, parent))

    def differences(self, folder: Path, name: str = "", *, revision: str = "") -> Names:
        repo = self._open(size=trees.size_of(folder))
        tree = repo.tree(revision or repo.head())
        return [
            file for file, path in trees.files_of(folder).items() if differs(path, tree.get(trees.join(name, file)))
        ]

    def get(self, name: str, folder: Path) -> None:
        repo = self._open()
        head = repo.head()
        tree = repo.tree(head)
        entries = _below(tree, name)
        repo = self._open(size=sum(entry.size for entry in entries))
        trees.fetch_tree(
            trees.inside(self.uri, name, entries), lambda file, target: repo.fetch(tree[file], head, target), folder
        )

    def list(self, name: str = "") -> Entries:
        repo = self._open()
        return _below(repo.tree(repo.head()), name)

    def delete(self, name: str) -> None:
        repo = self._open()
        self._write(repo, f"remove {name}", lambda parent: _removals(repo.tree(parent), [name]))

    def read(self, name: str) -> bytes | None:
        repo = self._open()
        return repo.read(name, repo.head())

    def write(self, name: str, content: bytes) -> None:
        self._write(self._open(), name, lambda parent: [CommitOperationAdd(name, content)])

    def head(self) -> str:
        return self._open().head()

    def claim(self, name: str, holder: str, *, seen: str = "") -> bool:
        repo = self._open()
        while True:
            head = repo.head() or self._made(repo)
            there = repo.read(name, head)
            if there is not None or (seen and seen != head):
                return there == holder.encode()
            try:
                claim = CommitOperationAdd(name, holder.encode())
                self._fence = repo.commit([claim], f"claim {name}", head)
            except Moved:
                continue
            return True

    def _write(self, repo: HubRepo, title: str, changes: Callable[[str], Sequence[Operation]]) -> str:
        """Commits the changes that the head lacks, and starts again if the head moves."""
        while True:
            parent = self._parent(repo)
            operations = changes(parent)
            if not operations:
                return parent
            for operation in operations:
                repo.upload(operation)
            try:
                commit = repo.commit(operations, title, parent)
            except Moved:
                continue
            self._fence = self._fence and commit
            return commit

    def _parent(self, repo: HubRepo) -> str:
        """The commit to write on top of: the head, which after a claim must be this writer's."""
        known = self._fence  # read before the head: another thread may commit in between and move both
        head = repo.head() or self._made(repo)
        while known and known != head:
            # Another thread's commit, or one whose reply was lost.
            known = repo.landed(known)
            if not known:
                self._fence = "lost"
                raise Outpaced(f"{self.uri}: another attempt has taken the run over; this one no longer writes there.")
        return head

    def _made(self, repo: HubRepo) -> str:
        repo.make(private=self._private)
        return repo.head()

    def _know_the_token(self, repo: HubRepo) -> None:
        try:
            repo.whoami()
        except StoreFailed as failure:
            # The Hub limits the rate of this call strictly, and the probe tests the token further anyway.
            if hub_errors.status_of(failure) != 429:
                raise

    def _probe(self, attempts: Attempts) -> None:
        """Writes and reads a file on a branch of its own, then removes the branch, so no commit stays."""
        branch = self._branch._replace(name=f"probe-{secrets.token_hex(4)}")
        probe = HubRepo(self._api, branch, attempts)
        content = secrets.token_bytes(16)
        probe.make(private=self._private)
        try:
            # The Hub keeps a file of this name in large file storage, like the adapter.
            commit = probe.commit([CommitOperationAdd("probe.bin", content)], "probe", probe.head())
            if probe.read("probe.bin", commit) != content:
                raise StoreFailed(f"{self.uri}: a file written there reads back differently: try again later.")
        finally:
            probe.remove_branch()

    def _open(self, *, size: int = 0) -> HubRepo:
        attempts = Attempts(self._patience, self._wait, renew=another_client, size=size, silence=self._silence)
        return HubRepo(self._api, self._branch, attempts)

    def _wait(self, error: BaseException) -> float | None:
        """As `hub_errors.wait`; a token that has expired is read again, until whatever rotates it has done so."""
        renewed = self._renewed(error)
        return hub_errors.wait(error) if renewed is None else 0.0

    def _wait_at_check(self, error: BaseException) -> float | None:
        return 0.0 if self._renewed(error) else hub_errors.wait(error)

    def _renewed(self, error: BaseException) -> bool | None:
        """Whether a file holds another token now; None if the token is good, missing, or given by a variable."""
        if hub_errors.status_of(error) != 401 or not self._known or self._environment.get("HF_TOKEN", "").strip():
            return None
        self._api.token = _token(self._environment)
        now = self._api.token or get_token()
        changed, self._known = bool(now) and now != self._known, now or self._known
        return changed


def _changes(repo: HubRepo, folder: Path, name: str, replaces: Sequence[str], parent: str) -> Sequence[Operation]:
    """The operations that make the tree `name` at `parent` equal to `folder`; none if it is equal already."""
    tree = repo.tree(parent)
    files = trees.files_of(folder)
    missing = [file for file, path in files.items() if differs(path, tree.get(trees.join(name, file)))]
    replaced = MANIFEST in missing and trees.join(name, MANIFEST) in tree
    gone = trees.leftovers(repo.read(trees.join(name, MANIFEST), parent), files) if replaced else []
    return [
        *(CommitOperationAdd(trees.join(name, file), str(files[file])) for file in missing),
        *_removals(tree, [*(trees.join(name, file) for file in gone), *replaces]),
    ]


def _removals(tree: Tree, names: Sequence[str]) -> Sequence[Operation]:
    folders = [name for name in names if any(path.startswith(f"{name}/") for path in tree)]
    return [
        *(CommitOperationDelete(name) for name in names if name in tree),
        *(CommitOperationDelete(f"{name}/") for name in folders),
    ]


def _below(tree: Tree, name: str) -> Entries:
    return [
        Entry(path, file.size, file.lfs.sha256 if file.lfs else "")
        for path, file in tree.items()
        if not name or path == name or path.startswith(f"{name}/")
    ]


def _token(environment: Mapping[str, str]) -> str | None:
    """The token in the environment; None if the client is to use its own chain."""
    path = environment.get("HF_TOKEN_PATH", "")
    if token := environment.get("HF_TOKEN", "").strip():
        return token
    return read_token(Path(path), "HF_TOKEN_PATH") if path and Path(path).is_file() else None
