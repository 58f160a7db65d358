"""Replays the decoder layers' forward and backward as CUDA graphs: two launches in place of thousands.

A GPU finishes a step of few tokens before the host has launched its kernels. Graphs need fixed shapes, so rows are
padded on the right to one of `LENGTHS` lengths: under a causal mask no real token sees the padding, and no gradient
flows out of it. The longest is captured first, because the graphs of the shorter ones then use its memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from grpo_job.outcomes import Unexpected

LENGTHS = 8
ALIGNMENT = 8  # tokens: what tensor cores like


def replay_layers(decoder: Any, longest: int) -> None:
    """Let `decoder`, a model without its head, run its layers from graphs while it trains, if Unsloth drives it.

    Rows of more than `longest` tokens run as before, and models whose layers have masks of their own: Unsloth hands
    each layer its mask, and all layers in one graph would run with the first one's.
    """
    kinds = set(getattr(decoder.config, "layer_types", None) or ())
    if type(decoder).forward.__name__ != "LlamaModel_fast_forward" or len(kinds) > 1:
        return
    # Attribute access finds an instance's own dictionary before PyTorch's modules, which stay registered.
    vars(decoder)["layers"] = GraphedLayers(decoder.layers, longest)


class GraphedLayers:
    """Stands in for a list of decoder layers. While training, iterating gives one callable for all of them."""

    def __init__(self, layers: torch.nn.ModuleList, longest: int) -> None:
        self.layers, self.longest = layers, longest
        self.parameters = [parameter for parameter in layers.parameters() if parameter.requires_grad]
        self.sums = [torch.empty_like(parameter) for parameter in self.parameters]
        self.anchor = torch.zeros(1, device=self.parameters[0].device, requires_grad=True)
        self.graphs: dict[tuple[int, ...], _Graphs] = {}
        self.pool = torch.cuda.graph_pool_handle()
        self.pending = False  # a forward was replayed whose backward was not

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Any:
        return self.layers[index]

    def __iter__(self) -> Iterator[Any]:
        if self.layers.training and torch.is_grad_enabled():
            return iter([self.forward])
        return iter(self.layers)

    def forward(self, hidden: torch.Tensor, **options: Any) -> tuple[torch.Tensor]:
        """`hidden`, [rows, tokens, width], after the last layer. Raises `RuntimeError` if layers cannot be captured."""
        rows, tokens, width = hidden.shape
        if tokens > self.longest or not _only_causal(options):
            return (_through(self.layers, hidden, options),)
        for length in (self.longest, padded(tokens, self.longest)):
            shape = rows, length, width
            if shape not in self.graphs:
                self.graphs[shape] = self._captured(shape, hidden, options)
        replayed: torch.Tensor = _Replay.apply(self.anchor, hidden, self, self.graphs[shape])
        return (replayed,)

    def _captured(self, shape: tuple[int, ...], hidden: torch.Tensor, options: Mapping[str, Any]) -> "_Graphs":
        try:
            return _Graphs(self, shape, hidden, options)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # it leaves PyTorch's random numbers unusable: this process cannot go on
            raise RuntimeError(
                f"GRPO_TRAINING_GRAPHS: set it to false, these layers cannot be captured: {error}"
            ) from error

    def begin(self) -> None:
        """Raises `Unexpected` if a backward is pending: its activations would be overwritten."""
        if self.pending:
            raise Unexpected(
                "GRPO_TRAINING_GRAPHS: the layers were called again before the backward of the last call, "
                "whose activations a second replay would overwrite; set it to false"
            )
        self.pending = True

    def add(self, gradients: Sequence[torch.Tensor]) -> None:
        """Add to the parameters' gradients. Those of a graph are overwritten by its next replay, so they are copied."""
        if self.parameters[0].grad is None:
            torch._foreach_copy_(self.sums, gradients)
            for parameter, gradient in zip(self.parameters, self.sums, strict=True):
                parameter.grad = gradient
        else:
            torch._foreach_add_([parameter.grad for parameter in self.parameters], gradients)


class _Graphs:
    """Forward and backward for one shape, with the tensors that they read and write.

    All shapes share one pool of memory: a backward is over before the next forward begins.
    """

    def __init__(
        self, layers: GraphedLayers, shape: tuple[int, ...], hidden: torch.Tensor, options: Mapping[str, Any]
    ) -> None:
        self.input = hidden.new_zeros(shape)
        self.output_gradient = hidden.new_zeros(shape)

        def forward() -> torch.Tensor:
            # A cast that autocast remembers would be missing from the graph.
            with torch.autocast("cuda", dtype=hidden.dtype, cache_enabled=False):
                return _through(layers.layers, self.input, options)

        def backward(output: torch.Tensor) -> tuple[torch.Tensor, ...]:
            gradients: tuple[torch.Tensor, ...] = torch.autograd.grad(output, layers.parameters, self.output_gradient)
            return gradients

        # What kernels do at their first call (compile, measure, allocate) is no part of a graph, nor is its memory.
        backward(forward())
        torch.clear_autocast_cache()
        torch.cuda.empty_cache()
        self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.forward, pool=layers.pool, capture_error_mode="thread_local"):
            output = forward()
        with torch.cuda.graph(self.backward, pool=layers.pool, capture_error_mode="thread_local"):
            self.gradients = backward(output)
        self.output = output.detach()


class _Replay(torch.autograd.Function):
    """Forward replays one graph, backward the other. `anchor` is there to be asked for a gradient."""

    @staticmethod
    def forward(ctx: Any, anchor: torch.Tensor, hidden: torch.Tensor, layers: GraphedLayers, graphs: _Graphs) -> Any:
        layers.begin()
        ctx.layers, ctx.graphs, ctx.tokens = layers, graphs, hidden.shape[1]
        graphs.input[:, : ctx.tokens].copy_(hidden)
        graphs.forward.replay()
        return graphs.output[:, : ctx.tokens].clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, ...]:
        graphs = ctx.graphs
        graphs.output_gradient.zero_()
        graphs.output_gradient[:, : ctx.tokens].copy_(gradient)
        graphs.backward.replay()
        ctx.layers.add(graphs.gradients)
        ctx.layers.pending = False
        return None, None, None, None


def _through(layers: torch.nn.ModuleList, hidden: torch.Tensor, options: Mapping[str, Any]) -> torch.Tensor:
    for layer in layers:
        hidden = layer(hidden, **options)[0]
    return hidden


def _only_causal(options: Mapping[str, Any]) -> bool:
    """Whether nothing but a token's place decides what it sees: no mask, packing, or cache."""
    unset = all(value is None or value is False for name, value in options.items() if name != "position_embeddings")
    return unset and options.get("position_embeddings") is not None


def padded(tokens: int, longest: int) -> int:
    """The shortest of the lengths that has room for so many tokens.

    >>> padded(300, longest=456), padded(450, longest=456), padded(70, longest=1024)
    (320, 456, 128)
    """
    step = -(-longest // (LENGTHS * ALIGNMENT)) * ALIGNMENT
    return min(-(-tokens // step) * step, longest)
