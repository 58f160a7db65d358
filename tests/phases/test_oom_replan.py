"""Memory that runs out: smaller plans of the same step, a few times, and an ending with the numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from grpo_job.outcomes import Abandoned, InvalidRun, RunEnded, Unexpected
from grpo_job.phases import oom_replan
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.oom_replan import MOST_TRIALS, RestartProcess
from grpo_job.phases.outcome import record_outcome
from grpo_job.planner import choose
from grpo_job.run_folder.files import read_json, read_jsonl
from grpo_job.runtime.machine import GpuSeen
from grpo_job.runtime.signals import Interruption
from grpo_job.runtime.world import ONE, Layout
from grpo_job.settings.reader import resolve

ROOT = Path(__file__).parents[2]
QWEN_3B = {
    "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 11008, "model_type": "qwen2",
    "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2, "tie_word_embeddings": True,
}  # fmt: skip
A10 = GpuSeen("NVIDIA A10G", "GPU-1", 23028, 1, "580.65.06", (8, 6))
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def attempt_at(folder: Path, **variables: str) -> Attempt:
    given = {"GRPO_OUTPUT_DIR": str(folder), "GRPO_RUN_ID": "run", "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "8"}
    attempt = Attempt(resolve({**given, **variables}).settings, Interruption())
    attempt.folder.open()
    return attempt


def checked(attempt: Attempt, gpu: GpuSeen | None = A10, layout: Layout = ONE) -> Any:
    """What the checks find out for a run on this GPU."""
    limit = oom_replan.memory_limit(attempt.folder)
    plan = choose.plan(attempt.settings, QWEN_3B, gpu, limit, layout) if gpu else None
    engine = choose.choose(attempt.settings, QWEN_3B, gpu, layout, limit) if gpu else "trl"
    base = SimpleNamespace(config=lambda: QWEN_3B)
    return SimpleNamespace(plan=plan, gpus=[gpu] if gpu else [], base=base, layout=layout, engine=engine)


def ending_of(attempt: Attempt, found: Any, error: Exception = OUT_OF_MEMORY) -> Exception:
    known = RunEnded if oom_replan.memory_trouble(error) else type(error)
    with pytest.raises(known) as raised, oom_replan.replan_on_oom(attempt, found):
        raise error
    return raised.value


def test_each_plan_is_smaller_learns_from_as_many_completions_and_keeps_the_precision(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    plans = [checked(attempt).plan]
    for _ in range(2):
        assert isinstance(ending_of(attempt, checked(attempt)), RestartProcess)
        plans.append(checked(attempt).plan)
    sizes = [plan.memory.total for plan in plans]
    assert sizes[1] <= 0.8 * sizes[0]
    assert sizes[2] <= 0.8 * sizes[1]
    assert {plan.micro_batch_size * plan.micro_steps for plan in plans} == {8}
    assert len({plan.load_in_4bit for plan in plans}) == 1
    assert plans[1] != plans[0]


def test_what_was_tried_is_recorded_in_the_run_folder_and_the_summary(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    told = str(ending_of(attempt, checked(attempt)))
    assert told.startswith("memory ran out before step 1 was done (OutOfMemoryError: CUDA out of memory.")
    (trial,) = oom_replan.trials(attempt.folder)
    assert (trial["gpu"], trial["after_step"]) == ("NVIDIA A10G", 0)
    assert "Tried to allocate" in trial["error"]
    assert trial["plan"]["micro_batch_size"] >= 1
    assert attempt.summary.values["backed_off"] == [trial]


@pytest.mark.parametrize(("used", "told"), [(9000, True), (1, False)])
def test_a_gpu_that_others_used_is_told(used: int, told: bool, tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    ended = str(ending_of(attempt, checked(attempt, A10._replace(used_mib=used))))
    named = "at the check of this attempt other processes use 9.4 GB of NVIDIA A10G: see nvidia-smi, end them or use"
    assert (named in ended) == told


def test_another_gpu_is_planned_for_in_full(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    h200 = A10._replace(name="NVIDIA H200", memory_mib=143771, capability=(9, 0))
    before = checked(attempt, h200).plan
    ending_of(attempt, checked(attempt))
    assert checked(attempt, h200).plan == before


def test_after_the_last_trial_the_ending_has_the_plans_numbers_and_what_to_change(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    ends: list[Exception] = []
    while not ends or isinstance(ends[-1], RestartProcess):
        ends.append(ending_of(attempt, checked(attempt)))
    assert 1 < len(ends) <= MOST_TRIALS + 1
    told = str(ends[-1])
    assert isinstance(ends[-1], InvalidRun)
    for part in ("micro_batch_size: ", "kv cache", "GB usable", "change: ", "GRPO_MAX_COMPLETION_LENGTH"):
        assert part in told


def test_a_run_that_did_steps_may_be_tried_again_where_no_plan_is_left(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    attempt.summary.update(steps={"done": 7})
    ended = ending_of(attempt, checked(attempt, None))
    assert isinstance(ended, Unexpected)
    assert str(ended).startswith("memory ran out after step 7 (OutOfMemoryError")


@pytest.mark.parametrize(("done", "engines"), [(0, {"unsloth", "trl"}), (3, {"unsloth"})])
def test_several_gpus_may_take_another_engine_until_a_step_is_done(
    done: int, engines: set[str], tmp_path: Path
) -> None:
    attempt = attempt_at(tmp_path, GRPO_PER_DEVICE_TRAIN_BATCH_SIZE="32")
    attempt.summary.update(steps={"done": done})
    found, ended = [checked(attempt, layout=Layout(4))], ending_of(attempt, checked(attempt, layout=Layout(4)))
    while isinstance(ended, RestartProcess):
        found.append(checked(attempt, layout=Layout(4)))
        ended = ending_of(attempt, found[-1])
    assert {one.engine for one in found} == engines


def test_the_restarted_process_finds_what_was_tried(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    with attempt.lock(), record_outcome(attempt):
        raise ending_of(attempt, checked(attempt))
    assert attempt.outcome.kind == RestartProcess.kind
    again = attempt_at(tmp_path)
    assert again.summary.values["backed_off"] == oom_replan.trials(again.folder)
    assert again.summary.values["attempts"] == 2


def test_without_a_gpu_it_ends_with_what_to_change(tmp_path: Path) -> None:
    ended = ending_of(attempt_at(tmp_path), checked(attempt_at(tmp_path), None), MemoryError())
    assert isinstance(ended, InvalidRun)
    assert "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE" in str(ended)


@pytest.mark.parametrize("error", [ValueError("no such column"), KeyError("x")])
def test_other_errors_travel_on(error: Exception, tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path)
    assert ending_of(attempt, checked(attempt), error) is error


def test_an_ending_that_is_known_stays_as_it_is(tmp_path: Path) -> None:
    attempt, known = attempt_at(tmp_path), Abandoned("a reward said: out of memory")
    with pytest.raises(Abandoned), oom_replan.replan_on_oom(attempt, checked(attempt)):
        raise known


# The engine for the CPU stands at the edge in place of vLLM's, and holds no more than 16 completions at once.
MACHINE = """
import sys, torch
from grpo_job import engines
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.preflight import resources
def build(engine, settings, base, rows, rewards, folder, plan, ranks, start):
    if plan.micro_batch_size > 16:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    parts = settings.per_device_train_batch_size // plan.micro_batch_size
    split = {"per_device_train_batch_size": plan.micro_batch_size, "gradient_accumulation_steps": parts}
    return PlainTrl(settings.model_copy(update=split), base, rows, rewards, folder)
