"""The examination as a whole: what passes, what it prints, what it leaves out, and how long it takes."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job import preflight
from grpo_job.outcomes import InvalidRun
from grpo_job.preflight.findings import Finding, as_json, lines
from grpo_job.settings.reader import resolve
from tests.preflight.world import World

ROOT = Path(__file__).parents[2]
CHECK = ("-c", "from grpo_job.cli import main; main()", "check")


def statuses(found: list[Finding]) -> set[str]:
    return {finding.status for finding in found}


def test_a_good_configuration_passes_every_check_on_the_cpu(world: World) -> None:
    found = world.examine()
    assert [finding for finding in found if finding.status != "passed"] == []
    assert len(found) >= 18


def test_a_good_configuration_passes_every_check_on_a_gpu(world: World) -> None:
    world.gpu()
    found = world.examine()
    assert [finding for finding in found if finding.status != "passed"] == []
    assert {"driver", "GPU", "GPU memory", "shared memory"} <= {finding.name for finding in found}


def test_a_model_of_the_hub_passes_pinned_with_its_licence(world: World) -> None:
    hub = world.hub_model(cardData={"license": "apache-2.0"}, gated="manual")
    commit = hub.repos["model", "alice/model"].at("main")
    assert commit is not None
    world.set(MODEL_REVISION=commit.id)
    found = world.examine()
    assert [finding for finding in found if finding.status != "passed"] == []
    assert (
        Finding("passed", "model", f"alice/model at commit {commit.id[:12]}, gated; this token has access") == found[0]
    )
    assert not list((world.folder / "cache").rglob("*.safetensors"))  # the weights stay where they are


def test_a_model_that_is_not_pinned_says_how_to_keep_to_it(world: World) -> None:
    hub = world.hub_model(cardData={"license": "mit"})
    commit = hub.repos["model", "alice/model"].at("main")
    assert commit is not None
    assert f"to pin it: GRPO_MODEL_REVISION={commit.id}" in world.examine()[0].sentence


def test_a_run_goes_on_with_what_the_checks_found(world: World) -> None:
    checked = preflight.check(resolve(world.environment).settings, world.environment)
    assert (checked.engine, checked.base.name, checked.plan) == ("trl", "sample", None)
    assert len(checked.rows.train) == 100
    assert statuses(checked.findings) == {"passed"}


def test_a_run_is_refused_with_every_fault_at_once(world: World) -> None:
    world.model(max_position_embeddings=100)
    world.set(PROMPT_COLUMN="query", PUBLISH_TO=f"file://{world.folder}/rows/train.jsonl")
    with pytest.raises(InvalidRun) as refusal:
        preflight.check(resolve(world.environment).settings, world.environment)
    for variable in ("GRPO_MAX_SEQ_LENGTH", "GRPO_PROMPT_COLUMN", "GRPO_PUBLISH_TO"):
        assert variable in str(refusal.value)


def test_a_machine_without_a_gpu_says_which_one_the_run_needs(world: World) -> None:
    world.model(hidden_size=2048, intermediate_size=11008, num_hidden_layers=36)
    found = world.examine(elsewhere=True)
    skipped = [finding.sentence for finding in found if finding.status == "skipped"]
    assert len(skipped) == 1
    assert "fits on an L4" in skipped[0]
    assert not found.faults()
    assert "no NVIDIA GPU is visible" in "\n".join(world.examine().faults())


def test_no_time_is_estimated_for_a_gpu_that_the_model_does_not_fit(world: World) -> None:
    world.gpu(name="NVIDIA T4", memory=15360)
    world.model(hidden_size=8192, num_hidden_layers=80)
    names = {finding.name for finding in world.examine()}
    assert "GPU memory" in names
    assert "time and cost" not in names


def test_offline_nothing_is_asked_and_what_was_skipped_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = world.hub_model()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    world.set(DATASET="openai/gsm8k", PUBLISH_TO=f"hf://alice/out,file://{world.folder}/published")
    found = world.examine(offline=True)
    skipped = {finding.name: finding.sentence for finding in found if finding.status == "skipped"}
    assert skipped.keys() == {"model", "rows", "destination"}
    assert "hf://alice/out was not checked" in skipped["destination"]
    assert not found.faults()
    assert hub.requests == []


def test_offline_a_fault_of_what_is_on_this_machine_is_none_to_skip(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    world.set(EVAL_DATASET="openai/gsm8k", ANSWER_COLUMN="gold")
    assert "GRPO_ANSWER_COLUMN: 'gold' was given" in world.failed(offline=True)[0].sentence
    world.set(DATASET="rows/mistyped.jsonl")
    assert "there is no such file or folder" in world.failed(offline=True)[0].sentence


def test_offline_no_rows_are_fetched_from_a_bucket(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grpo_job.inputs.sources.open_store", None)
    world.set(DATASET="s3://bucket/rows")
    assert Finding("skipped", "rows", "s3://bucket/rows was not checked because of --offline") in world.examine(
        offline=True
    )


def test_a_fault_behind_another_one_is_found_too(world: World) -> None:
    """Rows are read although there is no tokenizer to measure them with."""
    (world.model() / "tokenizer.json").write_text("{}")
    world.set(ANSWER_COLUMN="gold")
    assert {finding.name for finding in world.failed()} == {"tokenizer", "rows"}


def test_the_table_has_failures_first_and_a_tally() -> None:
    found = [
        Finding("failed", "disk", "full\nfree some"),
        Finding("passed", "rows", "ten"),
        Finding("warned", "a", "b"),
    ]
    assert lines(found) == [
        "failed   disk  full",
        "               free some",
        "warned   a     b",
        "passed   rows  ten",
        "1 passed, 1 warned, 1 failed, 0 skipped",
    ]


def test_machines_read_whether_it_may_begin() -> None:
    assert json.loads(as_json([Finding("warned", "a", "b")])) == {
        "ok": True, "findings": [{"status": "warned", "name": "a", "sentence": "b"}], "settings": {},
    }  # fmt: skip
    assert json.loads(as_json([Finding("failed", "a", "b")]))["ok"] is False


@pytest.fixture
def door(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`grpo-job check` in a process of its own."""

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith(("GRPO_", "HF_", "AWS_"))}
        own = {"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(tmp_path), "GRPO_CACHE_DIR": str(tmp_path / "cache")}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env=known | own | environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    return call


def test_the_embedded_sample_is_checked_in_5_seconds_with_0_warnings(
    door: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Seconds of its own: the clock on the wall counts what else the machine does, too."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = door(*CHECK)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert told.returncode == 0, told.stderr
    assert "0 warned, 0 failed, 0 skipped" in told.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 5


def test_nothing_heavy_is_imported_by_the_checks(door: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    script = (
        "import os, sys; from grpo_job import preflight; from grpo_job.settings.reader import resolve; "
        "preflight.check(resolve(os.environ).settings, os.environ); "
        "print(*[name for name in ('torch', 'transformers', 'trl', 'peft', 'vllm') if name in sys.modules])"
    )
    told = door("-c", script)
    assert (told.returncode, told.stdout.strip()) == (0, ""), told.stderr


def test_machines_get_one_object_also_when_settings_are_wrong(
    door: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    told = door(*CHECK, "--json", GRPO_MAX_STEPS="many", GRPO_SEED="x")
    assert told.returncode == 2
    found = json.loads(told.stdout)
    assert found["ok"] is False
    assert [finding["name"] for finding in found["findings"]] == ["settings", "settings"]
