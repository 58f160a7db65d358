"""The ways by which vLLM gets the LoRA: the dither is the reference's, graphs fold as launches do, each way trains."""

from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from grpo_job.engines.rollouts.fold import fold
from grpo_job.engines.rollouts.replay import Graph
from grpo_job.engines.rollouts.rounding import DROPPED_BITS, _dithered, key_of, round_dithered
from grpo_job.engines.rollouts.weight_sync import OwnWeights, lora_layers
from grpo_job.engines.trainer.adapter import ADAPTER, load_adapter
from grpo_job.run_folder.files import read_json, read_jsonl
from tests.engines.rollouts.fake_vllm import Vllm, model_with_lora
from tests.gpu import runs

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", DROPPED_BITS)
def test_the_kernel_gives_the_bits_of_the_reference(dtype: torch.dtype) -> None:
    value = torch.randn(1003, 517, device="cuda") * 0.02
    for key in (key_of(42, 0), 0, 2**31 - 1):
        out = round_dithered(value, key, torch.empty_like(value, dtype=dtype))
        assert torch.equal(out, _dithered(value, key, DROPPED_BITS[dtype]).to(dtype))


def own(way: str) -> OwnWeights:
    """Unsloth's engine over plain tensors on the GPU."""
    model = model_with_lora(1e-3).cuda()
    model.vllm_engine = Vllm(model, lora=False)
    plan: Any = SimpleNamespace(rollout_weights=way)
    return OwnWeights(model, plan, 42)


def hand_over(weights: OwnWeights) -> float:
    """The share that was kept, once vLLM holds what launched folds give, bit by bit."""
    weights.changed()
    weights.serve("on")
    kept = weights.kept.take()
    assert kept is not None
    with torch.inference_mode():
        for (layer, served), key in zip(weights.layers, weights.keys, strict=True):
            assert torch.equal(served, fold(layer, key))
    return kept


def scale(weights: OwnWeights, factor: float) -> None:
    """A step of training, in place."""
    for layer, _ in weights.layers:
        layer.lora_B[ADAPTER].weight.data.mul_(factor)


def launched(way: str, factors: list[float]) -> list[float]:
    """The shares kept after such steps, by folds of which none is replayed."""
    weights, kept = own(way), []
    for factor in factors:
        scale(weights, factor)
        weights._fold_all.seen = None
        kept.append(hand_over(weights))
        assert weights._fold_all.graph is None
    return kept


@pytest.mark.parametrize("way", ["folded", "rounded"])
def test_replayed_folds_give_the_bits_of_launched_ones_and_measure_the_same(way: str) -> None:
    weights, kept, factors = own(way), [], [1.5, 0.5, 3.0, 0.1, 2.0]
    for factor in factors:
        scale(weights, factor)
        kept.append(hand_over(weights))
    assert weights._fold_all.graph is not None
    assert kept == launched(way, factors)
    weights.serve("off")
    assert all(torch.equal(served, layer.base_layer.weight) for layer, served in weights.layers)


@pytest.mark.parametrize("way", ["folded", "rounded"])
def test_replayed_folds_follow_an_adapter_that_is_loaded_or_moved(way: str, tmp_path: Path) -> None:
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    weights = own(way)
    model = weights.llm.trained
    save_file(get_peft_model_state_dict(model, save_embedding_layers=False), tmp_path / "adapter.safetensors")
    first = hand_over(weights)
    scale(weights, 2.0)
    for _ in range(2):
        hand_over(weights)
    graph = weights._fold_all.graph
    load_adapter(model, tmp_path / "adapter.safetensors")
    assert hand_over(weights) == first
    assert weights._fold_all.graph is graph
    for layer in lora_layers(model):
        layer.lora_A[ADAPTER].weight.data = 3 * layer.lora_A[ADAPTER].weight.data
    for _ in range(3):
        hand_over(weights)
        scale(weights, 1.1)
    assert weights._fold_all.graph is not graph
    assert weights._fold_all.graph is not None


def test_a_graph_of_folds_holds_the_temporaries_of_one_layer_not_of_all() -> None:
    """As the plan counts on: twice the fp32 copy of the largest layer, and room for small tensors."""
    weights = [torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16) for _ in range(8)]
    layers = [bare(weight) for weight in weights]
    out = [torch.empty_like(weight) for weight in weights]

    def work() -> None:
        for layer, target in zip(layers, out, strict=True):
            fold(layer, 7, target)

    work()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    graph = Graph(work)
    assert torch.cuda.memory_reserved() - before < 2 * 4 * 4096 * 4096 + 100e6
    graph.replay()


def bare(weight: torch.Tensor) -> Any:
    """As much of a LoRA layer as a fold reads, of rank 8."""
    up, down = (torch.randn(shape, device="cuda") for shape in ((weight.shape[0], 8), (8, weight.shape[1])))
    return SimpleNamespace(
        base_layer=SimpleNamespace(weight=weight),
        lora_B={ADAPTER: SimpleNamespace(weight=up)},
        lora_A={ADAPTER: SimpleNamespace(weight=down)},
        scaling={ADAPTER: 2.0},
    )


@pytest.mark.parametrize("engine", ["unsloth", "trl"])
@pytest.mark.parametrize("way", ["folded", "rounded", "lora"])
def test_each_way_trains_and_a_dither_keeps_nine_tenths(tmp_path: Path, engine: str, way: str) -> None:
    settings = {"GRPO_ENGINE": engine, "GRPO_ROLLOUT_WEIGHTS": way, "GRPO_MAX_STEPS": "6", "GRPO_LEARNING_RATE": "1e-5"}
    assert runs.start(tmp_path, settings).wait(300) == 0, runs.said(tmp_path)
    folder = runs.folder(tmp_path)
    assert read_json(folder.summary)["ending"]["code"] == 0
    kept = [row["weights/kept"] for row in read_jsonl(folder.metrics) if "weights/kept" in row]
    assert "fold the adapter into the 16-bit weights" not in runs.said(tmp_path)
    if way == "lora":
        assert kept == []
    else:
        assert (median(kept) > 0.9) == (way == "rounded")
