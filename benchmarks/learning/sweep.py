"""Runs a list of runs, several side by side, each with a GPU, cores and a cache of its own.

Every result is written as soon as it is there, a failed run does not stop the others, and when the time is over what
still runs is stopped: what was measured until then is kept.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from benchmarks.learning import table
from benchmarks.learning.runs import Place, Run, start

GRACE_SECONDS = 20.0  # for a run that is stopped to save


def run_one(run: Run, place: Place, deadline: float = float("inf")) -> int:
    """Start a run, wait for it and write `run.json` into its folder; its exit code, or -15 if it was stopped in time.

    `deadline`: of `time.monotonic()`.
    """
    place.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    process = start(run, place)
    code = wait(process, min(run.timeout, deadline - began))
    told = {**run.model_dump(), "exit": code, "wall": round(time.monotonic() - began, 1), "gpu": place.gpu}
    folder = place.out / run.id
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps(told, indent=1) + "\n")
    return code


def wait(process: subprocess.Popen[bytes], seconds: float) -> int:
    """The exit code. After `seconds` the process group gets SIGTERM, and SIGKILL if it does not end by itself."""
    for given, next_signal in ((seconds, signal.SIGTERM), (GRACE_SECONDS, signal.SIGKILL)):
        try:
            return process.wait(max(0.0, given) if given != float("inf") else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, next_signal)
    return process.wait()


class Sweep:
    """A queue of runs, and one worker for each place."""

    def __init__(self, runs: Sequence[Run], places: Sequence[Place], seconds: float) -> None:
        self.places, self.deadline = places, time.monotonic() + seconds
        self.out = places[0].out
        self.left: SimpleQueue[Run] = SimpleQueue()
        for run in runs:
            self.left.put(run)
        self.writing = threading.Lock()

    def work(self, place: Place) -> None:
        while True:
            try:
                run = self.left.get_nowait()
            except Empty:
                return
            if time.monotonic() + run.expected > self.deadline:
                self.say(f"{run.id}: not started, the time is over")
                continue
            try:
                self.say(f"{run.id}: exit {run_one(run, place, self.deadline)}")
            except Exception as error:  # one run's fault must not cost the others' results
                self.say(f"{run.id}: {type(error).__name__}: {error}")

    def say(self, line: str) -> None:
        """Print the line, and write the table of all results so far."""
        with self.writing:
            print(line, flush=True)
            (self.out / "table.md").write_text(table.text(table.read_all(self.out)))

    def finish(self) -> None:
        """Work until the queue is empty or the time is over."""
        workers = [threading.Thread(target=self.work, args=(place,)) for place in self.places]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def places(model: str, out: Path, gsm8k: Path | None, gpus: int, per_gpu: int, caches: Path) -> list[Place]:
    """One place for each run that goes on at a time, with equal shares of the machine's cores; 0 GPUs: the CPU."""
    number = max(1, gpus) * per_gpu
    cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // number)
    return [
        Place(
            model=model,
            out=out,
            gsm8k=gsm8k,
            gpu=n % gpus if gpus else None,
            cores=",".join(map(str, cores[n * share % len(cores) :][:share])) if number > 1 else None,
            cache=caches / f"cache-{n}",
        )
        for n in range(number)
    ]
