"""How rewards and their parameters are written in the environment."""

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.reader import resolve


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("correct:2, tag_count", (("correct", 2.0), ("tag_count", 1.0))),
        ("./mine.py::brief:0.5,mine.long:1", (("./mine.py::brief", 0.5), ("mine.long", 1.0))),
        ("a/b.py::brief", (("a/b.py::brief", 1.0),)),
    ],
)
def test_a_reward_is_a_name_or_a_file_with_a_function(text: str, pairs: tuple[tuple[str, float], ...]) -> None:
    assert resolve({"GRPO_REWARDS": text}).settings.rewards == pairs


def test_options_are_json_by_the_rewards_names() -> None:
    given = '{"brief": {"longest": 200}}'
    assert resolve({"GRPO_REWARD_OPTIONS": given}).settings.reward_options == {"brief": {"longest": 200}}


@pytest.mark.parametrize("text", ["[1]", "brief", "{"])
def test_options_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(InvalidRun, match="GRPO_REWARD_OPTIONS"):
        resolve({"GRPO_REWARD_OPTIONS": text})
