"""Which groups have spread, under TRL's two ways to join rewards."""

from types import SimpleNamespace

import pytest
import torch

from grpo_job.engines.trainer.groups import Group, has_spread, tell_lengths

NAN = float("nan")


@pytest.mark.parametrize(
    ("rewards", "by_sum", "by_each"),
    [
        ([[0.0, 1.0], [0.0, 1.0]], False, False),
        ([[0.0, 1.0], [1.0, 1.0]], True, True),
        ([[2.0, 0.0], [0.0, 1.0]], False, True),  # 2 × 1 + 0 × 2 = 0 × 1 + 1 × 2
        ([[0.1, 0.1], [0.3, 0.0]], False, True),  # 0.1 + 0.2 is 0.3 but for rounding
        ([[NAN, NAN], [1.0, 1.0]], False, False),  # an unscorable completion has no advantage
        ([[NAN, NAN], [NAN, NAN]], False, False),
        ([[NAN, 1.0], [NAN, 0.0]], True, True),
        ([[NAN, 1.0], [NAN, 1.0]], False, False),
        ([[1e-9, 0.0], [2e-9, 0.0]], True, True),  # small, but no rounding
    ],
)
def test_a_group_has_spread_where_its_completions_get_different_advantages(
    rewards: list[list[float]], by_sum: bool, by_each: bool
) -> None:
    group = Group(0, [], [], [], [], None, {}, torch.tensor(rewards))
    for how, expected in (("sum_then_normalize", by_sum), ("normalize_then_sum", by_each)):
        trainer = SimpleNamespace(reward_weights=torch.tensor([1.0, 2.0]), multi_objective_aggregation=how)
        assert has_spread(group, trainer) is expected


def test_a_reward_of_weight_0_gives_no_spread() -> None:
    group = Group(0, [], [], [], [], None, {}, torch.tensor([[0.0, 1.0], [1.0, 1.0]]))
    for how in ("sum_then_normalize", "normalize_then_sum"):
        trainer = SimpleNamespace(reward_weights=torch.tensor([0.0, 1.0]), multi_objective_aggregation=how)
        assert not has_spread(group, trainer)


def test_lengths_are_those_of_all_rounds_by_their_sizes() -> None:
    metrics = {
        "completions/mean_length": [9.0, 10.0, 40.0],
        "completions/max_length": [9.0, 20.0, 40.0],
        "completions/min_length": [9.0, 5.0, 40.0],
        "reward": [1.0, 1.0],
    }
    tell_lengths(SimpleNamespace(_metrics={"train": metrics}), [2, 1])
    assert metrics == {
        "completions/mean_length": [9.0, 20.0],
        "completions/max_length": [9.0, 40.0],
        "completions/min_length": [9.0, 5.0],
        "reward": [1.0, 1.0],
    }
