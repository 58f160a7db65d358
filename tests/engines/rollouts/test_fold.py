"""What a fold keeps of an update, and how it is measured."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from grpo_job.engines.rollouts.fold import KeptShare, fold
from grpo_job.engines.rollouts.rounding import key_of
from grpo_job.engines.rollouts.weight_sync import lora_layers
from grpo_job.engines.trainer.adapter import ADAPTER
from tests.engines.rollouts.fake_vllm import model_with_lora

SMALL = 1e-5  # of B: the update is about 1 % of bf16's unit in the last place


def kept_of(layers: list[Any], folded: list[torch.Tensor]) -> float:
    share = KeptShare(len(layers))
    for number in share.layers:
        share.add(layers[number], folded[number])
    kept = share.take()
    assert kept is not None
    return kept


def test_of_a_small_update_a_dither_keeps_nine_tenths_where_nearest_keeps_less_than_one() -> None:
    layers = lora_layers(model_with_lora(SMALL))
    with torch.inference_mode():
        nearest = kept_of(layers, [fold(layer) for layer in layers])
        dithered = kept_of(layers, [fold(layer, key_of(42, number)) for number, layer in enumerate(layers)])
    assert nearest < 0.1
    assert 0.9 < dithered < 1.1


def test_of_a_large_update_both_keep_all() -> None:
    layers = lora_layers(model_with_lora(0.1))
    with torch.inference_mode():
        for keys in ([None] * len(layers), [key_of(42, number) for number in range(len(layers))]):
            folded = [fold(layer, key) for layer, key in zip(layers, keys, strict=True)]
            assert kept_of(layers, folded) == pytest.approx(1.0, abs=0.01)


def test_a_dithered_fold_of_nothing_is_the_base() -> None:
    for layer in lora_layers(model_with_lora(0.0)):
        assert torch.equal(fold(layer, key=5), layer.base_layer.weight)


def test_a_fold_writes_where_it_is_told() -> None:
    layer = lora_layers(model_with_lora(0.1))[0]
    with torch.inference_mode():
        for key in (None, 5):
            out = torch.empty_like(layer.base_layer.weight)
            assert fold(layer, key, out) is out
            assert torch.equal(out, fold(layer, key))


def layer_of(weight: torch.Tensor, up: torch.Tensor, down: torch.Tensor, scale: float) -> Any:
    def only(tensor: torch.Tensor) -> Any:
        return {ADAPTER: SimpleNamespace(weight=tensor)}

    return SimpleNamespace(
        base_layer=SimpleNamespace(weight=weight), lora_A=only(down), lora_B=only(up), scaling={ADAPTER: scale}
    )


def test_the_share_is_the_slope_of_the_folded_against_the_unfolded_change() -> None:
    """D = 2 * [[1, 2], [3, 6]]; a fold that keeps [[2, 0], [6, 0]] of it keeps (4 + 36) / (4 + 16 + 36 + 144)."""
    weight = torch.zeros(2, 2)
    layer = layer_of(weight, torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0, 2.0]]), 2.0)
    assert kept_of([layer], [torch.tensor([[2.0, 0.0], [6.0, 0.0]])]) == pytest.approx(40 / 200)


def test_without_an_update_there_is_no_share_and_each_is_told_once() -> None:
    share, still = KeptShare(1), layer_of(torch.ones(2, 2), torch.zeros(2, 1), torch.ones(1, 2), 1.0)
    assert share.take() is None
    share.add(still, torch.ones(2, 2))
    assert share.take() is None
    moving = layer_of(torch.ones(2, 2), torch.ones(2, 1), torch.ones(1, 2), 1.0)
    share.add(moving, torch.full((2, 2), 2.0))
    assert (share.take(), share.take()) == (1.0, None)


def test_layers_are_sampled_from_first_to_last() -> None:
    assert KeptShare(3).layers == {0, 1, 2}
    assert KeptShare(1).layers == {0}
    assert len(KeptShare(210).layers) == 16
    assert {0, 209} <= KeptShare(210).layers