engines.build = build
resources.available_memory = lambda: 64e9
sys.argv = ["entrypoint.py"]
from grpo_job.cli import main
from grpo_job.runtime.signals import Interruption
main(obj=Interruption().install())
"""


@pytest.mark.slow
def test_a_process_whose_gpu_is_too_small_starts_anew_and_ends_with_an_adapter(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'NVIDIA T4, GPU-1, 2048, 1, 580.65.06, 7.5, Disabled'\n")
    program.chmod(0o755)
    settings = {
        "GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(tmp_path), "GRPO_RUN_ID": "run", "GRPO_ENGINE": "trl",
        "GRPO_MAX_STEPS": "2", "GRPO_EVAL_ROWS": "4", "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "32",
        "GRPO_ALLOW_OTHER_VERSIONS": "true", "GRPO_CACHE_DIR": str(tmp_path / "cache"),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }  # fmt: skip
    known = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    ran = subprocess.run(
        [sys.executable, "-c", MACHINE], env=known | settings, cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    run = tmp_path / "run"
    summary = read_json(run / "summary.json")
    assert "grpo-job: memory ran out before step 1 was done (OutOfMemoryError" in ran.stderr
    assert summary["attempts"] == 1 + len(summary["backed_off"]) > 1
    assert read_json(run / "environment.json")["backed_off"] == summary["backed_off"]
    assert read_json(run / "environment.json")["plan"]["micro_batch_size"] <= 16
    assert len(read_jsonl(run / "completions.jsonl")) == 2 * 32, json.dumps(summary)
    assert (run / "adapter" / "adapter_model.safetensors").is_file()
