"""One run by Hub ids that publishes to a Hub repository, an S3 bucket and a folder at once, through real clients."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo_job.inputs import sample
from grpo_job.run_folder.files import read_json, read_jsonl
from tests.reports.pages import Page, wrong_figures
from tests.servers.everywhere import CANARIES, GRPO_JOB, ROOT, World, bare_python, downloaded, job, opened

pytestmark = pytest.mark.slow
AS_EVALUATED = "Loaded back by transformers and PEFT on a CPU: 12 of 12 greedy answers as evaluated"
QUESTION = "A jar holds 5 buttons. Lena adds 4 more. How many buttons are in the jar?"
ANSWER = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, question, *adapters = sys.argv[1:]
chat = [{"role": "user", "content": question}]
for adapter in adapters:
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="float32"), adapter)
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
    out = model.generate(**ids, max_new_tokens=64, do_sample=False)
    print(repr(tokenizer.decode(out[0, ids["input_ids"].shape[1]:], skip_special_tokens=True)))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("everywhere")) as world:
        yield world


@pytest.fixture(scope="module")
def finished(world: World) -> World:
    ended = job(world, str(ROOT / "entrypoint.py"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (world.folder / "said").write_text(ended.stdout + ended.stderr)
    return world


@pytest.fixture(scope="module")
def trees(finished: World) -> dict[str, Path]:
    """What each destination gives back of the finished run."""
    return {where: downloaded(finished, where) for where in ("hub", "s3", "folder")}


def test_what_is_downloaded_loads_with_peft_and_answers_as_the_trained_model(
    finished: World, trees: dict[str, Path]
) -> None:
    adapters = [finished.run / "adapter", *trees.values()]
    done = job(finished, "-c", ANSWER, str(sample.MODEL), QUESTION, *map(str, adapters))
    assert done.returncode == 0, done.stderr
    own, *published = done.stdout.splitlines()
    assert published == [own] * 3
    assert "<answer>" in own


def test_each_destination_gives_back_the_same_files(trees: dict[str, Path]) -> None:
    hub, s3, folder = (contents(tree) for tree in trees.values())
    assert hub == s3 == folder
    assert "run/report.html" in hub


def contents(tree: Path) -> dict[str, bytes]:
    """The files of a tree, without what the Hub, its client and the S3 store keep beside them."""
    files = {path.relative_to(tree): path for path in tree.rglob("*") if path.is_file()}
    beside = (".cache", ".gitattributes", "latest.json")
    return {str(name): path.read_bytes() for name, path in files.items() if name.parts[0] not in beside}


def test_what_is_downloaded_is_evaluated_again_with_the_same_records(
    finished: World, trees: dict[str, Path], tmp_path: Path
) -> None:
    """Told nothing: model, rows and their number are those that the run was told."""
    evaluated = asked(finished, "evaluate", str(trees["s3"]), "--output", str(tmp_path))
    assert "verdict: " in evaluated
    assert f"written: {tmp_path}: before.jsonl" in evaluated
    for name in ("before.jsonl", "after.jsonl"):
        assert read_jsonl(tmp_path / name) == read_jsonl(finished.run / "evaluation" / name)
    assert read_json(tmp_path / "evaluation.json") == read_json(finished.run / "evaluation" / "evaluation.json")


def test_the_report_of_what_is_downloaded_says_what_the_published_one_said(
    finished: World, trees: dict[str, Path], tmp_path: Path
) -> None:
    tree, page = trees["hub"], tmp_path / "report.html"
    published = (tree / "run" / "report.html").read_text()
    assert asked(finished, "report", str(tree), "--output", str(page)).strip() == f"written: {page}"
    again = page.read_text()
    assert wrong_figures(tree / "run", published) == wrong_figures(tree / "run", again) == []
    assert [text for _, text in Page(again).figures] == [text for _, text in Page(published).figures]


def test_a_published_folder_answers_as_it_was_evaluated(finished: World) -> None:
    """Told nothing: the base is that of the tree, and neither rows nor rewards are needed."""
    assert AS_EVALUATED in asked(finished, "verify", f"file://{finished.folder}/published")


def test_runs_from_different_places_are_laid_side_by_side(
    finished: World, trees: dict[str, Path], tmp_path: Path
) -> None:
    copies = [shutil.copytree(trees[where], tmp_path / where) for where in ("hub", "s3")]
    asked(finished, "report", *map(str, copies))
    assert "2 runs side by side" in Page((tmp_path / "comparison.html").read_text()).headings


def asked(world: World, *command: str) -> str:
    """What `grpo-job` says in an environment without any setting."""
    plain = {name: value for name, value in world.environment.items() if not name.startswith("GRPO_")}
    done = job(world._replace(environment=plain), *GRPO_JOB, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_publishing_a_finished_run_again_changes_nothing(finished: World) -> None:
    def places() -> tuple[object, ...]:
        objects = finished.s3.client().list_objects_v2(Bucket="results", Prefix="tuned/")["Contents"]
        commits = [commit.id for commit in finished.hub.repos["model", "owner/tuned"].history("main")]
        return commits, [(item["Key"], item["LastModified"]) for item in objects]

    before = places()
    again = job(finished, *GRPO_JOB, "publish", str(finished.run))
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("published and verified: ") == 3
    assert places() == before


def test_both_commits_are_recorded(finished: World) -> None:
    found = json.loads((finished.run / "environment.json").read_text())
    assert found["model"]["commit"] == finished.hub.repos["model", "owner/small"].branches["main"]
    assert found["dataset"]["commit"] == finished.hub.repos["dataset", "openai/gsm8k"].branches["main"]


def test_the_adapter_names_the_hub_id_and_never_a_local_path(finished: World) -> None:
    config = json.loads((finished.run / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "owner/small"


def test_no_secret_is_in_any_file_line_or_published_object(finished: World, trees: dict[str, Path]) -> None:
    texts = {path: path.read_bytes() for path in finished.run.rglob("*") if path.is_file()}
    for where in ("hub", "s3"):
        texts |= {path: path.read_bytes() for path in trees[where].rglob("*") if path.is_file()}
    texts[Path("said")] = (finished.folder / "said").read_bytes()
    assert told(finished, texts) == []


def test_an_error_that_holds_the_whole_environment_tells_no_secret(finished: World, tmp_path: Path) -> None:
    """Not in the traceback, the reason of the ending, the termination message, nor any file of the run."""
    (tmp_path / "talkative.py").write_text(TALKATIVE)
    ended = job(
        finished, str(ROOT / "entrypoint.py"),
        GRPO_RUN_ID="talks", GRPO_PUBLISH_TO="", GRPO_TERMINATION_LOG=str(tmp_path / "termination"),
        GRPO_REWARDS="talkative.reward:1", GRPO_REWARD_PATH=str(tmp_path), GRPO_PROBE_PROMPTS="0",
    )  # fmt: skip
    assert ended.returncode == 2, ended.stdout + ended.stderr
    run = finished.folder / "outputs" / "talks"
    reason = read_json(run / "summary.json")["ending"]["reason"]
    assert "[secret]" in reason
    assert "nothing was trained" in reason  # by a run that had passed its checks
    texts = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    texts |= {
        Path("said"): (ended.stdout + ended.stderr).encode(),
        Path("message"): (tmp_path / "termination").read_bytes(),
    }
    assert told(finished, texts) == []


TALKATIVE = """
import os
from pathlib import Path


