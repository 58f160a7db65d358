"""One run by Hub ids that publishes to a Hub repository, an S3 bucket and a folder at once, through real clients."""

import io
import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow
import pyarrow.parquet
import pytest

from grpo_job import sample
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
CANARY = "canary-Xq7v9Lk2Zt"
QUESTION = "A jar holds 5 buttons. Lena adds 4 more. How many buttons are in the jar?"
ANSWER = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
adapter, base, question = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(adapter)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="float32"), adapter)
chat = [{"role": "user", "content": question}]
text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
out = model.generate(**ids, max_new_tokens=64, do_sample=False)
print(tokenizer.decode(out[0, ids["input_ids"].shape[1]:], skip_special_tokens=True))
"""


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
    environment = {**world.environment, **more}
    return subprocess.run(
        [python, *arguments], env=environment, capture_output=True, text=True, cwd=world.folder, timeout=400
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("everywhere")
    with HubServer() as hub, S3Server() as s3:
        hub.add_repo("owner/small", {path.name: path.read_bytes() for path in sample.MODEL.iterdir()})
        hub.add_repo("openai/gsm8k", rows_on_the_hub(), kind="dataset")
        s3.client().create_bucket(Bucket="results")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("GRPO_", "HF_", "AWS_"))}
        environment = {
            **clean,
            **s3.environment(),
            "PYTHONPATH": str(ROOT),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": hub.token("owner"),
            "HF_HOME": str(folder / "hf"),
            "WANDB_API_KEY": CANARY,
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


@pytest.fixture(scope="module")
def finished(world: World) -> World:
    ended = job(world, str(ROOT / "entrypoint.py"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (world.folder / "said").write_text(ended.stdout + ended.stderr)
    return world


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


@pytest.mark.parametrize("where", ["hub", "s3", "folder"])
def test_what_is_downloaded_loads_with_peft_and_answers_as_the_trained_model(finished: World, where: str) -> None:
    published, own = (
        job(finished, "-c", ANSWER, str(folder), str(sample.MODEL), QUESTION)
        for folder in (downloaded(finished, where), finished.run / "adapter")
    )
    assert own.returncode == 0, own.stderr
    assert published.stdout == own.stdout
    assert "<answer>" in own.stdout


def test_both_commits_are_recorded(finished: World) -> None:
    found = json.loads((finished.run / "environment.json").read_text())
    assert found["model"]["commit"] == finished.hub.repos["model", "owner/small"].branches["main"]
    assert found["dataset"]["commit"] == finished.hub.repos["dataset", "openai/gsm8k"].branches["main"]


def test_the_adapter_names_the_hub_id_and_never_a_local_path(finished: World) -> None:
    config = json.loads((finished.run / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "owner/small"


def test_no_secret_is_in_any_file_line_or_published_object(finished: World) -> None:
    secrets = [finished.environment[name].encode() for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY")]
    texts = {path: path.read_bytes() for path in finished.run.rglob("*") if path.is_file()}
    texts |= {path: path.read_bytes() for path in downloaded(finished, "s3").rglob("*") if path.is_file()}
    texts[Path("said")] = (finished.folder / "said").read_bytes()
    for path, content in texts.items():
        assert not any(secret in content for secret in secrets if len(secret) >= 8), path


def test_an_endpoint_that_is_down_ends_with_3_and_a_bare_environment_finishes_it(
    finished: World, tmp_path: Path
) -> None:
    """Training is over and every artefact whole; publishing later needs no torch, and a second time changes nothing."""
    finished.hub.fail("POST", "/commit/main", 500, times=10**6)
    more = {"GRPO_RUN_ID": "later", "GRPO_PUBLISH_TO": "hf://owner/later", "GRPO_PUBLISH_SECONDS": "6"}
    try:
        ended = job(finished, str(ROOT / "entrypoint.py"), **more)
    finally:
        finished.hub.forgive()
    run = finished.folder / "outputs" / "later"
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert f"grpo-job publish {run}" in ended.stderr
    assert (run / "adapter" / "adapter_model.safetensors").is_file()
    bare = bare_python(tmp_path)
    command = ("-m", "grpo_job.cli", "publish", str(run))
    assert job(finished, "-c", "import torch", python=bare).returncode != 0
    first = job(finished, *command, python=bare)
    assert first.returncode == 0, first.stderr
    commits = len(finished.hub.repos["model", "owner/later"].history("main"))
    assert job(finished, *command, python=bare).returncode == 0
    assert len(finished.hub.repos["model", "owner/later"].history("main")) == commits


def bare_python(folder: Path) -> str:
    """An interpreter with what publishing needs, taken from this environment by name, and no torch."""
    venv.create(folder / "bare", with_pip=False)
    site = next((folder / "bare" / "lib").glob("python*/site-packages"))
    installed = Path(pytest.__file__).parents[1]
    for path in installed.iterdir():
        if not path.name.lower().startswith(("torch", "transformers", "trl", "peft", "accelerate", "functorch", "~")):
            (site / path.name).symlink_to(path)
    return str(folder / "bare" / "bin" / "python")


def test_rows_come_from_s3_and_the_merged_model_is_published_too(finished: World) -> None:
    client = finished.s3.client()
    client.create_bucket(Bucket="rows")
    for name, path in (("train", sample.TRAIN), ("test", sample.HELD_OUT)):
        client.upload_file(str(path), "rows", f"words/{name}.jsonl")
    ended = job(
        finished,
        str(ROOT / "entrypoint.py"),
        GRPO_RUN_ID="merged",
        GRPO_DATASET="s3://rows/words",
        GRPO_PUBLISH_MERGED="true",
        GRPO_PUBLISH_TO=f"file://{finished.folder}/merged-out",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    merged = finished.folder / "merged-out" / "merged"
    script = (
        "import sys; from transformers import AutoModelForCausalLM as A; print(A.from_pretrained(sys.argv[1]).dtype)"
    )
    assert "bfloat16" in job(finished, "-c", script, str(merged)).stdout
