"""The pages of the test Hub (`hub.py`): one function each, from the requests that the client sends."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.servers.hub_state import Answer, Blob, Repo, Request, State

LARGE = (".safetensors", ".bin", ".parquet", ".pt", ".png", ".zip")
WHEN = "2026-11-22T12:00:00.000Z"


def whoami(request: Request) -> None:
    account = request.account()
    if account is None:
        raise Answer(401, {"error": "Invalid username or password."})
    access = {"displayName": "test", "role": account.role}
    raise Answer(200, {"type": "user", "name": account.name, "orgs": [], "auth": {"accessToken": access}})


def create(request: Request) -> None:
    wanted = request.json
    owner = wanted.get("organization") or ""
    request.writer(owner)
    name, kind = f"{owner}/{wanted['name']}", wanted.get("type") or "model"
    url = f"{request.hub.url}/{'datasets/' if kind == 'dataset' else ''}{name}"
    if (kind, name) in request.hub.repos:
        raise Answer(409, {"error": f"You already created this {kind} repo", "url": url})
    private = wanted.get("private") or wanted.get("visibility") == "private"
    request.hub.repos[kind, name] = Repo(bool(private))
    request.hub.repos[kind, name].commit("main", "initial commit", {".gitattributes": Blob(b"", large=False)})
    raise Answer(200, {"url": url, "name": name})


def validate_yaml(request: Request) -> None:
    raise Answer(200, {"errors": [], "warnings": []})


def info(request: Request) -> None:
    repo, commit = request.repo(), request.commit()
    files = [_sibling(path, blob) for path, blob in sorted(commit.files.items())]
    facts = {"id": request.name, "modelId": request.name, "sha": commit.id, "private": repo.private}
    facts |= repo.facts
    raise Answer(200, {**facts, "siblings": files, "tags": [], "lastModified": WHEN, "createdAt": WHEN})


def _sibling(path: str, blob: Blob) -> dict[str, Any]:
    lfs = {"sha256": blob.sha256, "size": len(blob.content), "pointerSize": len(blob.pointer)} if blob.large else None
    return {"rfilename": path, "size": len(blob.content), "blobId": blob.git, "lfs": lfs}


def _describe(path: str, blob: Blob) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": "file", "path": path, "size": len(blob.content), "oid": blob.git}
    if blob.large:
        facts["lfs"] = {"oid": blob.sha256, "size": len(blob.content), "pointerSize": len(blob.pointer)}
    return facts


def _folders(files: Mapping[str, Blob]) -> set[str]:
    return {"/".join(path.split("/")[:n]) for path in files for n in range(1, path.count("/") + 1)}


def _entry(files: Mapping[str, Blob], path: str) -> dict[str, Any]:
    if path in files:
        return _describe(path, files[path])
    return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}


def tree(request: Request) -> None:
    files, top = request.commit().files, unquote(request.path).strip("/")
    if top and top not in _folders(files):
        raise Answer(404, {"error": f"{top} does not exist"}, X_Error_Code="EntryNotFound")
    below = [path for path in sorted({*files, *_folders(files)}) if not top or path.startswith(f"{top}/")]
    if request.query.get("recursive", "").lower() != "true":
        below = [path for path in below if "/" not in path[len(top) :].strip("/")]
    raise Answer(200, [_entry(files, path) for path in below])


def paths_info(request: Request) -> None:
    files = request.commit().files
    try:
        wanted = request.json["paths"]
    except ValueError:
        wanted = parse_qs(request.body.decode())["paths"]
    wanted = [wanted] if isinstance(wanted, str) else wanted
    known = [path for path in wanted if path in files or path in _folders(files)]
    raise Answer(200, [_entry(files, path) for path in known])


def commits(request: Request) -> None:
    request.commit()
    history = request.repo().history(unquote(request.revision))
    raise Answer(
        200,
        [{"id": c.id, "title": c.title, "message": "", "authors": [], "date": WHEN} for c in history],
        X_Total_Count=str(len(history)),
    )


def refs(request: Request) -> None:
    branches = request.repo().branches.items()
    named = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": c} for n, c in branches]
    raise Answer(200, {"branches": named, "converts": [], "tags": [], "pullRequests": []})


def branch(request: Request) -> None:
    repo, name = request.writable(), unquote(request.revision)
    if request.method == "DELETE":
        repo.branches.pop(name, None)
        raise Answer(200, {})
    if name in repo.branches:
        raise Answer(409, {"error": f"Reference already exists: {name}"})
    start = repo.at(request.json.get("startingPoint", "main"))
    assert start
    repo.branches[name] = start.id
    raise Answer(201, {})


def preupload(request: Request) -> None:
    request.writable()
    files, answers = request.commit().files, []
    for file in request.json["files"]:
        path, there = file["path"], files.get(file["path"])
        mode = "lfs" if path.endswith(LARGE) or file["size"] > 10 << 20 else "regular"
        answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": there.etag if there else None})
    raise Answer(200, {"files": answers})


def batch(request: Request) -> None:
    request.writable()
    objects = [_upload_of(request.hub, request, wanted) for wanted in request.json["objects"]]
    raise Answer(200, {"transfer": "basic", "objects": objects}, Content_Type="application/vnd.git-lfs+json")


def _upload_of(hub: State, request: Request, wanted: dict[str, Any]) -> dict[str, Any]:
    oid, size = wanted["oid"], wanted["size"]
    if oid in hub.large:
        return {"oid": oid, "size": size}
    place = f"{hub.large_url}/large/{oid}"
    upload: dict[str, Any] = {"href": place, "header": {}}
    if size > hub.multipart_over:
        count = -(-size // hub.part)
        places = {f"{n:05}": f"{place}/{n}" for n in range(1, count + 1)}
        upload = {"href": f"{hub.url}/complete", "header": {"chunk_size": str(hub.part), **places}}
    verify = {"href": f"{hub.url}/{request.name}.git/info/lfs/verify", "header": {}}
    return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}}


def put_large(request: Request) -> None:
    if hashlib.sha256(request.body).hexdigest() != request.name:
        raise Answer(400, {"error": "the content is not that of its name"})
    request.hub.large[request.name] = request.body
    raise Answer(200)


def put_part(request: Request) -> None:
    request.hub.parts[request.name][int(request.path)] = request.body
    raise Answer(200, ETag=f'"{hashlib.md5(request.body).hexdigest()}"')


def complete(request: Request) -> None:
    wanted = request.json
    parts = request.hub.parts[wanted["oid"]]
    request.body, request.name = b"".join(parts[p["partNumber"]] for p in wanted["parts"]), wanted["oid"]
    put_large(request)


def verify(request: Request) -> None:
    raise Answer(200 if request.json["oid"] in request.hub.large else 404, {})


def commit(request: Request) -> None:
    repo, name = request.writable(), unquote(request.revision)
    head, lines = request.commit(), [json.loads(line) for line in request.body.splitlines()]
    header = lines[0]["value"]
    if header.get("parentCommit", head.id) != head.id:
        raise Answer(412, {"error": "A commit has happened since. Please refresh and try again."})
    files = dict(head.files)
    for line in lines[1:]:
        _apply(request.hub, files, line["key"], line["value"])
    new = repo.commit(name, header["summary"], files)
    raise Answer(
        200, {"success": True, "commitOid": new.id, "commitUrl": f"{request.name}/commit/{new.id}", "hookOutput": ""}
    )


def _apply(hub: State, files: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
    path = value["path"]
    match key:
        case "file":
            files[path] = Blob(base64.b64decode(value["content"]), large=False)
        case "lfsFile":
            if value["oid"] not in hub.large:
                raise Answer(400, {"error": f"{path}: its content was not uploaded"})
            files[path] = Blob(hub.large[value["oid"]], large=True)
        case "deletedFile":
            files.pop(path)
        case "deletedFolder":
            for name in [name for name in files if name.startswith(f"{path.strip('/')}/")]:
                del files[name]


def resolve(request: Request) -> None:
    commit = request.commit()
    blob = commit.files.get(unquote(request.path))
    headers = {"X_Repo_Commit": commit.id}
    if blob is None:
        raise Answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound", **headers)
    if blob.large:
        place = f"{request.hub.large_url}/large/{blob.sha256}"
        linked = {"X_Linked_Etag": f'"{blob.sha256}"', "X_Linked_Size": str(len(blob.content))}
        raise Answer(302, b"", Location=place, ETag=f'"{blob.sha256}"', **headers, **linked)
    raise Answer(200, blob.content, ETag=f'"{blob.git}"', Accept_Ranges="bytes", **headers)


def get_large(request: Request) -> None:
    content = request.hub.large.get(request.name)
    if content is None:
        raise Answer(404)
    raise Answer(200, content, ETag=f'"{request.name}"', Accept_Ranges="bytes")


NAME = r"(?P<name>[\w.-]+/[\w.-]+)"
API = rf"/api/(?P<kinds>models|datasets)/{NAME}"
REVISION = r"(?P<revision>[^/]+)"
GIT = rf"/(?P<kinds>datasets/)?{NAME}"
ROUTES: list[tuple[str, str, Callable[[Request], None]]] = [
    ("GET", r"/api/whoami-v2", whoami),
    ("POST", r"/api/repos/create", create),
    ("POST", r"/api/validate-yaml", validate_yaml),
    ("GET", API, info),
    ("GET", rf"{API}/revision/{REVISION}", info),
    ("GET", rf"{API}/tree/{REVISION}(?P<path>/.*)?", tree),
    ("GET", rf"{API}/commits/{REVISION}", commits),
    ("GET", rf"{API}/refs", refs),
    ("POST", rf"{API}/paths-info/{REVISION}", paths_info),
    ("POST DELETE", rf"{API}/branch/{REVISION}", branch),
    ("POST", rf"{API}/preupload/{REVISION}", preupload),
    ("POST", rf"{API}/commit/{REVISION}", commit),
    ("POST", rf"{GIT}\.git/info/lfs/objects/batch", batch),
    ("POST", rf"{GIT}\.git/info/lfs/verify", verify),
    ("HEAD GET", rf"{GIT}/resolve/{REVISION}/(?P<path>.+)", resolve),
    ("POST", r"/complete", complete),
    ("PUT", r"/large/(?P<name>\w+)", put_large),
    ("PUT", r"/large/(?P<name>\w+)/(?P<path>\d+)", put_part),
    ("HEAD GET", r"/large/(?P<name>\w+)", get_large),
]
