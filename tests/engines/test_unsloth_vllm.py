"""What the Unsloth engine asks of its trainer, told without a GPU."""

import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from grpo_job.engines import unsloth_vllm
from grpo_job.engines.patches.unsloth_loss import score_by_micro_batches
from grpo_job.engines.ranks import ALONE
from grpo_job.engines.trainer.arguments import grpo_arguments
from grpo_job.engines.unsloth_vllm import pieces, with_trl_defaults
from grpo_job.inputs import base_model
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings
from grpo_job.settings.trl_options import OWNED, options
from tests.planner.test_plan import GPUS, SHAPES, tutorial


def planned(**changes: object) -> Any:
    return SimpleNamespace(**{"training_graphs": False, "chunked_logits": False, "row_tokens": 8704, **changes})


@pytest.mark.parametrize(("graphs", "asked"), [(True, 1), (False, None)])
def test_with_training_graphs_a_micro_batch_is_one_piece(graphs: bool, asked: int | None) -> None:
    """The option is the number of pieces: unsloth_zoo's loss takes ceil(rows / it) rows at a time."""
    assert pieces(planned(training_graphs=graphs)).get("unsloth_grpo_mini_batch") == asked


def test_chunked_logits_are_those_of_512_tokens() -> None:
    assert pieces(planned())["unsloth_logit_chunk_multiplier"] == 1
    assert pieces(planned(chunked_logits=True))["unsloth_logit_chunk_multiplier"] == 17


def complete(**variables: str) -> dict[str, object]:
    settings = resolve({f"GRPO_{name}": value for name, value in variables.items()}).settings
    return with_trl_defaults(grpo_arguments(settings, {"hidden_size": 2048}, steps=1, reward_weights=[1.0]))


def test_what_is_not_set_is_trls_default_and_not_unsloths() -> None:
    made = complete()
    for name in ("loss_type", "beta", "mask_truncated_completions", "scale_rewards", "top_entropy_quantile"):
        assert made[name] == options()[name]["default"]
    assert made["epsilon_high"] == made["epsilon"] == 0.2
    assert set(made) <= set(options())
    assert "output_dir" not in made


def test_what_is_set_stays_none_included() -> None:
    made = complete(VLLM_IMPORTANCE_SAMPLING_CORRECTION="true", VLLM_IMPORTANCE_SAMPLING_CLIP_MAX="none", EPSILON="0.3")
    assert made["vllm_importance_sampling_clip_max"] is None
    assert made["epsilon_high"] == 0.3
    assert complete(EPSILON_HIGH="0.28")["epsilon_high"] == 0.28
    assert not {"log_multimodal", "cache_implementation"} & (set(made) & set(OWNED))


def test_a_generation_is_scored_a_micro_batch_at_a_time_and_its_loss_stays_one_piece() -> None:
    args, seen = SimpleNamespace(unsloth_grpo_mini_batch=1, per_device_train_batch_size=8), list[int]()
    trainer = SimpleNamespace(args=args)
    trainer._get_per_token_logps_and_entropies = lambda *_, **__: seen.append(args.unsloth_grpo_mini_batch)
    score_by_micro_batches(trainer)
    rows = torch.zeros(20, 4)
    with torch.no_grad():
        trainer._get_per_token_logps_and_entropies(None, rows, rows, 2)
    trainer._get_per_token_logps_and_entropies(None, rows, rows, 2)
    assert (seen, args.unsloth_grpo_mini_batch) == ([3, 1], 1)


def asked_of_unsloth(monkeypatch: pytest.MonkeyPatch, **wishes: Any) -> dict[str, Any]:
    """What Unsloth is asked to load on an H200."""
    asked: dict[str, Any] = {}

    def from_pretrained(**options: Any) -> tuple[str, str]:
        asked.update(options)
        return "model", "tokenizer"

    fast_language_model = SimpleNamespace(from_pretrained=from_pretrained)
    monkeypatch.setattr(unsloth_vllm, "import_unsloth", lambda model_type: fast_language_model)
    monkeypatch.setattr(unsloth_vllm, "llm_built_with", lambda ours, module: nullcontext())
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    base, plan = base_model.fetch("sample", None), tutorial(GPUS["H200"], SHAPES["3B"], **wishes)
    assert unsloth_vllm._load_model(base, plan, Settings(), ALONE) == ("model", "tokenizer")
    return asked


def test_unsloth_loads_a_base_in_4_bits_alone_on_this_gpu_where_vllm_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = asked_of_unsloth(monkeypatch, load_in_4bit=True)
    assert (asked["load_in_4bit"], asked["fast_inference"], asked["device_map"]) == (True, False, {"": 0})
    assert asked["offload_embedding"] is False
    assert not {"max_num_seqs", "compilation_config", "max_num_batched_tokens"} & asked.keys()


@pytest.mark.parametrize("wishes", [{}, {"load_in_4bit": True, "rollout_weights": "lora"}])
def test_unsloth_builds_vllm_where_both_read_the_same_weights(
    monkeypatch: pytest.MonkeyPatch, wishes: dict[str, Any]
) -> None:
    asked = asked_of_unsloth(monkeypatch, **wishes)
    assert (asked["load_in_4bit"], asked["fast_inference"]) == (bool(wishes), True)
    assert asked["max_num_seqs"] >= 4
