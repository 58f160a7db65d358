"""A model's shape, from its config: what it counts, and what it refuses."""

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.shapes import ModelShape
from tests.planner.test_plan import CONFIGS, SHAPES


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
