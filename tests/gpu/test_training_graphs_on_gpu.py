"""Graphs of the training side give the gradients that launching each kernel gives."""

import subprocess
import sys
from typing import Any

import pytest

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.gpu

WIDTH, HEADS, POSITIONS = 64, 4, 256

WAITS_WHILE_CAPTURED = """
import torch
from grpo_job.engines.patches.cuda_graphs import GraphedLayers

class Waits(torch.nn.Linear):
    def forward(self, hidden, **_):
        torch.cuda.synchronize()
        return (super().forward(hidden),)

graphed = GraphedLayers(torch.nn.ModuleList([Waits(8, 8)]).cuda(), 64)
table = torch.zeros(64, 8, device="cuda")
graphed.forward(torch.ones(1, 8, 8, device="cuda"), position_embeddings=(table, table))
"""


class Layer(torch.nn.Module):
    """Causal attention and a linear map, both with weights that learn; as Unsloth's layers it answers a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.up = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden: Any, position_embeddings: Any = None, **_: Any) -> tuple[Any]:
        rows, tokens, _width = hidden.shape
        hidden = hidden + position_embeddings[0][:tokens]
        heads = [part.view(rows, tokens, HEADS, -1).transpose(1, 2) for part in self.qkv(hidden).chunk(3, dim=-1)]
        seen = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
        return (hidden + self.up(torch.nn.functional.silu(seen.transpose(1, 2).reshape(rows, tokens, WIDTH))),)


def _gradients(layers: Any, run: Any, batches: list[Any], table: Any) -> list[Any]:
    for parameter in layers.parameters():
        parameter.grad = None
    for batch in batches:
        hidden = batch
        for layer in run:
            hidden = layer(hidden, position_embeddings=(table, table), attention_mask=None)[0]
        hidden.float().square().mean().backward()
    return [parameter.grad.clone() for parameter in layers.parameters()]


def test_replayed_micro_batches_of_several_lengths_accumulate_the_gradients_of_eager_ones() -> None:
    from grpo_job.engines.patches.cuda_graphs import GraphedLayers

    torch.manual_seed(0)
    layers = torch.nn.ModuleList(Layer() for _ in range(3)).cuda()
    table = torch.randn(POSITIONS, WIDTH, device="cuda", dtype=torch.bfloat16)
    graphed = GraphedLayers(layers, POSITIONS)
    for lengths in ([50, 64], [100, 50], [120, 250]):
        batches = [torch.randn(4, length, WIDTH, device="cuda", dtype=torch.bfloat16) for length in lengths]
        with torch.autocast("cuda", dtype=torch.bfloat16):
            eager = _gradients(layers, list(layers), batches, table)
            replayed = _gradients(layers, graphed, batches, table)
        for one, other in zip(eager, replayed, strict=True):
            scale = one.abs().max()
            assert scale > 0
            torch.testing.assert_close(other / scale, one / scale, atol=0.02, rtol=0)
    assert [shape[1] for shape in graphed.graphs] == [256, 64, 128]


def test_layers_that_cannot_be_captured_end_with_the_setting_that_turns_graphs_off() -> None:
    """In a process of its own: a capture that failed leaves CUDA's random numbers unusable."""
    ended = subprocess.run([sys.executable, "-c", WAITS_WHILE_CAPTURED], capture_output=True, text=True, check=False)
    assert "GRPO_TRAINING_GRAPHS: set it to false" in ended.stderr


def test_layers_with_a_mask_or_without_gradients_run_one_by_one() -> None:
    from grpo_job.engines.patches.cuda_graphs import GraphedLayers

    layers = torch.nn.ModuleList(Layer() for _ in range(2)).cuda()
    graphed = GraphedLayers(layers, POSITIONS)
    with torch.no_grad():
        assert list(graphed) == list(layers)
    hidden, table = torch.randn(1, 8, WIDTH, device="cuda"), torch.zeros(POSITIONS, WIDTH, device="cuda")
    graphed.forward(hidden, position_embeddings=(table, table), attention_mask=torch.ones(1, 8))
    assert not graphed.graphs
