"""Whatever a client raises, a store fails with one sentence that says what to correct."""

import random
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.stores import Patience, Store, StoreFailed, open_store

RAISED: list[BaseException] = [
    httpx.InvalidURL("Invalid port: ':1]'"), ImportError("Using SOCKS proxy, but 'socksio' is not installed."),
    ModuleNotFoundError("No module named 'socks'", name="socks"), KeyError("sha"), TypeError("'NoneType'"),
    AttributeError("x"), AssertionError(), IndexError(), MemoryError(), RecursionError("too deep"), StopIteration(),
    UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range(128)"), NotImplementedError(), EOFError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), ValueError("embedded null"), OSError(36, "x"),
    PermissionError(13, "Permission denied", "/home/other/.cache/lock"), ZeroDivisionError("x\ny"), BufferError(),
    FileNotFoundError(2, "No such file or directory", "/ca.pem"), ssl.SSLError("no certificate"), Exception("z" * 999),
]  # fmt: skip
CALLS: list[Callable[[Store, Path], Any]] = [
    lambda store, folder: store.check(),
    lambda store, folder: store.put(folder, "tree"),
    lambda store, folder: store.get("tree", folder / "new"),
    lambda store, folder: store.list("tree"),
    lambda store, folder: store.read("file"),
    lambda store, folder: store.write("file", b"x"),
    lambda store, folder: store.delete("tree"),
    lambda store, folder: store.claim("lease/1", "me"),
]
NO_HOME = {"HF_HOME": "/nonexistent", "HF_TOKEN": "hf_abcdefghijkl", "AWS_DEFAULT_REGION": "eu-west-1"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
ONCE = Patience(seconds=0.1, call=30, first_wait=0.2)


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    for store in ("hub", "s3"):
        monkeypatch.setattr(f"grpo_job.stores.{store}.CHECK", ONCE)


@pytest.mark.parametrize("uri", ["hf://owner/name", "s3://bucket/runs"])
@pytest.mark.parametrize("seed", range(40))
def test_every_call_of_a_store_ends_in_one_sentence(
    uri: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    error, call = chance.choice(RAISED), chance.choice(CALLS)

    def fails(*_: object, **__: object) -> Any:
        raise error

    monkeypatch.setattr("huggingface_hub.utils._http.get_session", fails)
    monkeypatch.setattr("huggingface_hub.hf_api.get_session", fails)
    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", fails)
    (tmp_path / "file").write_text("x")
    store = open_store(uri, environment=NO_HOME | KEYS, patience=ONCE)
    with pytest.raises((StoreFailed, InvalidRun)) as failed:
        call(store, tmp_path)
    said = str(failed.value)
    assert "\n" not in said
    assert said.startswith(f"{uri}: ")
    assert len(said) < 600
