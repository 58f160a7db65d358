"""What trackers have on disk, read by means of their own: each answers (step, value) of one metric of the only run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Scalars = list[tuple[int, float]]


def tensorboard(folder: Path, tag: str) -> Scalars:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, round(event.value, 6)) for event in events.Scalars(tag)]


def mlflow(folder: Path, tag: str) -> Scalars:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (experiment,) = [found for found in client.search_experiments() if found.name == "grpo-job"]
    (run,) = client.search_runs([experiment.experiment_id])
    return [(point.step, round(point.value, 6)) for point in client.get_metric_history(run.info.run_id, tag)]


def trackio(folder: Path, tag: str) -> Scalars:
    project = ("--project", "grpo-job")
    (run,) = _ask_trackio(folder, "list", "runs", *project)["runs"]
    found = _ask_trackio(folder, "get", "metric", *project, "--run", _name(run), "--metric", tag)
    return [(value["step"], round(value["value"], 6)) for value in found["values"]]


def _name(run: Any) -> str:
    return str(run["name"] if isinstance(run, dict) else run)


def _ask_trackio(folder: Path, *question: str) -> Any:
    """Trackio reads where it lies from its environment, once for a process."""
    command = [sys.executable, "-m", "trackio.cli", *question, "--json"]
    environment = {**os.environ, "TRACKIO_DIR": str(folder / "trackio")}
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(asked.stdout)


def wandb(folder: Path, tag: str) -> Scalars:
    """Of all offline parts, a later one's step in the place of an earlier one's."""
    found: dict[int, float] = {}
    names = set()
    for part in wandb_parts(folder):
        for record in _wandb_records(part):
            if record.WhichOneof("record_type") == "run":
                names.add(record.run.run_id)
            for item in record.history.item:
                if tag in (item.key, "/".join(item.nested_key)):
                    found[record.history.step.num] = round(json.loads(item.value_json), 6)
    assert len(names) == 1, names
    return sorted(found.items())


def wandb_parts(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("offline-run-*/run-*.wandb"), key=lambda path: path.stat().st_mtime_ns)


def _wandb_records(path: Path) -> Iterator[Any]:
    """The file is a log of LevelDB's kind: blocks of 32 KiB, in them pieces of (checksum, size, kind, bytes)."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        left_in_block = 32_768 - at % 32_768
        if left_in_block < 7:
            at += left_in_block
            continue
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        whole += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last piece
            yield Record.FromString(whole)
            whole = b""


SCALARS: dict[str, Callable[[Path, str], Scalars]] = {
    "tensorboard": tensorboard,
    "mlflow": mlflow,
    "trackio": trackio,
    "wandb": wandb,
}
