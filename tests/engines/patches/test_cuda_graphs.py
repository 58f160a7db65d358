"""Which calls of the decoder layers may be replayed, and in which shapes."""

import pytest

torch = pytest.importorskip("torch")

from grpo_job.engines.patches.cuda_graphs import LENGTHS, _only_causal, padded  # noqa: E402

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
