"""A model's shape, from its config: what it counts, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.shapes import ModelShape
from tests.planner.test_plan import CONFIGS, SHAPES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("size", "billions"), [("0.5B", 0.494), ("1.5B", 1.544), ("3B", 3.086), ("7B", 7.616), ("14B", 14.770)]
)
def test_the_shape_counts_the_parameters_that_qwen_publishes(size: str, billions: float) -> None:
    assert SHAPES[size].parameters / 1e9 == pytest.approx(billions, abs=0.001)


def test_a_llama_config_counts_as_published_and_has_no_attention_bias() -> None:
    llama = ModelShape.from_config(
        {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
         "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256}
    )  # fmt: skip
    assert llama.parameters == 8_030_261_248


def test_a_head_size_of_its_own_and_a_nested_text_config_are_read() -> None:
    text = {**CONFIGS["0.5B"], "model_type": "qwen3", "head_dim": 128}
    shape = ModelShape.from_config({"model_type": "some_vision_model", "text_config": text})
    assert (shape.query, shape.key_value, shape.attention_bias) == (14 * 128, 2 * 128, False)


def test_lora_parameters_are_those_that_training_reported_for_3b() -> None:
    assert SHAPES["3B"].lora_parameters(8) == 14_966_784


@pytest.mark.parametrize("missing", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_a_config_without_a_needed_number_is_refused_by_name(missing: str) -> None:
    config = {name: value for name, value in CONFIGS["3B"].items() if name != missing}
    with pytest.raises(InvalidRun, match=missing):
        ModelShape.from_config(config)


def test_a_mixture_of_experts_is_refused() -> None:
    with pytest.raises(InvalidRun, match="num_experts=128"):
        ModelShape.from_config({**CONFIGS["3B"], "num_experts": 128})


def test_what_a_config_does_not_say_is_what_transformers_assumes() -> None:
    """Gemma-2 2B as it is published: tied, 256 per head, and silent about the first."""
    gemma = {
        "model_type": "gemma2", "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 256000,
    }  # fmt: skip
    shape = ModelShape.from_config(gemma)
    assert (shape.tied, shape.query, shape.key_value) == (True, 8 * 256, 4 * 256)
    assert shape.parameters / 1e9 == pytest.approx(2.614, abs=0.001)
    assert not ModelShape.from_config({**gemma, "tie_word_embeddings": False}).tied
    nested = {"model_type": "gemma3", "text_config": {**gemma, "model_type": "gemma3_text"}}
    assert ModelShape.from_config(nested).tied


@pytest.mark.slow
def test_the_list_of_what_is_assumed_is_that_of_the_installed_transformers() -> None:
    command = [sys.executable, "-m", "tools.list_silent_configs"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "grpo_job/planner/silent_configs.json").read_text()
