"""`grpo-job verify`: what answers as evaluated passes, and each planted fault is found."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job.inputs import sample
from grpo_job.outcomes import InvalidRun
from grpo_job.phases import verified, verify
from grpo_job.run_folder.files import read_json, sha256, write_json
from grpo_job.run_folder.paths import WEIGHTS
from tests.faults import runs
from tests.faults.hooks import WithoutReport
from tests.phases import faulty_trees as faults

pytestmark = pytest.mark.slow
ROWS = 24
LEARNING = {
    "GRPO_MAX_STEPS": "8", "GRPO_EVAL_ROWS": str(ROWS), "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "16",
    "GRPO_NUM_GENERATIONS": "4", "GRPO_LEARNING_RATE": "4e-3", "GRPO_HEALTH": "off", "GRPO_MAX_COMPLETION_LENGTH": "64",
}  # fmt: skip


def faults_of(tree: Path | str, **options: object) -> str:
    found = verify.verify(str(tree), dict(os.environ), on_gpu=False, **options)  # type: ignore[arg-type]
    return "\n".join(found["faults"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned something, as its own last phase verified and published it."""
    folder = tmp_path_factory.mktemp("published")
    there = {**LEARNING, "GRPO_PUBLISH_TO": f"file://{folder}/tree", "GRPO_VERIFY": "true"}
    there |= {"GRPO_PUBLISH_MERGED": "true", "GRPO_PUBLISH_MERGED_DTYPE": "float32"}
    attempt = runs.start(folder, there)
    assert attempt.wait() == 0, attempt.said()
    return folder


@pytest.fixture(scope="module")
def tree(folder: Path) -> Path:
    return folder / "tree"


@pytest.fixture(scope="module")
def small(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree without its merged model, which is loaded in a process of its own and has a fault of its own."""
    return faults.planted(tree, tmp_path_factory.mktemp("small") / "tree", lambda tree: shutil.rmtree(tree / "merged"))


def test_the_last_phase_publishes_what_it_found(folder: Path, tree: Path) -> None:
    told = read_json(tree / "run" / "verify.json")
    assert told["rows"] == told["adapter"]["alike"] == told["base"]["alike"] == ROWS
    assert told["apart"]["asked"] == told["apart"]["recorded"] > 0
    assert told["merged"]["alike"] == ROWS
    assert told["faults"] == []
    assert read_json(tree / "run" / "summary.json")["verify"]["adapter"]["alike"] == ROWS
    sentence = f"Loaded back by transformers and PEFT on a CPU: {ROWS} of {ROWS} greedy answers as evaluated"
    assert sentence in (tree / "README.md").read_text(encoding="utf-8")
    assert str(folder) not in (tree / "run" / "verify.json").read_text(encoding="utf-8")


def test_a_stranger_verifies_it_at_its_address(tree: Path) -> None:
    assert faults_of(f"file://{tree}", rows=5) == ""


def test_the_base_of_a_local_folder_is_given_by_the_caller(small: Path, tmp_path: Path) -> None:
    local = faults.planted(small, tmp_path / "tree", lambda tree: faults.config(tree, base_model_name_or_path="./base"))
    told = read_json(local / "run" / "environment.json")
    told["model"]["name"] = "./base"
    faults.planted(local, tmp_path / "again", lambda tree: write_json(tree / "run" / "environment.json", told))
    with pytest.raises(InvalidRun, match=r"GRPO_MODEL: .* never taken from a folder"):
        faults_of(tmp_path / "again")
    assert faults_of(tmp_path / "again", model="sample", rows=5) == ""


def unmerged(tree: Path) -> None:
    """The base in place of the merged model."""
    shutil.copyfile(sample.MODEL / "model.safetensors", tree / "merged" / "model.safetensors")


PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "zeroed B": (lambda tree: faults.changed(tree, faults.zeroed), "it does nothing"),
    "swapped layers": (lambda tree: faults.changed(tree, faults.swapped), "the adapter answers .* otherwise"),
    "scale alpha halved": (faults.halved, "lora_alpha is 16, but the run trained with 32"),
    "alpha halved in the settings too": (faults.halved_everywhere, "the adapter answers .* otherwise"),
    "another template": (faults.other_template, f"makes {ROWS} of {ROWS} prompts otherwise"),
    "a module without weights": (
        lambda tree: faults.changed(tree, faults.without("v_proj")), "not whole: it lacks .*v_proj",
    ),
    "a module without a name": (faults.unused_module, "not whole: it does not use .*v_proj"),
    "truncated": (faults.truncated, "no whole safetensors file"),
    "a merged model without the adapter": (unmerged, "the merged model answers as the base does"),
    "a false claim": (faults.false_claim, r"evaluation\.json reports"),
    "another name of the base": (
        lambda tree: faults.config(tree, base_model_name_or_path="someone/base"), "but the run trained \"sample\"",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str, tree: Path, small: Path, tmp_path: Path) -> None:
    plant, sentence = PLANTED[fault]
    faulty = faults.planted(tree if plant is unmerged else small, tmp_path / "tree", plant)
    found = faults_of(faulty, model="sample")
    assert re.search(sentence, found), found


def test_another_base_is_found(small: Path, tmp_path: Path) -> None:
    found = faults_of(small, model=str(faults.other_base(tmp_path / "base")))
    assert "the base answers" in found
    assert "another base" in found


def test_the_adapter_of_another_run_is_found(small: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    learning = {**LEARNING, "GRPO_SEED": "7", "GRPO_LORA_SEED": "7"}
    assert runs.finish(other, learning, hooks=[WithoutReport()]) == 0
    weights = other / runs.RUN_ID / "adapter" / WEIGHTS

    def exchange(tree: Path) -> None:
        shutil.copyfile(weights, tree / WEIGHTS)

    unmended = faults.planted(small, tmp_path / "one", exchange, mended=False)
    assert f"{WEIGHTS} has another SHA-256 than in the manifest" in faults_of(unmended)
    assert sha256(weights) != sha256(small / WEIGHTS)
    assert "the adapter answers" in faults_of(faults.planted(small, tmp_path / "two", exchange))


def test_a_tree_without_its_manifest_is_no_tree(tree: Path, tmp_path: Path) -> None:
    faulty = faults.planted(tree, tmp_path / "tree", lambda tree: (tree / "manifest.json").unlink(), mended=False)
    assert "there is no manifest.json" in faults_of(f"file://{faulty}")


def test_the_result_is_written_into_a_tree_of_ones_own(small: Path, tmp_path: Path) -> None:
    def as_before(tree: Path) -> None:
        (tree / "run" / "verify.json").unlink()

    own = f"file://{faults.planted(small, tmp_path / 'tree', as_before)}"
    found = verified.verify_places(own, dict(os.environ), rows=6, write=True)
    assert verified.outcome(found).code == 0
    written = json.loads((tmp_path / "tree" / "run" / "verify.json").read_text(encoding="utf-8"))
    assert written["rows"] == 6
    assert "6 of 6 greedy answers" in (tmp_path / "tree" / "README.md").read_text(encoding="utf-8")
    assert faults_of(own, rows=2) == ""
