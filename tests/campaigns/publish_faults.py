"""Publishes a run again and again while a share of all requests fails, to the Hub and to S3.

S3 is played by moto, which is fast, and by OpenStack Swift where it is installed, which is real.

    python -m tests.campaigns.publish_faults [COUNT] [SEED]

One line a publish and a final count. A publish is good when it says that it verified, when what is at
the destination is the run's tree and nothing else, when the Hub's history holds one commit of it, and
when publishing again over a sound network changes nothing.
"""

import atexit
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from grpo_job.phases.published_tree import gather, publish
from grpo_job.stores import Patience
from grpo_job.stores.trees import files_of
from tests.servers.fault_proxy import FaultProxy
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server
from tests.servers.swift import SwiftServer
from tests.servers.trained_run import PUBLISHED, make_run

SHARE = 0.3
KINDS = ("500", "429", "reset", "truncated", "lost")
DEADLINE = Patience(seconds=600, call=60, first_wait=0.1, longest_wait=2)


class Result(NamedTuple):
    store: str
    seed: int
    fault: str
    requests: int
    failed: int
    seconds: float

    def line(self) -> str:
        verdict = f"BAD ({self.fault})" if self.fault else "good"
        share = f"{self.failed} of {self.requests} requests failed"
        return f"{self.store} seed {self.seed}: {verdict}, {share}, {self.seconds:.1f} s"


@dataclass
class Place:
    """A destination behind a proxy: `files` are there now, and `history` changes with every write."""

    uri: str
    proxy: FaultProxy
    faulty: dict[str, str]
    sound: dict[str, str]
    files: Callable[[], dict[str, bytes]]
    history: Callable[[], list[str]]
    writes: int


def main(count: int = 50, seed: int = 0, *, retry_after: int = 1) -> bool:
    """Publishes `count` times to each store, from `seed` on; whether all were good."""
    results, lacking = [], SwiftServer.missing()
    if lacking:
        print(f"swift: left out, {lacking}", flush=True)
    for store in ("hub", "s3") if lacking else PLACES:
        for number in range(seed, seed + count):
            results.append(publish_once(store, number, retry_after=retry_after))
            print(results[-1].line(), flush=True)
        good = sum(not result.fault for result in results if result.store == store)
        print(f"{store}: {good} of {count} complete and verified, none twice, none torn", flush=True)
    return not any(result.fault for result in results)


def publish_once(store: str, seed: int, *, retry_after: int = 1) -> Result:
    """One run, published to a fresh place through a proxy whose failures the seed decides."""
    with tempfile.TemporaryDirectory() as scratch, PLACES[store](seed, retry_after) as place:
        run = make_run(Path(scratch, "run"), seed=seed)
        started = time.monotonic()
        (published,) = publish(run, [place.uri], environment=place.faulty, patience=DEADLINE)
        seconds, counts = time.monotonic() - started, place.proxy.counts.copy()
        fault = published.failure or _compare(run, Path(scratch, "tree"), place)
        before = place.history()
        (again,) = publish(run, [place.uri], environment=place.sound)
        if not fault and (again != published or place.history() != before):
            fault = f"publishing again changed something: {again}"
    return Result(store, seed, fault, counts.total(), counts.total() - counts["passed"], seconds)


def _compare(run: Path, tree: Path, place: Place) -> str:
    """What is wrong at the destination, "" if nothing."""
    gather(run, tree)
    wanted, there = {name: path.read_bytes() for name, path in files_of(tree).items()}, place.files()
    wrong = sorted(name for name in wanted | there if wanted.get(name) != there.get(name))
    if wrong:
        return f"these differ: {', '.join(wrong)}"
    return f"it was written {len(place.history())} times" if len(place.history()) != place.writes else ""


@contextmanager
def _hub(seed: int, retry_after: int) -> Iterator[Place]:
    faults = {"share": SHARE, "seed": seed, "kinds": KINDS, "retry_after": retry_after}
    with HubServer() as hub, FaultProxy(hub.url, **faults) as proxy:
        sound = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token("alice")}
        hub.url, hub.large_url = proxy.url, proxy.url.replace("127.0.0.1", "localhost")

        def history() -> list[str]:
            return [commit.id for commit in hub.repos["model", "alice/adapter"].history("main")]

        def files() -> dict[str, bytes]:
            there = hub.repos["model", "alice/adapter"].history("main")[0].files
            return {name: blob.content for name, blob in there.items() if name != ".gitattributes"}

        # The commit that makes the repository, and ours.
        yield Place("hf://alice/adapter", proxy, sound | {"HF_ENDPOINT": proxy.url}, sound, files, history, 2)


@contextmanager
def _s3(seed: int, retry_after: int) -> Iterator[Place]:
    with S3Server() as server:
        server.reset()
        with _bucket(server, seed, retry_after) as place:
            yield place


@contextmanager
def _swift(seed: int, retry_after: int) -> Iterator[Place]:
    with _bucket(_one_swift(), seed, retry_after) as place:
        yield place


@cache
def _one_swift() -> SwiftServer:
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(SwiftServer(Path(stack.enter_context(tempfile.TemporaryDirectory()), "swift")))


@contextmanager
def _bucket(server: S3Server | SwiftServer, seed: int, retry_after: int) -> Iterator[Place]:
    faults = {"share": SHARE, "seed": seed, "kinds": KINDS, "retry_after": retry_after}
    client, bucket = server.client(), f"bucket-{seed}"
    client.create_bucket(Bucket=bucket)

    def objects() -> list[dict[str, object]]:
        return client.list_objects_v2(Bucket=bucket).get("Contents", [])

    def history() -> list[str]:
        return [f"{item['Key']} {item['ETag']} {item['LastModified']}" for item in objects()]

    def files() -> dict[str, bytes]:
        keys = [str(item["Key"]) for item in objects()]
        found = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
        return {key.removeprefix("a/run/"): body for key, body in found.items() if key != "a/run/latest.json"}

    with FaultProxy(server.url, **faults) as proxy:
        faulty = server.environment(AWS_ENDPOINT_URL_S3=proxy.url)
        # One object a file, and latest.json.
        writes = len(PUBLISHED) + 1
        yield Place(f"s3://{bucket}/a/run", proxy, faulty, server.environment(), files, history, writes)


PLACES = {"hub": _hub, "s3": _s3, "swift": _swift}

if __name__ == "__main__":
    # As the job's door sets it, before the library is imported.
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    sys.exit(not main(*(int(argument) for argument in sys.argv[1:3])))
