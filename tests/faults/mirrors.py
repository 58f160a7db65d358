"""The run folder is gone, and the run goes on from GRPO_CHECKPOINT_TO: over sound networks, faulty ones, and none."""

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from grpo_job.run_folder.files import read_json
from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport
from tests.servers.fault_proxy import FaultProxy
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server
from tests.servers.swift import SwiftServer

FAULTS = ("500", "429", "reset", "truncated", "lost")
BUCKET = "bucket"


class Remote(NamedTuple):
    """A store behind a proxy, and the variables that lead there."""

    uri: str
    proxy: FaultProxy
    variables: dict[str, str]


def trials(folder: Path, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Store after store, network after network."""
    dice = random.Random(seed)
    whole = runs.undisturbed(folder / "undisturbed")
    s3 = "S3 (moto)" if SwiftServer.missing() else "S3 (Swift)"
    kinds = [(store, trial) for trial in TRIALS for store in (s3, "Hub")]
    with ExitStack() as stack:
        servers = {name: stack.enter_context(_server(name, folder)) for name in (s3, "Hub")}
        for number in range(count):
            store, trial = kinds[number % len(kinds)]
            with _remote(store, servers[store], seed + number) as remote:
                what, wrong = trial(folder / f"trial-{number}", remote, dice, whole)
                yield f"{store}, {what}", wrong


def _elsewhere(place: Path, remote: Remote, dice: random.Random, whole: Path, share: float = 0.0) -> tuple[str, str]:
    """The run folder is gone between two attempts."""
    killer, step = dice.choice([signal.SIGTERM, signal.SIGKILL]), dice.randrange(3, 6)
    remote.proxy.share = share
    if share:
        killer = signal.SIGTERM  # whose grace is time for retries; such a short run would be over before them
    settings = _settings(place, remote)
    cut = runs.finish(place, settings, hooks=[SignalAfterStep(step, killer), WithoutReport()])
    shutil.rmtree(place / runs.RUN_ID)
    again = runs.start(place, settings, hooks=[WithoutReport()])
    code = again.wait()
    said = [line for line in again.said().splitlines() if "resuming after step" in line]
    behind = said[0].split("resuming after step ")[1].split('"')[0] if said else "none"
    what = (
        f"{share:.0%} of requests fail, {killer.name} after step {step}, exits {cut} {code}, "
        f"resumed after step {behind}"
    )
    if cut != (75 if killer == signal.SIGTERM else -killer) or code:
        return what, "an attempt ended otherwise"
    # The signal comes while the step is logged, when whether to stop behind it has been asked already.
    if killer == signal.SIGTERM and share == 0 and behind not in (str(step), str(step + 1)):
        return what, "the last checkpoint had not reached the mirror"
    if not said and "attempt 2 starts at step 1" not in again.said():
        return what, "it began anew without a word"
    return what, runs.difference(runs.result(whole), runs.result(place))


def _away_while_training(place: Path, remote: Remote, dice: random.Random, whole: Path) -> tuple[str, str]:
    """The store goes away as soon as training begins: the run finishes, and says what it could not do."""
    attempt = runs.start(place, _settings(place, remote), hooks=[WithoutReport()])
    attempt.wait_until(lambda: '"step": 1,' in attempt.said())
    remote.proxy.share = 1.0
    code = attempt.wait()
    what = f"away from step 1 on, exit {code}"
    if code:
        return what, "the run did not finish"
    if "did not reach" not in attempt.said():
        return what, "the failure was not told"
    lost = read_json(place / runs.RUN_ID / "summary.json")["steps"]["lost_to_resume"]
    return what, f"{lost} steps were lost" if lost else runs.difference(runs.result(whole), runs.result(place))


def _away_at_the_resume(place: Path, remote: Remote, dice: random.Random, whole: Path) -> tuple[str, str]:
    """Where the store cannot say what it holds, no step is done; once it can, the run goes on."""
    step, settings = dice.randrange(3, 6), _settings(place, remote)
    cut = runs.finish(place, settings, hooks=[SignalAfterStep(step), WithoutReport()])
    shutil.rmtree(place / runs.RUN_ID)
    remote.proxy.share = 1.0
    refused = runs.start(place, settings, hooks=[WithoutReport()])
    codes = [cut, refused.wait()]
    remote.proxy.share = 0.0
    again = runs.start(place, settings, hooks=[WithoutReport()])
    codes.append(again.wait())
    what = f"away when resuming behind step {step}, exits {codes}"
    if codes != [75, 1, 0]:
        return what, "an attempt ended otherwise"
    if "cannot tell whether another attempt is running" not in refused.said() or '"event": "step"' in refused.said():
        return what, "the failure was not told, or steps were done"
    if "resuming after step" not in again.said():
        return what, "the run was begun anew"
    return what, runs.difference(runs.result(whole), runs.result(place))


Trial = Callable[[Path, Remote, random.Random, Path], tuple[str, str]]
TRIALS: tuple[Trial, ...] = (_elsewhere, partial(_elsewhere, share=0.3), _away_while_training, _away_at_the_resume)


def _settings(place: Path, remote: Remote) -> dict[str, str]:
    return {**remote.variables, "GRPO_CHECKPOINT_TO": f"{remote.uri}-{place.name}", "GRPO_LEASE_SECONDS": "3"}


@contextmanager
def _server(name: str, folder: Path) -> Iterator[HubServer | S3Server | SwiftServer]:
    kinds = {"Hub": HubServer, "S3 (moto)": S3Server, "S3 (Swift)": lambda: SwiftServer(folder / "swift")}
    with kinds[name]() as server:
        if not isinstance(server, HubServer):
            server.client().create_bucket(Bucket=BUCKET)
        yield server


@contextmanager
def _remote(name: str, server: HubServer | S3Server | SwiftServer, seed: int) -> Iterator[Remote]:
    with FaultProxy(server.url, share=0.0, seed=seed, kinds=FAULTS, retry_after=1) as proxy:
        if not isinstance(server, HubServer):
            given = {**server.environment(), "AWS_ENDPOINT_URL_S3": proxy.url}
            yield Remote(f"s3://{BUCKET}/kept", proxy, given)
            return
        own = server.url, server.large_url
        server.url, server.large_url = proxy.url, proxy.url.replace("127.0.0.1", "localhost")
        try:
            yield Remote("hf://alice/kept", proxy, {"HF_ENDPOINT": proxy.url, "HF_TOKEN": server.token("alice")})
        finally:
            server.url, server.large_url = own
