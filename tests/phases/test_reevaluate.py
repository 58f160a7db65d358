"""`grpo-job evaluate`: any adapter, any rows, without training."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from grpo_job.outcomes import InvalidRun
from grpo_job.phases.reevaluate import find, lines, reevaluate, settings_for
from grpo_job.run_folder.files import read_json, read_jsonl, write_json
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.settings.reader import resolve
from tests.faults import runs
from tests.faults.hooks import WithoutReport

LAYER = "base_model.model.model.layers.{}.self_attn.{}_proj.lora_{}.weight"


def adapter_in(folder: Path, *, ranks: tuple[int, ...] = (4, 4), **config: Any) -> Path:
    """An adapter's folder as far as it is read without torch: its weights, all zero, and its config."""
    weights: dict[str, Any] = {}
    for layer, rank in enumerate(ranks):
        weights |= {LAYER.format(layer, name, "A"): np.zeros((rank, 8)) for name in "qv"}
        weights |= {LAYER.format(layer, name, "B"): np.zeros((8, rank)) for name in "qv"}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / WEIGHTS)
    known = {"peft_type": "LORA", "base_model_name_or_path": "someone/base", "revision": "abc", "lora_alpha": 16}
    write_json(folder / "adapter_config.json", {**known, **config})
    return folder


def told(folder: Path, **settings: Any) -> None:
    chosen = resolve({"GRPO_RECIPE": "smoke"}).settings.model_copy(update=settings)
    write_json(folder / "settings.json", {"settings": chosen.model_dump(mode="json")})


def test_an_adapter_alone_brings_its_base_and_its_shape(tmp_path: Path) -> None:
    settings = settings_for(find(adapter_in(tmp_path)), resolve({"GRPO_RECIPE": "smoke"}))
    assert (settings.model, settings.model_revision) == ("someone/base", "abc")
    assert (settings.lora_rank, settings.lora_alpha) == (4, 16)
    assert settings.lora_target_modules == ("q_proj", "v_proj")
    assert settings.dataset == "sample"


@pytest.mark.parametrize("tree", ["run folder", "published tree", "its adapter folder"])
def test_what_the_run_was_told_holds_wherever_its_settings_lie(tree: str, tmp_path: Path) -> None:
    adapter_in(tmp_path if tree == "published tree" else tmp_path / "adapter")
    told(tmp_path / "run" if tree == "published tree" else tmp_path, eval_rows=17)
    path = tmp_path / "adapter" if tree == "its adapter folder" else tmp_path
    settings = settings_for(find(path), resolve({}))
    assert (settings.dataset, settings.eval_rows) == ("sample", 17)


def test_weights_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    weights = adapter_in(tmp_path) / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InvalidRun, match=r"adapter_model\.safetensors is no whole safetensors file \(.*\); allowed: "):
        settings_for(find(tmp_path), resolve({"GRPO_RECIPE": "smoke"}))


def test_the_prompts_have_the_example_that_the_run_decided_on(tmp_path: Path) -> None:
    told(adapter_in(tmp_path / "adapter").parent)
    assert settings_for(find(tmp_path), resolve({})).example == "off"
    write_json(tmp_path / "summary.json", {"example": {"text": "For example ..."}})
    assert settings_for(find(tmp_path), resolve({})).example == "For example ..."
    told(tmp_path, example="off")
    assert settings_for(find(tmp_path), resolve({})).example == "off"


def test_what_the_caller_says_wins_over_what_the_run_was_told(tmp_path: Path) -> None:
    told(adapter_in(tmp_path / "adapter").parent, eval_rows=17)
    said = resolve({"GRPO_EVAL_DATASET": "other.jsonl", "GRPO_MODEL": "my/base"}, {"eval_rows": "5"})
    settings = settings_for(find(tmp_path), said)
    assert (settings.eval_rows, settings.model) == (5, "my/base")
    assert (settings.eval_dataset, settings.eval_split) == ("other.jsonl", None)  # the recipe's split is not theirs


def test_its_log_has_the_form_that_the_caller_wants(tmp_path: Path) -> None:
    told(adapter_in(tmp_path / "adapter").parent, log_format="json")
    assert settings_for(find(tmp_path), resolve({})).log_format == "auto"
    assert settings_for(find(tmp_path), resolve({"GRPO_LOG_FORMAT": "plain"})).log_format == "plain"


def test_nothing_is_sent_anywhere(tmp_path: Path) -> None:
    told(adapter_in(tmp_path / "adapter").parent, publish_to=("hf://me/it",), report_to=("wandb",))
    settings = settings_for(find(tmp_path), resolve({}))
    assert (settings.publish_to, settings.report_to) == ((), ())


def test_a_warm_started_adapter_needs_no_solutions_to_be_evaluated(tmp_path: Path) -> None:
    told(adapter_in(tmp_path / "adapter").parent, warm_start_steps=4)
    assert settings_for(find(tmp_path), resolve({})).warm_start_steps == 0


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match=r"there is no adapter_model\.safetensors; allowed: an adapter's folder"):
        find(tmp_path)


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InvalidRun, match=r"--output: .*/file/x cannot be written: Not a directory"):
        reevaluate(adapter_in(tmp_path), tmp_path / "file" / "x", resolve({"GRPO_RECIPE": "smoke"}), {})


def test_an_adapter_that_is_more_than_a_lora_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match="only plain LoRA adapters are used; this one has use_dora"):
        find(adapter_in(tmp_path, use_dora=True))


def test_an_adapter_of_several_ranks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match=r"the ranks \[4, 8\]"):
        settings_for(find(adapter_in(tmp_path, ranks=(4, 8))), resolve({}))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder, with the tree it published beside it."""
    outputs = tmp_path_factory.mktemp("outputs")
    assert runs.finish(outputs, {"GRPO_PUBLISH_TO": f"file://{outputs}/tree"}, hooks=[WithoutReport()]) == 0
    return outputs / runs.RUN_ID


def evaluate(*arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    code = "import sys; from grpo_job.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "evaluate", *arguments]
    return subprocess.run(command, env=clean, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "tree"])
def test_it_finds_again_what_the_run_found(name: str, published: Path) -> None:
    done = evaluate(str(published.parent / name))
    assert done.returncode == 0, done.stdout + done.stderr
    output = published.parent / f"{name}-evaluation"
    for records in ("before.jsonl", "after.jsonl"):
        assert read_jsonl(output / records) == read_jsonl(published / "evaluation" / records)
    judged = read_json(output / "evaluation.json")
    assert judged == read_json(published / "evaluation" / "evaluation.json")
    assert "\n".join(lines(judged)) in done.stdout


@pytest.mark.slow
def test_other_rows_are_asked_where_they_are_named(published: Path, tmp_path: Path) -> None:
    rows = [{"question": f"What is {number} + 2?", "answer": str(number + 2)} for number in range(7)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = evaluate(
        str(published / "adapter"), "--output", str(tmp_path / "out"),
        "--set", f"eval_dataset={tmp_path}/rows.jsonl", "--set", "eval_rows=50",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row["question"] for row in read_jsonl(tmp_path / "out" / "after.jsonl")] == [
        row["question"] for row in rows
    ]
