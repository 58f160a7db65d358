"""Which calls of the decoder layers may be replayed, and in which shapes."""

import pytest

torch = pytest.importorskip("torch")

from grpo_job.engines.training_graphs import _only_causal, _padded  # noqa: E402

TABLES = (torch.zeros(1), torch.zeros(1))


@pytest.mark.parametrize("tokens", [1, 63, 64, 65, 300, 456])
def test_rows_grow_to_whole_buckets_and_never_shrink(tokens: int) -> None:
    _rows, padded, _width = _padded((4, tokens, 8), limit=1024)
    assert padded % 64 == 0
    assert tokens <= padded < tokens + 64


def test_rows_do_not_grow_beyond_the_known_positions() -> None:
    assert _padded((4, 450, 8), limit=460) == (4, 460, 8)


@pytest.mark.parametrize("option", ["attention_mask", "causal_mask", "position_ids", "past_key_value", "packed"])
def test_a_call_that_says_more_than_causal_is_not_replayed(option: str) -> None:
    assert _only_causal({"position_embeddings": TABLES, "use_cache": False, option: None})
    assert not _only_causal({"position_embeddings": TABLES, option: torch.ones(1)})


def test_a_call_without_tables_of_positions_is_not_replayed() -> None:
    assert not _only_causal({"position_embeddings": None})
