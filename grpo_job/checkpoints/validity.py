"""Whether a folder is a whole checkpoint: by its manifest, its signature, and what its small files must hold.

A mirror that others can write may hold anything under a matching manifest. What only the engine can tell, such as
tensors of another shape, `Engine.fault_of_checkpoint` tells.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grpo_job.run_folder.files import sha256
from grpo_job.settings.plain_files import NotPlain, read_object, require_shallow, require_within
from grpo_job.stores import MANIFEST
from grpo_job.stores.trees import files_of, is_safe

SIGNATURE = "signature"
# By the folder's name, by comparison, by the files, by itself. The rest, the facts, has a digest.
CHECKED_OTHERWISE = ("step", "identity", "files", "facts_sha256", SIGNATURE)
OBJECTS = ("metrics.jsonl", "completions.jsonl", "choosing.jsonl", "warm.jsonl")
LISTS = ("judged.jsonl",)


def name_of(step: int) -> str:
    """The folder of a checkpoint: `step-000010`."""
    return f"step-{step:06d}"


def signed(manifest: Mapping[str, Any], key: bytes | None) -> dict[str, Any]:
    """The manifest with its HMAC-SHA256 (RFC 2104) over all other entries; as it is if there is no key."""
    content = {name: value for name, value in manifest.items() if name != SIGNATURE}
    if key is None:
        return content
    text = json.dumps(content, sort_keys=True).encode()
    return {**content, SIGNATURE: hmac.new(key, text, hashlib.sha256).hexdigest()}


def damage_of(folder: Path, key: bytes | None = None) -> str | None:
    """Why `folder` is not a valid checkpoint, or None; with a `key`, also one that is not signed with it."""
    try:
        manifest = read_object(folder / MANIFEST)
        step, _, files = int(manifest["step"]), dict(manifest["identity"]), dict(manifest["files"])
        expected = {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in files.items()}
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return f"{MANIFEST} is not a manifest"
    if folder.name != name_of(step):
        return f"its manifest is that of step {step}"
    if not expected:
        return f"{MANIFEST} names no files"
    if key is not None and not _is_signed(manifest, key):
        return "it is not signed with the key of GRPO_CHECKPOINT_KEY_PATH"
    facts = digest_of({name: value for name, value in manifest.items() if name not in CHECKED_OTHERWISE})
    if manifest.get("facts_sha256", facts) != facts:
        return f"{MANIFEST} has other content than was saved"
    return next(_damages(folder, expected), None)


def digest_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 of what a manifest says beside step, identity and files."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _is_signed(manifest: Mapping[str, Any], key: bytes) -> bool:
    given = manifest.get(SIGNATURE)
    return isinstance(given, str) and hmac.compare_digest(given.encode(), signed(manifest, key)[SIGNATURE].encode())


def _damages(folder: Path, expected: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    """From the cheapest to tell on."""
    yield from (f"{MANIFEST} names {name!r}, which is outside" for name in expected if not is_safe(name))
    try:
        require_within(folder)
    except NotPlain as error:
        yield str(error)
    for name, was in expected.items():
        if damage := _damage_of_file(folder, name, *was):
            yield damage
    # `optimizer.bin` would be loaded, whatever the manifest says
    yield from (f"{name} is not in {MANIFEST}" for name in files_of(folder) if name not in {*expected, MANIFEST})
    try:
        require_shallow(folder)
    except NotPlain as error:
        yield str(error)
    yield from (f"{name} does not hold what was saved" for name in (*OBJECTS, *LISTS) if not _is_sound(folder / name))


def _damage_of_file(folder: Path, name: str, size: int, digest: str) -> str | None:
    path = folder / name
    try:
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes instead of {size}"
        return None if sha256(path) == digest else f"{name} has other content than was saved"
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"


def _is_sound(path: Path) -> bool:
    """Whether each complete line is what the job writes there; a file that is missing is."""
    kind = list if path.name in LISTS else dict
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []
        rows = [json.loads(line) for line in lines if line]
    except (ValueError, RecursionError):
        return False
    steps = [row.get("step") for row in rows if isinstance(row, dict)] if path.name == "metrics.jsonl" else []
    return all(isinstance(row, kind) for row in rows) and all(type(step) is int for step in steps)
