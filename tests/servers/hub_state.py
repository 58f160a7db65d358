"""What the test Hub (`hub.py`) holds, and a request for it with what its path says."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote


class Blob(NamedTuple):
    content: bytes
    large: bool

    @property
    def git(self) -> str:
        content = self.pointer if self.large else self.content
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        head = "version https://git-lfs.github.com/spec/v1"
        return f"{head}\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.git


class Commit(NamedTuple):
    id: str
    parent: str
    title: str
    files: dict[str, Blob]


@dataclass
class Repo:
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)  # what its page says besides: licence, gate

    def commit(self, branch: str, title: str, files: Mapping[str, Blob]) -> Commit:
        parent = self.branches.get(branch, "")
        seed = json.dumps([branch, parent, title, len(self.commits), {n: b.git for n, b in files.items()}])
        new = Commit(hashlib.sha1(seed.encode()).hexdigest(), parent, title, dict(files))
        self.commits[new.id] = new
        self.branches[branch] = new.id
        return new

    def at(self, revision: str) -> Commit | None:
        return self.commits.get(self.branches.get(revision, revision))

    def history(self, revision: str) -> list[Commit]:
        found, commit = [], self.at(revision)
        while commit:
            found.append(commit)
            commit = self.commits.get(commit.parent)
        return found


class Account(NamedTuple):
    name: str
    role: str


class Answer(Exception):
    """Raised anywhere below a request to end it with this reply."""

    def __init__(self, status: int, body: Any = b"", **headers: str) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class State(Protocol):
    """What the pages need of the server."""

    url: str
    large_url: str
    multipart_over: int
    part: int
    repos: dict[tuple[str, str], Repo]
    accounts: dict[str, Account]
    large: dict[str, bytes]
    parts: dict[str, dict[int, bytes]]


@dataclass
class Request:
    """One request, and what its path says."""

    hub: State
    method: str
    query: dict[str, str]
    token: str
    body: bytes
    kinds: str = ""
    name: str = ""
    revision: str = ""
    path: str = ""

    @property
    def kind(self) -> str:
        return "dataset" if self.kinds.startswith("dataset") else "model"

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def account(self) -> Account | None:
        if not self.token:
            return None
        account = self.hub.accounts.get(self.token)
        if account is None or account.role == "expired":
            said = "User Access Token is expired" if account else "Invalid credentials in Authorization header"
            raise Answer(401, {"error": said}, X_Error_Message=said)
        return account

    def repo(self) -> Repo:
        account, repo = self.account(), self.hub.repos.get((self.kind, self.name))
        if repo is None or (repo.private and (account is None or account.name != self.name.split("/")[0])):
            raise Answer(404 if account else 401, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        return repo

    def writer(self, owner: str) -> None:
        account = self.account()
        if account is None:
            raise Answer(401, {"error": "Invalid username or password."})
        if account.role != "write" or account.name != owner:
            said = f"You don't have the rights to write in the {owner} namespace"
            raise Answer(403, {"error": said}, X_Error_Message=said)

    def writable(self) -> Repo:
        repo = self.repo()
        self.writer(self.name.split("/")[0])
        return repo

    def commit(self) -> Commit:
        commit = self.repo().at(unquote(self.revision or "main"))
        if commit is None:
            raise Answer(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")
        return commit
