"""The hand-over to vLLM: what it serves in rollouts and evaluations, and the base that comes back bit by bit."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from grpo_job.engines.rollouts.adapter_slot import lora_arguments
from grpo_job.engines.rollouts.fold import base_weight, fold
from grpo_job.engines.rollouts.rounding import key_of
from grpo_job.engines.rollouts.shared_weights import UnfoldedWeights
from grpo_job.engines.rollouts.weight_sync import (
    OwnWeights,
    SeparateWeights,
    lora_layers,
    weight_sync,
)
from grpo_job.engines.trainer.adapter import ADAPTER
from tests.engines.rollouts.fake_graph import GPU, FakeGraph, fake_graph
from tests.engines.rollouts.fake_vllm import ByItself, Vllm, model_with_lora, vllm_request

__all__ = ["fake_graph", "vllm_request"]
pytestmark = pytest.mark.usefixtures("vllm_request")


def plan_of(way: str, weight_sync: str = "copy", *, in_4bit: bool = False) -> Any:
    dequantizes = in_4bit and weight_sync == "copy"
    return SimpleNamespace(
        rollout_weights=way, weight_sync=weight_sync, load_in_4bit=in_4bit, standby=False, dequantizes=dequantizes
    )


def own(way: str, *, lora: bool = True) -> tuple[OwnWeights, list[torch.Tensor]]:
    """Unsloth's engine over the fake, and what vLLM held before."""
    model = model_with_lora(1e-3)
    model.vllm_engine = Vllm(model, lora=lora)
    before = [layer.base_layer.weight.data.clone() for layer in lora_layers(model)]
    weights = weight_sync(model, plan_of(way), 42)
    assert isinstance(weights, OwnWeights)
    return weights, before


def served(weights: OwnWeights) -> list[torch.Tensor]:
    return [tensor for _, tensor in weights.layers]


