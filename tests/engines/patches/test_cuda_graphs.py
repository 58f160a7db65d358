"""Which calls of the decoder layers may be replayed, and in which shapes."""

import pytest

torch = pytest.importorskip("torch")

from grpo_job.engines.patches.cuda_graphs import (  # noqa: E402
    LENGTHS,
    GraphedLayers,
    _only_causal,
    _Replay,
    padded,
)
from grpo_job.outcomes import Unexpected  # noqa: E402

TABLES = (torch.zeros(1), torch.zeros(1))


@pytest.mark.parametrize("longest", [1, 7, 64, 456, 460, 1024, 4096])
def test_rows_have_few_lengths_each_with_room_and_none_beyond_the_longest(longest: int) -> None:
    lengths = [padded(tokens, longest) for tokens in range(1, longest + 1)]
    assert all(tokens <= length <= longest for tokens, length in enumerate(lengths, 1))
    assert len(set(lengths)) <= LENGTHS
    assert lengths == sorted(lengths)


@pytest.mark.parametrize("option", ["attention_mask", "causal_mask", "position_ids", "past_key_value", "packed"])
def test_a_call_that_says_more_than_causal_is_not_replayed(option: str) -> None:
    assert _only_causal({"position_embeddings": TABLES, "use_cache": False, option: None})
    assert not _only_causal({"position_embeddings": TABLES, option: torch.ones(1)})


def test_a_call_without_tables_of_positions_is_not_replayed() -> None:
    assert not _only_causal({"position_embeddings": None})


class Fake:
    """A graph that is only counted."""

    def __init__(self) -> None:
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1


class FakeGraphs:
    """Tensors and graphs of one shape, on a CPU."""

    def __init__(self) -> None:
        self.forward, self.backward = Fake(), Fake()
        self.input, self.output, self.output_gradient = (torch.zeros(1, 4, 2) for _ in range(3))
        self.gradients = [torch.ones(1)]


@pytest.fixture
def layers(monkeypatch: pytest.MonkeyPatch) -> GraphedLayers:
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    layer = torch.nn.Module()
    layer.weight = torch.nn.Parameter(torch.zeros(1))
    return GraphedLayers(torch.nn.ModuleList([layer]), 4)


def test_a_replay_while_a_backward_is_pending_is_refused(layers: GraphedLayers) -> None:
    graphs, hidden = FakeGraphs(), torch.ones(1, 3, 2)
    _Replay.apply(layers.anchor, hidden, layers, graphs)
    with pytest.raises(Unexpected, match="before the backward of the last call"):
        _Replay.apply(layers.anchor, hidden, layers, graphs)
    assert graphs.forward.replays == 1


def test_pieces_with_a_backward_each_add_their_gradients(layers: GraphedLayers) -> None:
    graphs, hidden = FakeGraphs(), torch.ones(1, 3, 2)
    for _ in range(2):
        _Replay.apply(layers.anchor, hidden, layers, graphs).sum().backward()
    assert graphs.backward.replays == 2
    assert layers.parameters[0].grad.tolist() == [2.0]
