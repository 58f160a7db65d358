"""Bad environments are refused at the door, each with one sentence, before anything heavy is imported."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "unsloth",
    "vllm",
    "datasets",
    "boto3",
    "huggingface_hub",
    "tokenizers",
)
# The door as it is, where importing anything heavy fails, opened in a fork for each environment of standard input.
# Ended after 3 seconds of its own: the clock on the wall counts what else the machine does, too.
DOORS = f"""
import json, os, resource, runpy, sys, tempfile, traceback
sys.modules.update(dict.fromkeys({HEAVY!r}))
import grpo_job.cli, grpo_job.rewards, grpo_job.settings.reader

def open_the_door(environment, said):
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(said.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_CPU, (3, 3))
    try:
        runpy.run_path("entrypoint.py", run_name="__main__")
    except BaseException:
        traceback.print_exc()
    os._exit(1)

sys.argv = ["entrypoint.py"]
ended = []
for environment in json.load(sys.stdin):
    with tempfile.TemporaryFile() as said:
        child = os.fork() or open_the_door(environment, said)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        ended.append((code, said.read().decode()))
json.dump(ended, sys.stdout)
"""
JARGON = ("Input should", "valid ", "unable to", "Tuple", "validation", "pydantic", "Literal", "Value error", "loc")

# Environment, and what the message says besides the first variable's name.
BAD: list[tuple[dict[str, str], str]] = [
    # not a number, or not a whole one
    ({"GRPO_MAX_STEPS": "many"}, "'many' was given; allowed: a whole number from 1, or -1"),
    ({"GRPO_MAX_STEPS": "2.5"}, "allowed: a whole number from 1, or -1"),
    ({"GRPO_LORA_RANK": "8.5"}, "allowed: a whole number from 1"),
    ({"GRPO_LORA_ALPHA": "eight"}, "allowed: a whole number from 1"),
    ({"GRPO_LEARNING_RATE": "fast"}, "allowed: a number from 0"),
    ({"GRPO_LEARNING_RATE": "5e-6,"}, "allowed: a number from 0"),
    ({"GRPO_TEMPERATURE": "warm"}, "allowed: a number above 0"),
    ({"GRPO_SEED": "0x2a"}, "allowed: a whole number from 0"),
    ({"GRPO_EVAL_ROWS": "all"}, "allowed: a whole number from 1"),
    ({"GRPO_SAVE_MINUTES": "10m"}, "allowed: a number above 0"),
    ({"GRPO_EPSILON": "a fifth"}, "allowed: a number above 0"),
    ({"GRPO_PAD_TO_MULTIPLE_OF": "auto"}, "allowed: a whole number from 1, or none"),
    # not a finite number
    ({"GRPO_LEARNING_RATE": "nan"}, "allowed: a number from 0"),
    ({"GRPO_LEARNING_RATE": "inf"}, "allowed: a number from 0"),
    ({"GRPO_MAX_GRAD_NORM": "inf"}, "allowed: a number from 0"),
    ({"GRPO_WEIGHT_DECAY": "-inf"}, "allowed: a number from 0"),
    ({"GRPO_GRACE_SECONDS": "infinity"}, "allowed: a number above 0"),
    ({"GRPO_EPSILON_HIGH": "nan"}, "allowed: a number above 0, or none"),
    ({"GRPO_VESPO_K_POS": "inf"}, "allowed: a number"),
    # out of range
    ({"GRPO_MAX_STEPS": "0"}, "a run needs at least one step; allowed: a whole number from 1, or -1"),
    ({"GRPO_MAX_STEPS": "-2"}, "allowed: a whole number from 1, or -1"),
    ({"GRPO_LORA_RANK": "0"}, "allowed: a whole number from 1"),
    ({"GRPO_MAX_SEQ_LENGTH": "-1024"}, "allowed: a whole number from 1"),
    ({"GRPO_LEARNING_RATE": "-5e-6"}, "allowed: a number from 0"),
    ({"GRPO_ADAM_BETA1": "1"}, "allowed: a number from 0, below 1"),
    ({"GRPO_ADAM_BETA2": "-0.1"}, "allowed: a number from 0, below 1"),
    ({"GRPO_WARMUP_STEPS": "-1"}, "allowed: a share below 1, or a whole number of steps"),
    ({"GRPO_WARMUP_STEPS": "2.5"}, "must be whole; allowed: a share below 1, or a whole number of steps"),
    ({"GRPO_NUM_GENERATIONS": "1"}, "allowed: a whole number from 2"),
    ({"GRPO_TEMPERATURE": "0"}, "allowed: a number above 0"),
    ({"GRPO_SEED": "-1"}, "allowed: a whole number from 0, below 2**32"),
    ({"GRPO_SEED": "4294967296"}, "allowed: a whole number from 0, below 2**32"),
    ({"GRPO_VLLM_GPU_MEMORY_UTILIZATION": "1.5"}, "allowed: a number above 0, at most 1; or auto"),
    ({"GRPO_VLLM_GPU_MEMORY_UTILIZATION": "0"}, "allowed: a number above 0, at most 1; or auto"),
    ({"GRPO_SAVE_TOTAL_LIMIT": "0"}, "allowed: a whole number from 1"),
    ({"GRPO_BETA": "-0.04"}, "allowed: a number from 0"),
    ({"GRPO_TOP_P": "1.2"}, "allowed: a number above 0, at most 1"),
    ({"GRPO_TOP_K": "-5"}, "allowed: a whole number from 0"),
    ({"GRPO_MIN_P": "2"}, "allowed: a number from 0 to 1, or none"),
    ({"GRPO_REPETITION_PENALTY": "0"}, "allowed: a number above 0"),
    # neither yes nor no
    ({"GRPO_LOAD_IN_4BIT": "maybe"}, "allowed: true, false or auto"),
    ({"GRPO_STANDBY": "2"}, "allowed: true, false or auto"),
    ({"GRPO_PUBLISH_PRIVATE": "auto"}, "allowed: true or false"),
    ({"GRPO_MASK_TRUNCATED_COMPLETIONS": "sometimes"}, "allowed: true or false"),
    # none of the words
    ({"GRPO_RECIPE": "smok"}, "did you mean smoke?; allowed: gsm8k, tutorial, smoke"),
    ({"GRPO_RECIPE": "GSM-8K"}, "allowed: gsm8k, tutorial, smoke"),
    ({"GRPO_ENGINE": "vllm"}, "allowed: auto, unsloth, trl"),
    ({"GRPO_RESUME": "yes"}, "allowed: auto, never"),
    ({"GRPO_LOG_FORMAT": "xml"}, "allowed: auto, rich, plain, json"),
    ({"GRPO_LR_SCHEDULER_TYPE": "cosinus"}, "there is no such value; allowed: constant, constant_with_warmup, cosine"),
    ({"GRPO_LR_SCHEDULER_TYPE": "reduce_lr_on_plateau"}, "allowed: constant, "),
    ({"GRPO_OPTIM": "adam"}, "there is no such value; allowed: adafactor, adagrad"),
    ({"GRPO_LOSS_TYPE": "ppo"}, "allowed: grpo, bnpo, dr_grpo, dapo, luspo, cispo, sapo, vespo"),
    ({"GRPO_SCALE_REWARDS": "true"}, "allowed: group, batch, none"),
    ({"GRPO_IMPORTANCE_SAMPLING_LEVEL": "word"}, "allowed: token, sequence"),
    ({"GRPO_VLLM_IMPORTANCE_SAMPLING_MODE": "loud"}, "allowed: token_truncate, token_mask"),
    ({"GRPO_OPTIM": "galore_adamw"}, "there is no such value; allowed: adafactor, adagrad"),
    # lists
    ({"GRPO_REPORT_TO": "wandb,clearml"}, "allowed: wandb, tensorboard, mlflow, trackio"),
    ({"GRPO_REPORT_TO": "wandb,wandb"}, "'wandb' occurs 2 times"),
    ({"GRPO_LORA_TARGET_MODULES": ","}, "allowed: names of layers separated by commas, each once"),
    ({"GRPO_LORA_TARGET_MODULES": "q_proj,v_proj,q_proj"}, "'q_proj' occurs 2 times"),
    # rewards
    ({"GRPO_REWARDS": ","}, "allowed: name:weight separated by commas, each name once"),
    ({"GRPO_REWARDS": "correct:two"}, "'correct:two' was given; allowed: name:weight"),
    ({"GRPO_REWARDS": "correct:"}, "allowed: name:weight"),
    ({"GRPO_REWARDS": ":2"}, "allowed: name:weight"),
    ({"GRPO_REWARDS": "correct:nan"}, "allowed: name:weight"),
    ({"GRPO_REWARDS": "correct:1,format_tags,correct:2"}, "'correct' occurs 2 times; allowed: name:weight"),
    ({"GRPO_REWARDS": "corect:2"}, "did you mean 'correct'?"),
    ({"GRPO_REWARDS": "correct:2,beauty:1"}, "there is no reward 'beauty'"),
    # addresses and names of runs
    ({"GRPO_PUBLISH_TO": "gs://bucket/run"}, "allowed: hf://owner/name[@branch], s3://bucket[/prefix], file:///folder"),
    ({"GRPO_PUBLISH_TO": "owner/name"}, "allowed: hf://"),
    ({"GRPO_PUBLISH_TO": "hf://name"}, "address 1 has none of these forms"),
    ({"GRPO_PUBLISH_TO": "file:///out,s3://"}, "address 2 has none of these forms"),
    ({"GRPO_PUBLISH_TO": "file://out"}, "allowed: hf://"),
    ({"GRPO_PUBLISH_TO": "s3://bucket/a,s3://bucket/a"}, "occurs 2 times"),
    ({"GRPO_RUN_ID": "../other"}, "allowed: at most 100 of A-Z a-z 0-9 . _ -"),
    ({"GRPO_RUN_ID": "my run"}, "allowed: at most 100 of A-Z a-z 0-9 . _ -"),
    # JSON
    ({"GRPO_GENERATION_KWARGS": "top_k=4"}, "allowed: a JSON object"),
    ({"GRPO_GENERATION_KWARGS": "[1]"}, "allowed: a JSON object"),
    ({"GRPO_LR_SCHEDULER_KWARGS": "{'min_lr': 1}"}, "allowed: a JSON object"),
    # names that are none
    ({"GRPO_MAXSTEPS": "3"}, "no setting has this name; did you mean GRPO_MAX_STEPS?"),
    ({"GRPO_LEARNINGRATE": "1e-5"}, "did you mean GRPO_LEARNING_RATE?"),
    ({"GRPO_NUM_GENERATION": "4"}, "did you mean GRPO_NUM_GENERATIONS?"),
    ({"GRPO_REWARD": "correct"}, "did you mean GRPO_REWARDS?"),
    ({"GRPO_EPSILONHIGH": "0.28"}, "did you mean GRPO_EPSILON_HIGH?"),
    ({"GRPO_ZZZ": "1"}, "no setting has this name; `grpo-job check --all` prints the allowed names"),
    ({"GRPO_GRPO_CONFIG": "{}"}, "no setting has this name"),
    ({"GRPO_max_steps": "3"}, "names are in upper case: GRPO_MAX_STEPS"),
    ({"GRPO_MAXSTEPS": ""}, "did you mean GRPO_MAX_STEPS?"),
    # options that the job owns
    ({"GRPO_PUSH_TO_HUB": "true"}, "use instead: GRPO_PUBLISH_TO=hf://owner/name"),
    ({"GRPO_RESUME_FROM_CHECKPOINT": "true"}, "use instead: GRPO_RESUME"),
    ({"GRPO_SAVE_STRATEGY": "epoch"}, "use instead: GRPO_SAVE_STEPS"),
    ({"GRPO_LOAD_BEST_MODEL_AT_END": "true"}, "the job controls this option"),
    ({"GRPO_USE_VLLM": "true"}, "use instead: GRPO_ENGINE"),
    ({"GRPO_TRUST_REMOTE_CODE": "true"}, "code from a model repository is never run"),
    ({"GRPO_BF16": "true"}, "the planner sets the precision"),
    ({"GRPO_REWARD_WEIGHTS": "1,2"}, "use instead: GRPO_REWARDS=name:weight"),
    ({"GRPO_RUN_NAME": "mine"}, "use instead: GRPO_RUN_ID"),
    # right alone, wrong together
    ({"GRPO_NUM_GENERATIONS": "3"}, "must divide the generation batch of 128 completions (GRPO_PER_"),
    ({"GRPO_NUM_GENERATIONS": "5", "GRPO_GRADIENT_ACCUMULATION_STEPS": "3"}, "384 completions"),
    ({"GRPO_GENERATION_BATCH_SIZE": "256", "GRPO_STEPS_PER_GENERATION": "2"}, "set the same thing; allowed: only"),
    (
        {"GRPO_GENERATION_BATCH_SIZE": "6", "GRPO_NUM_GENERATIONS": "2"},
        "must be a multiple of GRPO_PER_DEVICE_TRAIN_BATCH_SIZE=128",
    ),
    ({"GRPO_GRADIENT_ACCUMULATION_STEPS": "4", "GRPO_STEPS_PER_GENERATION": "2"}, "would mix two generations"),
    ({"GRPO_MAX_COMPLETION_LENGTH": "900"}, "256 + GRPO_MAX_COMPLETION_LENGTH=900 = 1156 tokens"),
    ({"GRPO_WARMUP_STEPS": "250"}, "is not less than GRPO_MAX_STEPS=250"),
    ({"GRPO_MAX_STEPS": "-1"}, "needs GRPO_NUM_TRAIN_EPOCHS, which is not set; allowed: set both"),
    ({"GRPO_NUM_TRAIN_EPOCHS": "2"}, "has no effect with GRPO_MAX_STEPS=250; allowed: GRPO_MAX_STEPS=-1"),
    ({"GRPO_VLLM_IMPORTANCE_SAMPLING_CLIP_MIN": "4"}, "is not below GRPO_VLLM_IMPORTANCE_SAMPLING_CLIP_MAX=3"),
    ({"GRPO_SAPO_TEMPERATURE_POS": "2"}, "has no effect with GRPO_LOSS_TYPE=dapo; allowed: GRPO_LOSS_TYPE=sapo"),
    ({"GRPO_EPSILON": "0.1", "GRPO_LOSS_TYPE": "vespo"}, "has no effect with GRPO_LOSS_TYPE=vespo"),
    ({"GRPO_DELTA": "2", "GRPO_LOSS_TYPE": "cispo", "GRPO_EPSILON_HIGH": "5"}, "no effect with GRPO_LOSS_TYPE=cispo"),
    ({"GRPO_USE_BIAS_CORRECTION_KL": "false"}, "has no effect with GRPO_BETA=0; allowed: a GRPO_BETA above 0"),
    (
        {"GRPO_VLLM_IMPORTANCE_SAMPLING_MODE": "token_mask"},
        "allowed: GRPO_VLLM_IMPORTANCE_SAMPLING_CORRECTION=true, or leave",
    ),
    ({"GRPO_LOSS_TYPE": "cispo"}, "caps the ratio at GRPO_EPSILON_HIGH itself, which is not set"),
    ({"GRPO_EPSILON_HIGH": "0.28", "GRPO_LOSS_TYPE": "cispo"}, "which is 0.28: every weight would be cut below 1"),
    (
        {"GRPO_LOSS_TYPE": "vespo", "GRPO_VLLM_IMPORTANCE_SAMPLING_CORRECTION": "true"},
        "and GRPO_VLLM_IMPORTANCE_SAMPLING_MODE is sequence_mask; allowed: token_truncate, token_mask",
    ),
    ({"GRPO_LR_SCHEDULER_TYPE": "warmup_stable_decay"}, "needs num_decay_steps"),
    ({"GRPO_LR_SCHEDULER_TYPE": "cosine_with_min_lr"}, "needs min_lr or min_lr_rate"),
    ({"GRPO_LR_SCHEDULER_KWARGS": '{"gamma": 1}'}, "has no 'gamma'; allowed: no keys"),
    ({"GRPO_GENERATION_KWARGS": '{"min_tokens": "many"}'}, "='many' was given; allowed: a whole number from 0"),
    ({"GRPO_CHAT_TEMPLATE_KWARGS": '{"tools": []}'}, "the job sets 'tools' itself; allowed: what the model's chat tem"),
    ({"GRPO_GENERATION_KWARGS": '{"min_tokens": 900}'}, "min_tokens=900 is above GRPO_MAX_COMPLETION_LENGTH=512"),
    ({"GRPO_GENERATION_KWARGS": '{"presence_penalty": 3}'}, "=3 was given; allowed: a number from -2 to 2"),
]  # fmt: skip


@pytest.fixture(scope="module")
def ended() -> list[tuple[int, str]]:
    """Exit code and standard error of `python entrypoint.py` in each bad environment."""
    environments = json.dumps([environment for environment, _ in BAD])
    opened = subprocess.run(
        [sys.executable, "-c", DOORS],
        input=environments, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return [(code, said) for code, said in json.loads(opened.stdout)]


@pytest.mark.parametrize(
    "number",
    range(len(BAD)),
    ids=[" ".join(f"{name}={value}" for name, value in environment.items()) for environment, _ in BAD],
)
def test_a_bad_environment_is_refused_at_once_naming_the_variable_and_what_is_allowed(
    number: int, ended: list[tuple[int, str]]
) -> None:
    (environment, sentence), (code, said) = BAD[number], ended[number]
    assert code == 2, said
    headline, fault, *others = said.strip().splitlines()
    assert headline == "grpo-job: refused (exit 2)"
    assert next(iter(environment)) in fault
    assert sentence in fault
    assert not others, "one fault gives one sentence"
    assert not [word for word in JARGON if word in fault]
    assert "Traceback" not in said


def test_there_are_at_least_80_bad_environments() -> None:
    assert len({str(environment) for environment, _ in BAD}) >= 80


def test_several_faults_are_all_listed_before_anything_heavy_is_imported() -> None:
    environment = {
        "GRPO_LEARNING_RATE": "nan", "GRPO_MAXSTEPS": "3", "GRPO_PUSH_TO_HUB": "true", "GRPO_REWARDS": "corect",
        "GRPO_NUM_GENERATIONS": "3", "GRPO_GENERATION_KWARGS": "x", "GRPO_MAX_COMPLETION_LENGTH": "900",
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "entrypoint.py"],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (3, 3)),
    )  # fmt: skip
    assert ended.returncode == 2
    imported = {
        line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if line.startswith("import time:")
    }
    assert "grpo_job.settings.schema" in imported
    assert not imported & set(HEAVY)
    faults = [line for line in ended.stderr.splitlines() if line.startswith("GRPO_")]
    assert sorted(fault.split(":")[0].split("=")[0] for fault in faults) == [
        "GRPO_GENERATION_KWARGS", "GRPO_LEARNING_RATE", "GRPO_MAXSTEPS", "GRPO_MAX_PROMPT_LENGTH",
        "GRPO_NUM_GENERATIONS", "GRPO_PUSH_TO_HUB", "GRPO_REWARDS",
    ]  # fmt: skip