def equal(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("way", ["folded", "rounded"])
def test_rollouts_come_from_folded_weights_and_the_base_comes_back_bit_by_bit(way: str) -> None:
    weights, before = own(way)
    assert weights.serve("on") is None
    keys = [key_of(42, number) if way == "rounded" else None for number in range(len(before))]
    expected = [fold(layer, key) for (layer, _), key in zip(weights.layers, keys, strict=True)]
    assert equal(served(weights), expected)
    assert not equal(served(weights), before)
    assert weights.serve("off") is None
    assert equal(served(weights), before)
    assert equal([layer.base_layer.weight for layer, _ in weights.layers], before)


def test_the_dither_is_the_same_at_each_hand_over() -> None:
    weights, _ = own("rounded")
    weights.serve("on")
    first = [tensor.clone() for tensor in served(weights)]
    weights.serve("off")
    weights.changed()
    weights.serve("on")
    assert equal(served(weights), first)


def step(weights: OwnWeights) -> tuple[list[torch.Tensor], float]:
    """A step of training in place, then a hand-over: what vLLM should hold, and what was kept."""
    for layer, _ in weights.layers:
        layer.lora_B[ADAPTER].weight.data.mul_(1.5)
    weights.changed()
    weights.serve("on")
    kept = weights.kept.take()
    assert kept is not None
    return [fold(layer, key) for (layer, _), key in zip(weights.layers, weights.keys, strict=True)], kept


@pytest.mark.usefixtures("fake_graph")
@pytest.mark.parametrize("way", ["folded", "rounded"])
def test_replayed_folds_follow_the_adapter_and_measure_what_launched_ones_do(way: str) -> None:
    graphed, launched = own(way)[0], own(way)[0]
    graphed._fold_all.device = GPU
    for _ in range(4):
        (expected, kept), (_, kept_launched) = step(graphed), step(launched)
        assert equal(served(graphed), expected)
        assert kept == kept_launched
    assert FakeGraph.log == ["capture", "replay", "replay", "replay"]


def in_place(layer: Any, values: torch.Tensor) -> None:
    layer.lora_A[ADAPTER].weight.data.copy_(values)


def moved(layer: Any, values: torch.Tensor) -> None:
    layer.lora_A[ADAPTER].weight.data = values


def assigned(layer: Any, values: torch.Tensor) -> None:
    layer.lora_A[ADAPTER].weight = torch.nn.Parameter(values)


@pytest.mark.usefixtures("fake_graph")
@pytest.mark.parametrize(("change", "captures"), [(in_place, 1), (moved, 2), (assigned, 2)])
def test_an_adapter_that_is_loaded_in_place_keeps_the_graph_and_one_that_moves_gets_another(
    change: Any, captures: int
) -> None:
    weights, _ = own("rounded")
    weights._fold_all.device = GPU
    for _ in range(3):
        step(weights)
    layer, _ = weights.layers[5]
    change(layer, torch.randn_like(layer.lora_A[ADAPTER].weight))
    for _ in range(3):
        expected, _ = step(weights)
        assert equal(served(weights), expected)
    assert FakeGraph.log.count("capture") == captures


@pytest.mark.usefixtures("fake_graph")
def test_another_scale_of_the_adapter_is_not_replayed_with_the_old_one() -> None:
    weights, _ = own("folded")
    weights._fold_all.device = GPU
    for _ in range(3):
        step(weights)
    weights.layers[0][0].scaling[ADAPTER] *= 2
    expected, _ = step(weights)
    assert equal(served(weights), expected)
    assert FakeGraph.log == ["capture", "replay", "replay"]


@pytest.mark.usefixtures("fake_graph")
def test_the_base_comes_back_between_replays() -> None:
    weights, before = own("rounded")
    weights._fold_all.device = GPU
    for _ in range(3):
        expected, _ = step(weights)
        assert equal(served(weights), expected)
        weights.serve("off")
        assert equal(served(weights), before)
        assert weights.kept.take() is None


def test_lora_rollouts_leave_the_base_and_ask_vllms_kernels() -> None:
    weights, before = own("lora")
    request = weights.serve("on")
    assert (request.number, equal(served(weights), before)) == (1, True)
    assert weights.kept.take() is None


@pytest.mark.parametrize("way", ["folded", "rounded", "lora"])
def test_an_evaluation_is_unfolded_whatever_the_way_of_the_rollouts(way: str) -> None:
    weights, before = own(way)
    weights.serve("on")
    request = weights.serve("on", unfolded=True)
    assert request.number == 1
    assert equal(served(weights), before)
    assert weights.serve("off", unfolded=True) is None


def test_the_kernels_get_each_matrix_in_vllms_order_with_b_scaled() -> None:
    weights, _ = own("lora")
    weights.serve("on")
    manager = weights.llm.runner.lora_manager
    name = next(name for name in manager.modules if name.endswith("layers.1.self_attn.qkv_proj"))
    down, up = manager.modules[name].held[0]
    layers = dict(weights.llm.trained.named_modules())
    for part, ours, theirs in zip(("q_proj", "k_proj", "v_proj"), down, up, strict=True):
        layer = layers[f"base_model.model.model.layers.1.self_attn.{part}"]
        assert torch.equal(ours, layer.lora_A[ADAPTER].weight)
        assert torch.equal(theirs, layer.lora_B[ADAPTER].weight * layer.scaling[ADAPTER])
    down, up = manager.modules["model.layers.0.mlp.down_proj"].held[0]
    assert isinstance(down, torch.Tensor)
    assert isinstance(up, torch.Tensor)


def test_what_vllm_holds_is_written_again_only_after_a_change() -> None:
    weights, _ = own("rounded")
    for _ in range(2):
        weights.serve("on")
    assert weights.llm.resets == 1
    weights.changed()
    weights.serve("on")
    assert weights.llm.resets == 2
    for _ in range(2):
        weights.serve("on", unfolded=True)
    assert weights.llm.resets == 3


def test_a_vllm_in_the_middle_of_an_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, _ = own("folded")
    monkeypatch.setattr(weights.llm, "reset_prefix_cache", lambda: False)
    with pytest.raises(RuntimeError, match="still holds requests"):
        weights.serve("on")


def test_without_lora_in_vllm_all_is_folded_and_one_sentence_says_so() -> None:
    weights, before = own("lora", lora=False)
    assert weights.serve("on", unfolded=True) is None
    assert not equal(served(weights), before)
    assert weights.notes == ["rollouts and evaluations fold the adapter into the 16-bit weights: " + MISSING_ALL]


MISSING_ALL = "vLLM has no LoRA kernels for 21 of 21 adapted layers, such as model.layers.0.mlp.down_proj"


def test_a_hand_over_measures_what_it_keeps() -> None:
    weights, _ = own("rounded")
    weights.serve("on")
    kept = weights.kept.take()
    assert kept is not None
    assert 0.8 < kept < 1.2


def by_itself(way: str = "folded", **options: Any) -> tuple[SeparateWeights, ByItself]:
    """A vLLM that loaded the model by itself, once it has been asked where it keeps each weight."""
    model = model_with_lora(1e-3)
    vllm = ByItself(model, **{"lora": True, **options})
    weights = SeparateWeights(model, vllm, plan_of(way), 42)
    vllm.calls.clear()
    return weights, vllm


def holds(vllm: ByItself, weights: SeparateWeights, value: Any) -> bool:
    return all(torch.equal(vllm.parts[name], value(layer)) for name, layer, _ in weights.layers)


@pytest.mark.parametrize("lora", [True, False])
def test_a_vllm_of_its_own_gets_each_fold_where_it_keeps_the_weight(lora: bool) -> None:
    weights, vllm = by_itself(lora=lora)
    suffix = "_proj.base_layer.weight" if lora else "_proj.weight"
    assert all(name.endswith(suffix) for name, _, _ in weights.layers)
    assert len(weights.layers) == len(vllm.parts) == 21
    assert holds(vllm, weights, base_weight)
    weights.serve("on")
    assert holds(vllm, weights, fold)
    assert not holds(vllm, weights, base_weight)
    weights.serve("off")
    assert holds(vllm, weights, base_weight)
    assert vllm.calls == []


def test_a_dithered_fold_is_written_there_too() -> None:
    weights, vllm = by_itself("rounded")
    weights.serve("on")
    for number, (name, layer, _) in enumerate(weights.layers):
        assert torch.equal(vllm.parts[name], fold(layer, key_of(42, number)))


def test_weights_that_gpus_share_are_handed_over_by_their_names() -> None:
    weights, vllm = by_itself(tensor_parallel=True)
    weights.serve("on")
    assert vllm.calls == [name for name, _, _ in weights.layers]
    assert holds(vllm, weights, lambda layer: fold(layer)[: layer.base_layer.weight.shape[0] // 2])


def test_a_layer_that_vllm_did_not_wrap_keeps_its_name() -> None:
    weights, vllm = by_itself("lora", left_out="o_proj")
    assert "3 of 21 adapted layers, such as model.layers.0.self_attn.o_proj" in weights.notes[0]
    assert {"model.layers.0.self_attn.o_proj.weight", "model.layers.0.self_attn.q_proj.base_layer.weight"} <= {
        name for name, _, _ in weights.layers
    }
    weights.serve("on")
    assert holds(vllm, weights, fold)


def quantize(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    """Hold the base in another form, with bitsandbytes' two names: here `dequantize_4bit` halves what is stored."""
    module = ModuleType("bitsandbytes.functional")
    module.dequantize_4bit = lambda data, state: data * state  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bitsandbytes", ModuleType("bitsandbytes"))
    monkeypatch.setitem(sys.modules, "bitsandbytes.functional", module)
    for layer in lora_layers(model):
        layer.base_layer.weight.quant_state = 0.5


def test_of_a_base_in_4_bits_vllm_serves_what_it_dequantizes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_with_lora(1e-3)
    quantize(monkeypatch, model)
    model.vllm_engine = vllm = ByItself(model, lora=True)
    weights = weight_sync(model, plan_of("folded", in_4bit=True), 42)
    assert isinstance(weights, SeparateWeights)
    half = [layer.base_layer.weight.data * 0.5 for layer in lora_layers(model)]
    assert weights.serve("off") is None
    assert equal([vllm.parts[name] for name, _, _ in weights.layers], half)
    weights.serve("on")
    assert holds(vllm, weights, fold)
    assert not equal([vllm.parts[name] for name, _, _ in weights.layers], half)
    weights.serve("off")
    assert equal([vllm.parts[name] for name, _, _ in weights.layers], half)


def test_shared_weights_without_a_copy_take_the_kernels() -> None:
    model = model_with_lora(1e-3)
    model.vllm_engine = Vllm(model, lora=True)
    weights = weight_sync(model, plan_of("lora", "lora"), 42)
    assert isinstance(weights, UnfoldedWeights)
    assert weights.serve("off") is None
    assert weights.serve("on").number == 1
    assert model.vllm_engine.resets == 1


def test_vllm_reserves_the_next_rank_that_it_knows() -> None:
    assert lora_arguments(8)["max_lora_rank"] == 8
    assert lora_arguments(9)["max_lora_rank"] == 16
    assert lora_arguments(513) == {"enable_lora": False}
