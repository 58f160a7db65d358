"""What a plan says of training graphs, of the adapter's way to vLLM, and of long completions."""

from typing import Any

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.shapes import GB, ModelShape
from grpo_job.settings.recipes import TRAINING
from tests.planner.test_plan import CONFIGS, GPUS, SHAPES, tutorial, with_batch


def test_the_training_side_is_replayed_where_steps_are_small_and_many() -> None:
    h200, shape = GPUS["H200"], SHAPES["3B"]
    assert tutorial(h200, shape).training_graphs
    assert not tutorial(h200, shape, max_steps=10).training_graphs
    assert not tutorial(h200, shape, **with_batch(64)).training_graphs
    assert not tutorial(h200, shape, load_in_4bit=True).training_graphs
    assert not tutorial(h200, shape, gradient_checkpointing=True).training_graphs
    assert not tutorial(GPUS["T4"], SHAPES["0.5B"]).training_graphs
    assert tutorial(h200, shape, max_steps=10, training_graphs=True).training_graphs
    assert not tutorial(h200, shape, training_graphs=False).training_graphs


SMALL = ModelShape.from_config({
    "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "vocab_size": 49152,
    "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
})  # fmt: skip
"""SmolLM2-135M"""
DEFAULT = {
    "max_prompt_length": 256, "lora_rank": 32, "max_completion_length": TRAINING["max_completion_length"],
    "max_steps": TRAINING["max_steps"], **with_batch(TRAINING["per_device_train_batch_size"]),
}  # fmt: skip
"""The default recipe."""


@pytest.mark.parametrize(("gpu", "completions", "micro_batch"), [
    ("H100", 128, 64), ("H200", 128, 128), ("H100", 64, 64), ("H200", 64, 64), ("A100-40", 128, 32), ("L4", 128, 16),
])  # fmt: skip
def test_the_default_recipe_of_a_small_model_is_replayed_with_the_micro_batch_that_has_room(
    gpu: str, completions: int, micro_batch: int
) -> None:
    chosen = tutorial(GPUS[gpu], SMALL, **DEFAULT | with_batch(completions))
    assert (chosen.training_graphs, chosen.micro_batch_size) == (True, micro_batch)
    assert chosen.micro_batch_size * chosen.micro_steps == completions
    assert chosen.memory.total <= chosen.budget
    split = f"micro_batch_size: {micro_batch} (a micro-batch of {completions} does not fit with its CUDA graphs)"
    assert (split in chosen.lines()) == (micro_batch < completions)


def test_a_micro_batch_is_not_split_for_graphs_that_save_less_than_the_further_ones_cost() -> None:
    """127 completions split only into 127 micro-steps."""
    chosen = tutorial(GPUS["H100"], SMALL, **DEFAULT | with_batch(127))
    assert (chosen.training_graphs, chosen.micro_batch_size) == (False, 127)
    assert chosen.choices[-1].reason.startswith("there is no room for another 35.")


def test_work_of_a_layer_decides_whether_launching_is_what_takes_long() -> None:
    assert tutorial(GPUS["H200"], SHAPES["3B"], **with_batch(16)).training_graphs
    assert not tutorial(GPUS["H200"], SHAPES["3B"], **with_batch(32)).training_graphs
    assert tutorial(GPUS["H200"], SHAPES["0.5B"], **with_batch(64)).training_graphs
    assert not tutorial(GPUS["H200"], SHAPES["0.5B"], **with_batch(128)).training_graphs


def test_more_sequences_for_evaluation_leave_the_graphs_their_room() -> None:
    for most in range(8, 40, 2):
        chosen = tutorial(GPUS["A100-40"], SHAPES["1.5B"], most_bytes=most * GB, **with_batch(8))
        assert chosen.memory.total <= chosen.budget


def test_the_graph_that_folds_is_counted_where_it_is_captured() -> None:
    def fold(**changes: Any) -> float:
        return tutorial(GPUS["H200"], SHAPES["3B"], **changes).memory.fold

    assert 0.15 * GB < fold() < 0.3 * GB
    assert fold(separate_base=1) == fold(load_in_4bit=True) == fold(standby=True) == 0


@pytest.mark.parametrize("changes", [{"load_in_4bit": True}, {"gradient_checkpointing": True}])
def test_graphs_that_were_asked_for_but_cannot_be_captured_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRun, match="GRPO_TRAINING_GRAPHS: true was given, but"):
        tutorial(GPUS["H200"], SHAPES["3B"], training_graphs=True, **changes)


