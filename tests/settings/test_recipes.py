"""The recipes, and the reference run value for value."""

import re

import pytest
from click.testing import CliRunner

from grpo_job import cli, preflight
from grpo_job.outcomes import InvalidRun
from grpo_job.runtime import process_exit
from grpo_job.settings.global_batch import fault
from grpo_job.settings.reader import resolve
from grpo_job.settings.recipes import RECIPES, TRAINING
from grpo_job.settings.schema import Settings, known_names
from grpo_job.settings.trl_options import OWNED

SYSTEM_PROMPT = """
Respond in the following format:
<reasoning>
...
</reasoning>
<answer>
...
</answer>
"""

# shared/tutorial/SPEC.md: what it says, the setting that holds it, its value, and how `grpo-job check` prints it.
REFERENCE_RUN = [
    ("model", "model", "unsloth/Qwen2.5-3B-Instruct", "unsloth/Qwen2.5-3B-Instruct"),
    ("Unsloth trains, vLLM generates in the same process", "engine", "unsloth", "unsloth"),
    ("max sequence length", "max_seq_length", 1024, "1024"),
    ("base weights in 4 bits", "load_in_4bit", True, "true"),
    ("gpu_memory_utilization", "vllm_gpu_memory_utilization", 0.9, "0.9"),
    ("standby on", "standby", True, "true"),
    ("LoRA rank", "lora_rank", 8, "8"),
    ("LoRA alpha", "lora_alpha", 8, "8"),
    (
        "LoRA on all projections",
        "lora_target_modules",
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
    ),
    ("LoRA seed", "lora_seed", 1234, "1234"),
    ("gradient checkpointing", "gradient_checkpointing", True, "true"),
    ("rows", "dataset", "openai/gsm8k", "openai/gsm8k"),
    ("their configuration", "dataset_config", "main", "main"),
    ("split to train on", "dataset_split", "train", "train"),
    ("split held out", "eval_split", "test", "test"),
    ("column of the question", "prompt_column", "question", "question"),
    ("column of the answer", "answer_column", "answer", "answer"),
    (
        "system message",
        "system_prompt",
        SYSTEM_PROMPT,
        r'"\nRespond in the following format:\n<reasoning>\n...\n</reasoning>\n<answer>\n...\n</answer>\n"',
    ),
    (
        "five rewards, each of weight 1",
        "rewards",
        (("xmlcount", 1.0), ("soft_format", 1.0), ("strict_format", 1.0), ("int", 1.0), ("correctness", 1.0)),
        "xmlcount:1,soft_format:1,strict_format:1,int:1,correctness:1",
    ),
    ("learning rate", "learning_rate", 5e-6, "5e-06"),
    ("Adam beta 1", "adam_beta1", 0.9, "0.9"),
    ("Adam beta 2", "adam_beta2", 0.99, "0.99"),
    ("weight decay", "weight_decay", 0.1, "0.1"),
    ("warm-up of 10 % of steps", "warmup_steps", 0.1, "0.1"),
    ("schedule", "lr_scheduler_type", "cosine", "cosine"),
    ("8-bit AdamW", "optim", "adamw_8bit", "adamw_8bit"),
    ("gradient norm limit", "max_grad_norm", 0.1, "0.1"),
    ("per-device batch", "per_device_train_batch_size", 4, "4"),
    ("gradient accumulation", "gradient_accumulation_steps", 1, "1"),
    ("completions per prompt", "num_generations", 4, "4"),
    ("longest prompt", "max_prompt_length", 256, "256"),
    ("longest completion", "max_completion_length", 200, "200"),
    ("steps", "max_steps", 250, "250"),
    ("saved at 250", "save_steps", 250, "250"),
    ("logging every step", "logging_steps", 1, "1"),
    ("output folder", "output_dir", "outputs", "outputs"),
    ("trackers none", "report_to", (), "none"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"), [case[1:3] for case in REFERENCE_RUN], ids=[case[0] for case in REFERENCE_RUN]
)
def test_the_recipe_tutorial_holds_each_value_of_the_reference_run(field: str, value: object) -> None:
    settings, origins = resolve({"GRPO_RECIPE": "tutorial"})
    assert getattr(settings, field) == value
    assert origins[field] == "recipe tutorial"


def test_check_prints_each_value_of_the_reference_run_with_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise InvalidRun("GRPO_MODEL: no network here")

    monkeypatch.setattr(preflight, "check", refuse)
    monkeypatch.setattr(process_exit, "end_process", lambda code: None)
    printed = CliRunner().invoke(cli.main, ["check"], env={"GRPO_RECIPE": "tutorial"}).stdout.splitlines()
    rows = dict(line.split(maxsplit=1) for line in printed if line.startswith("  GRPO_"))
    for _, field, _, text in REFERENCE_RUN:
        origin, value = re.split(r"  +", rows[f"GRPO_{field.upper()}"], maxsplit=1)
        assert (origin, value) == ("recipe tutorial", text), field


def test_the_default_recipe_has_the_reference_runs_rows_and_prompts() -> None:
    default, tutorial = resolve({}).settings, resolve({"GRPO_RECIPE": "tutorial"}).settings
    differing = {name for name in type(default).model_fields if getattr(default, name) != getattr(tutorial, name)}
    planned = {"engine", "load_in_4bit", "standby", "gradient_checkpointing", "vllm_gpu_memory_utilization"}
    assert differing - planned - set(TRAINING) == {"recipe", "rewards", "example", "save_steps"}
    assert [name for name, _ in default.rewards] == ["correct_anywhere", "correct"]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_resolves_to_settings_that_go_together(name: str) -> None:
    settings = resolve({"GRPO_RECIPE": name}).settings
    assert settings.recipe == name
    assert set(RECIPES[name]) <= set(known_names()) - set(OWNED)


def test_how_the_default_recipe_learns_is_the_default_of_these_settings() -> None:
    settings = resolve({}).settings
    assert {name: getattr(Settings(), name) for name in TRAINING} == {
        name: getattr(settings, name) for name in TRAINING
    }
    assert settings.learning_rate == "auto"


def test_the_default_recipe_is_shared_by_eight_gpus_and_takes_few_steps() -> None:
    assert fault(resolve({}).settings, 8) is None
    assert resolve({"GRPO_MAX_STEPS": "2"}).settings.max_steps == 2


def test_the_recipe_thinking_asks_for_no_tags_and_leaves_out_thoughts_that_were_cut_off() -> None:
    settings = resolve({"GRPO_RECIPE": "thinking"}).settings
    assert "<answer>" not in (settings.system_prompt or "") + str(settings.example)
    assert dict(settings.rewards).keys() == {"correct_anywhere", "think_format"}
    assert settings.max_completion_length >= 2048
    assert settings.grpo_config["mask_truncated_completions"]


@pytest.mark.parametrize("name", ["tutorial", "smoke"])
def test_the_other_recipes_depend_on_no_value_of_the_default_one(name: str) -> None:
    assert set(TRAINING) - set(RECIPES[name]) <= {"adam_beta1", "gradient_accumulation_steps"}


def test_the_smoke_recipe_needs_no_network_and_no_gpu() -> None:
    settings = resolve({"GRPO_RECIPE": "smoke"}).settings
    assert (settings.model, settings.dataset, settings.engine) == ("sample", "sample", "auto")
    assert settings.eval_rows >= 200
