"""A store dies, stalls, lies or throttles at a random moment of a run that reads, mirrors and publishes there.

The run ends with the right code, soon after its work was done, and the same command then finishes it.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from grpo_job.inputs import sample
from grpo_job.stores import Store, open_store
from tests.faults import runs
from tests.faults.hooks import WithoutReport
from tests.servers.fault_proxy import FaultProxy
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server

LONGEST_END = 90.0  # seconds from the end of the work to that of the process
FILE = "/{repo_id}/resolve/{revision}/{filename}"  # at the Hub
# What happens -> the fates of the proxy, and the share of requests that meet them.
KINDS: dict[str, tuple[tuple[str, ...], float]] = {
    "dies": (("reset",), 1.0),
    "stalls": (("stall",), 1.0),
    "lies": (("rotten", "swallowed"), 0.5),
    "throttles": (("429", "503"), 0.9),
}


class World(NamedTuple):
    """A store behind a proxy: what a run there is told, and the store as it is without the proxy."""

    proxy: FaultProxy
    settings: dict[str, str]
    hooks: list[runs.Hook]
    published: Callable[[], Store]


@dataclass(frozen=True)
class HubAt:
    """The client's address of the Hub, which it reads at import, and a cache of this attempt's own."""

    url: str
    cache: str

    def __call__(self) -> None:
        from huggingface_hub import constants

        constants.ENDPOINT, constants.HF_HUB_CACHE = self.url, self.cache
        constants.HUGGINGFACE_CO_URL_TEMPLATE = self.url + FILE


def trials(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Every kind at one store or the other, then at the other one; the moment is drawn."""
    dice = random.Random(seed)
    stores = list(WORLDS)
    plans = [(stores[(place + turn) % 2], kind) for turn in (0, 1) for place, kind in enumerate(KINDS)]
    with ExitStack() as stack:
        servers = {name: stack.enter_context(server()) for name, (server, _) in WORLDS.items()}
        whole, requests = {}, {}
        for number in range(count):
            store, kind = plans[number % len(plans)]
            if store not in whole:
                whole[store], requests[store] = _undisturbed(folder / f"whole-{number}", store, servers[store])
            begins_at = dice.randrange(requests[store])
            with WORLDS[store][1](servers[store], folder / f"trial-{number}", seed + number) as world:
                what, wrong = _disturbed(folder / f"trial-{number}", world, kind, begins_at, whole[store])
            yield f"{store} {kind} after {begins_at} of {requests[store]} requests, {what}", wrong


def _undisturbed(place: Path, store: str, server: HubServer | S3Server) -> tuple[dict[str, object], int]:
    """The result of a run that is left alone, and how many requests it makes."""
    with WORLDS[store][1](server, place, 0) as world:
        attempt = runs.start(place, world.settings, hooks=world.hooks)
        assert attempt.wait() == 0, attempt.said()
        return runs.result(place), len(world.proxy.requests)


def _disturbed(place: Path, world: World, kind: str, begins_at: int, whole: dict[str, object]) -> tuple[str, str]:
    proxy = world.proxy
    proxy.begins_at, (proxy.kinds, proxy.share) = begins_at, KINDS[kind]
    first = runs.start(place, world.settings, hooks=world.hooks)
    code, ended = first.wait(), time.time()
    proxy.share = 0.0
    proxy.over.set()
    done = _work_done(first.said())
    again = runs.start(place, world.settings, hooks=world.hooks)
    codes = [code, again.wait()]
    what = f"exits {codes}" + (f", the first {ended - done:.0f} s after its work" if done else ", the first before it")
    if code not in _right_codes(first.said(), kind):
        return what, f"the first is wrong: {first.said()[-300:]}"
    if done and ended - done > LONGEST_END:
        return what, "the end took too long"
    if codes[1]:
        return what, f"it was not finished: {again.said()[-300:]}"
    return what, runs.difference(whole, runs.result(place)) or _difference_there(place, world)


def _right_codes(said: str, kind: str) -> set[int]:
    """0 or 3 once a step was done. Before: 1, and of a store that lies, that it is refused; 0 if it was outlasted."""
    if '"event": "step"' in said:
        return {0, 3}
    return {0, 1, 2} if kind == "lies" else {0, 1}


def _work_done(said: str) -> float:
    """When the adapter was about to be saved, in seconds since 1970; 0 if that was not reached."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return max((float(line["time"]) for line in lines if line.get("phase") == "save"), default=0.0)


def _difference_there(place: Path, world: World) -> str:
    there = world.published().read("adapter_model.safetensors") or b""
    mine = runs.result(place)["adapter"]
    return "" if sha256(there).hexdigest() == mine else "the published adapter differs"


def _settings(uri: str, place: Path, **more: str) -> dict[str, str]:
    return {
        "GRPO_CHECKPOINT_TO": f"{uri}/kept-{place.name}",
        "GRPO_PUBLISH_TO": f"{uri}/out-{place.name}",
        "GRPO_LEASE_SECONDS": "20",
        **more,
    }


@contextmanager
def _s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        client = server.client()
        client.create_bucket(Bucket="bucket")
        for name, path in (("train", sample.TRAIN), ("test", sample.HELD_OUT)):
            client.upload_file(str(path), "bucket", f"rows/{name}.jsonl")
        yield server


@contextmanager
def _hub_server() -> Iterator[HubServer]:
    with HubServer() as hub:
        hub.add_repo("alice/small", {path.name: path.read_bytes() for path in sample.MODEL.iterdir()})
        yield hub


@contextmanager
def _s3(server: S3Server, place: Path, seed: int) -> Iterator[World]:
    with FaultProxy(server.url, share=0.0, seed=seed) as proxy:
        keys = server.environment(AWS_ENDPOINT_URL_S3=proxy.url)
        settings = _settings("s3://bucket", place, GRPO_DATASET="s3://bucket/rows", **keys)
        sound = server.environment()
        uri = settings["GRPO_PUBLISH_TO"]
        yield World(proxy, settings, [WithoutReport()], lambda: open_store(uri, environment=sound))


@contextmanager
def _hub(hub: HubServer, place: Path, seed: int) -> Iterator[World]:
    with FaultProxy(hub.url, share=0.0, seed=seed) as proxy:
        own = hub.url, hub.large_url
        hub.url, hub.large_url = proxy.url, proxy.url.replace("127.0.0.1", "localhost")
        token = hub.token("alice")
        settings = _settings(
            "hf://alice",
            place,
            GRPO_MODEL="alice/small",
            HF_ENDPOINT=proxy.url,
            HF_TOKEN=token,
            HF_HOME=str(place / "hf"),
        )
        uri = settings["GRPO_PUBLISH_TO"]
        hooks: list[runs.Hook] = [WithoutReport(), HubAt(proxy.url, str(place / "hub"))]
        try:
            yield World(
                proxy, settings, hooks, lambda: open_store(uri, environment={"HF_ENDPOINT": own[0], "HF_TOKEN": token})
            )
        finally:
            hub.url, hub.large_url = own


WORLDS = {"S3": (_s3_server, _s3), "Hub": (_hub_server, _hub)}
