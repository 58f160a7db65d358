"""Bad environments are refused at the door, each with one sentence, before anything heavy is imported."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings.bad_environments import BAD

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