def reward(completion: str, answer: str) -> float:
    if Path(os.environ["GRPO_OUTPUT_DIR"], "talks", "libraries.log").exists():  # the checks are over
        raise RuntimeError(f"the environment is {dict(os.environ)}")
    return float(len(completion) % 2)
"""


def told(world: World, texts: dict[Path, bytes]) -> list[str]:
    """Which secret stands in which text."""
    names = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", *CANARIES)
    secrets = {name: world.environment[name].encode() for name in names} | {"HF_TOKEN_PATH": b"canary-file-Xq7v9Lk2Zt"}
    assert all(len(secret) >= 8 for secret in secrets.values())
    return [f"{name} in {path}" for path, text in texts.items() for name, secret in secrets.items() if secret in text]


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
    command = (*GRPO_JOB, "publish", str(run))
    assert job(finished, "-c", "import torch", python=bare).returncode != 0
    first = job(finished, *command, python=bare)
    assert first.returncode == 0, first.stderr
    commits = len(finished.hub.repos["model", "owner/later"].history("main"))
    arrived = finished.hub.repos["model", "owner/later"].history("main")[0].files
    assert arrived["adapter_model.safetensors"].content == (run / "adapter" / "adapter_model.safetensors").read_bytes()
    assert "manifest.json" in arrived
    assert read_json(run / "summary.json")["ending"]["code"] == 0
    assert job(finished, *command, python=bare).returncode == 0
    assert len(finished.hub.repos["model", "owner/later"].history("main")) == commits


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
        GRPO_DATASET_CONFIG="",
        GRPO_PUBLISH_MERGED="true",
        GRPO_PUBLISH_TO=f"file://{finished.folder}/merged-out",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    merged = finished.folder / "merged-out" / "merged"
    script = (
        "import sys; from transformers import AutoModelForCausalLM as A; print(A.from_pretrained(sys.argv[1]).dtype)"
    )
    assert "bfloat16" in job(finished, "-c", script, str(merged)).stdout


@pytest.mark.usefixtures("trees")
@pytest.mark.parametrize("place", ["hf://owner/tuned", "s3://results/tuned"])
def test_it_answers_at_its_address_as_evaluated_and_what_verify_found_is_published_there(
    finished: World, place: str
) -> None:
    """What the other tests read was downloaded before: this changes what is published."""
    assert AS_EVALUATED in asked(finished, "verify", place, "--write")
    tree = finished.folder / f"again-{place.partition(':')[0]}"
    opened_store = (
        "import os, sys; from pathlib import Path; from grpo_job.stores import open_store; "
        "open_store(sys.argv[1], environment=os.environ).get('', Path(sys.argv[2]))"
    )
    assert job(finished, "-c", opened_store, place, str(tree)).returncode == 0
    assert read_json(tree / "run" / "verify.json")["adapter"] == {"alike": 12, "ties": 0, "unexplained": 0}
    assert "12 of 12 greedy answers as evaluated" in (tree / "README.md").read_text()
    assert "run/verify.json" in read_json(tree / "manifest.json")["files"]
    asked(finished, "verify", place, "--rows", "3")