@pytest.mark.parametrize("way", ["folded", "rounded", "lora"])
def test_with_weights_of_its_own_vllm_gets_the_adapter_as_asked(way: str) -> None:
    chosen = tutorial(GPUS["H200"], SHAPES["3B"], rollout_weights=way)
    assert (chosen.weight_sync, chosen.rollout_weights) == ("copy", way)
    assert next(choice for choice in chosen.choices if choice.name == "rollout_weights").given


def test_where_another_way_is_not_possible_the_plan_says_why() -> None:
    lines = tutorial(GPUS["L4"], SHAPES["7B"], rollout_weights="rounded", load_in_4bit=True).lines()
    why = "rounded was given, but an adapter cannot be folded into a 4-bit base, which vLLM reads"
    assert f"rollout_weights: lora ({why})" in lines
    chosen = tutorial(GPUS["H200"], SHAPES["3B"], rollout_weights="rounded", standby=True)
    assert (chosen.weight_sync, chosen.rollout_weights) == ("merge", "folded")
    assert any("rounded was given, but training and vLLM share one set of weights" in line for line in chosen.lines())


def test_unfolded_rollouts_need_no_second_set_of_weights() -> None:
    chosen = tutorial(GPUS["H200"], SHAPES["3B"], rollout_weights="lora", standby=True)
    assert (chosen.weight_sync, chosen.rollout_weights, chosen.merged_rollout) == ("lora", "lora", False)


LONG = {
    "max_seq_length": 8192 + 512, "max_prompt_length": 512, "max_completion_length": 8192, "completions": 16,
    "micro_batch_limit": 16, "lora_rank": 16,
}  # fmt: skip


@pytest.mark.parametrize("separate_base", [0, 1], ids=["unsloth", "trl"])
@pytest.mark.parametrize("size", ["0.5B", "1.5B"])
def test_completions_of_8k_tokens_fit_a_card_of_24_gb(size: str, separate_base: int) -> None:
    """A row's logits alone are 5 GB: backward computes them again in chunks."""
    made = tutorial(GPUS["L4"], SHAPES[size], **LONG, separate_base=separate_base)
    assert made.chunked_logits
    assert made.memory.logits < 2 * GB
    assert any("logits per completion do not fit" in line for line in made.lines())


def test_logits_are_kept_where_they_fit() -> None:
    assert not tutorial(GPUS["L4"], SHAPES["1.5B"]).chunked_logits
    assert not tutorial(GPUS["H200"], SHAPES["1.5B"], **LONG).chunked_logits


WINDOWED = {**CONFIGS["1.5B"], "model_type": "mistral", "tie_word_embeddings": True}


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            {**WINDOWED, "sliding_window": 4096, "layer_types": ["sliding_attention", "full_attention"]},
            "its layers have",
        ),
        ({**CONFIGS["1.5B"], "model_type": "gemma2"}, "its layers have different attention masks"),
        ({**CONFIGS["1.5B"], "model_type": "gemma3_text"}, "its layers have different attention masks"),
    ],
)
def test_layers_that_do_not_see_all_of_a_row_are_not_replayed(config: dict[str, Any], why: str) -> None:
    shape = ModelShape.from_config(config)
    assert not tutorial(GPUS["H200"], shape).training_graphs
    with pytest.raises(InvalidRun, match=f"GRPO_TRAINING_GRAPHS: true was given, but {why}"):
        tutorial(GPUS["H200"], shape, training_graphs=True)


def test_rows_longer_than_the_window_of_all_layers_are_refused() -> None:
    windowed = ModelShape.from_config({**WINDOWED, "sliding_window": 128})
    with pytest.raises(InvalidRun, match=r"GRPO_MAX_SEQ_LENGTH: \d+ was given, .* the last 128 tokens .* up to 128"):
        tutorial(GPUS["H200"], windowed)


@pytest.mark.parametrize("said", [{"sliding_window": None}, {"sliding_window": 4096}, {"use_sliding_window": False}])
def test_a_window_that_is_off_or_longer_than_a_row_does_not_matter(said: dict[str, Any]) -> None:
    shape = ModelShape.from_config({**WINDOWED, "sliding_window": 128, **said})
    assert tutorial(GPUS["H200"], shape).training_graphs
