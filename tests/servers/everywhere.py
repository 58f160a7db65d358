"""A world of servers on this machine, one run in it by Hub ids, and what stock clients bring back of it."""

import io
import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow
import pyarrow.parquet
import pytest

from grpo_job.inputs import sample
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server

ROOT = Path(__file__).resolve().parents[2]
CANARIES = {
    name: f"canary-{number}-Xq7v9Lk2Zt"
    for number, name in enumerate((
        "WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SESSION_TOKEN",
        "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "SOME_SECRET",
    ))
}  # fmt: skip

GRPO_JOB = ("-c", "from grpo_job.cli import main; main()")
GET_FROM_HUB = """
import sys
from huggingface_hub import snapshot_download
snapshot_download("owner/tuned", local_dir=sys.argv[1])
"""


class World(NamedTuple):
    hub: HubServer
    s3: S3Server
    folder: Path
    environment: dict[str, str]

    @property
    def run(self) -> Path:
        return self.folder / "outputs" / "everywhere"


def rows_on_the_hub() -> dict[str, bytes]:
    """The sample's rows as the Hub holds GSM8K: a card that says where each split lies, and Parquet files."""
    card, files = "configs:\n- config_name: main\n  data_files:\n", {}
    for split, path in (("train", sample.TRAIN), ("test", sample.HELD_OUT)):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        columns = {name: [row[name] for row in rows] for name in ("question", "answer")}
        parquet = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), parquet)
        card += f"  - split: {split}\n    path: main/{split}-*\n"
        files[f"main/{split}-00000-of-00001.parquet"] = parquet.getvalue()
    return {"README.md": f"---\n{card}---\n".encode(), **files}


def job(world: World, *arguments: str, python: str = sys.executable, **more: str) -> subprocess.CompletedProcess[str]:
    """Python in this world, with its variables and `more` of them."""
    environment = {**world.environment, **more}
    return subprocess.run(
        [python, *arguments], env=environment, capture_output=True, text=True, cwd=world.folder, timeout=400
    )


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    """The servers with a model, rows and a bucket on them, and what a run that uses all of them is told."""
    with HubServer() as hub, S3Server() as s3:
        hub.add_repo("owner/small", {path.name: path.read_bytes() for path in sample.MODEL.iterdir()})
        hub.add_repo("openai/gsm8k", rows_on_the_hub(), kind="dataset")
        s3.client().create_bucket(Bucket="results")
        (folder / "hf-token").write_text("canary-file-Xq7v9Lk2Zt\n")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("GRPO_", "HF_", "AWS_"))}
        environment = {
            **clean,
            **s3.environment(),
            "PYTHONPATH": str(ROOT),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": hub.token("owner"),
            "HF_HOME": str(folder / "hf"),
            **CANARIES,
            "HF_TOKEN_PATH": str(folder / "hf-token"),
            "GRPO_RECIPE": "smoke",
            "GRPO_MODEL": "owner/small",
            "GRPO_DATASET": "openai/gsm8k",
            "GRPO_DATASET_CONFIG": "main",
            "GRPO_EVAL_SPLIT": "test",
            "GRPO_MAX_STEPS": "3",
            "GRPO_EVAL_ROWS": "12",
            "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "16",
            "GRPO_RUN_ID": "everywhere",
            "GRPO_OUTPUT_DIR": str(folder / "outputs"),
            "GRPO_CACHE_DIR": str(folder / "cache"),
            "GRPO_PUBLISH_TO": f"hf://owner/tuned,s3://results/tuned,file://{folder}/published",
        }
        yield World(hub, s3, folder, environment)


def downloaded(world: World, where: str) -> Path:
    """What the stock client of each destination brings back."""
    target = world.folder / f"from-{where}"
    match where:
        case "hub":
            script = GET_FROM_HUB
            assert job(world, "-c", script, str(target), HF_HUB_DISABLE_XET="1").returncode == 0
        case "s3":
            client = world.s3.client()
            for item in client.list_objects_v2(Bucket="results", Prefix="tuned/")["Contents"]:
                path = target / item["Key"].removeprefix("tuned/")
                path.parent.mkdir(parents=True, exist_ok=True)
                client.download_file("results", item["Key"], str(path))
        case "folder":
            target = world.folder / "published"
    return target


def bare_python(folder: Path) -> str:
    """An interpreter with what publishing needs, taken from this environment by name, and no torch."""
    venv.create(folder / "bare", with_pip=False)
    site = next((folder / "bare" / "lib").glob("python*/site-packages"))
    installed = Path(pytest.__file__).parents[1]
    for path in installed.iterdir():
        if not path.name.lower().startswith(("torch", "transformers", "trl", "peft", "accelerate", "functorch", "~")):
            (site / path.name).symlink_to(path)
    return str(folder / "bare" / "bin" / "python")
