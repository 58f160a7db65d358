"""Every option of the locked TRL's GRPOConfig is accepted by its own name, or refused with what to use instead."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings import trl_options
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings, known_names, variable
from grpo_job.settings.trl_options import OWNED, RANGES, WORDS, options

ROOT = Path(__file__).parents[2]
FURTHER = [name for name in options() if name not in OWNED and name not in Settings.model_fields]


TEXTS = {
    "delta": "1.5",
    "generation_kwargs": '{"min_tokens": 4}',
    "lr_scheduler_kwargs": '{"num_cycles": 2}',
}
CORRECTED = {"GRPO_VLLM_IMPORTANCE_SAMPLING_CORRECTION": "true"}
# What an option needs beside it to have an effect.
COMPANIONS = {
    "lr_scheduler_kwargs": {"GRPO_LR_SCHEDULER_TYPE": "cosine"},
    **{name: {"GRPO_LOSS_TYPE": name.split("_")[0]} for name in FURTHER if name.startswith(("sapo_", "vespo_"))},
    **{name: CORRECTED for name in FURTHER if name.startswith("vllm_importance_sampling_")},
    "use_bias_correction_kl": {"GRPO_BETA": "0.1"},
    "vllm_importance_sampling_correction": {},
}


def example_of(name: str) -> str:
    """A text that means another value than the default."""
    if name in TEXTS:
        return TEXTS[name]
    words = [word for word in trl_options.choices(name) if word != options()[name]["default"]]
    by_kind = {"bool": "true", "int": "3", "float": "0.5", "list": "a,b", "json": '{"a": 1}', "str": "some text"}
    return words[0] if words else by_kind[options()[name]["kind"]]


@pytest.mark.parametrize("name", FURTHER)
def test_every_option_that_the_job_does_not_own_is_set_by_its_own_name_and_typed(name: str) -> None:
    kinds: dict[str, Any] = {"bool": bool, "int": int, "float": float, "str": str, "list": tuple, "json": dict}
    environment = {variable(name): example_of(name)}
    environment |= COMPANIONS.get(name, {})
    value = resolve(environment).settings.grpo_config[name]
    assert isinstance(value, kinds[options()[name]["kind"]])


@pytest.mark.parametrize("name", [name for name in FURTHER if options()[name]["optional"]])
def test_an_option_that_may_be_none_accepts_the_word(name: str) -> None:
    assert resolve({variable(name): "none", **COMPANIONS.get(name, {})}).settings.grpo_config[name] is None


@pytest.mark.parametrize("name", OWNED)
def test_every_owned_option_is_one_of_trls_and_is_refused_with_what_to_use_instead(name: str) -> None:
    assert name in options()
    assert name not in Settings.model_fields
    with pytest.raises(InvalidRun, match="the job controls this option; use instead: "):
        resolve({variable(name): "1"})


@pytest.mark.parametrize("name", OWNED)
def test_what_an_owned_option_points_to_is_there(name: str) -> None:
    named = re.findall(r"GRPO_([A-Z0-9_]+)", OWNED[name])
    assert set(map(str.lower, named)) <= set(known_names())


def test_no_option_is_accepted_that_the_engines_overwrite() -> None:
    from grpo_job.engines.trainer.arguments import grpo_arguments

    def passed(name: str, value: Any) -> Any:
        settings = Settings(grpo_config={name: value})
        return grpo_arguments(settings, {"hidden_size": 2048}, steps=1, reward_weights=[1.0])[name]

    read = {"generation_kwargs": {"min_tokens": 4}, "lr_scheduler_kwargs": {"num_cycles": 2}}
    values = {**dict.fromkeys(FURTHER, "mine"), **read}
    assert not {name for name, value in values.items() if passed(name, value) != value}


def test_words_and_ranges_are_said_of_options_that_exist() -> None:
    assert set(WORDS) | set(RANGES) <= set(options())


@pytest.mark.parametrize("name", [*WORDS, *(name for name in options() if options()[name]["choices"])])
def test_trls_own_default_is_among_the_accepted_words(name: str) -> None:
    assert options()[name]["default"] in (*trl_options.choices(name), None)


@pytest.mark.parametrize("name", [name for name in RANGES if options()[name]["default"] is not None])
def test_trls_own_default_is_within_the_accepted_range(name: str) -> None:
    assert trl_options.parse(name, options()[name]["default"]) == options()[name]["default"]


@pytest.mark.slow
def test_the_generated_list_is_that_of_the_installed_trl() -> None:
    command = [sys.executable, "-m", "tools.list_trl_options"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert json.loads(made) == options()
    assert made == (ROOT / "grpo_job/settings/trl_options.json").read_text()
