"""The learning rate of `auto`: measured at one size, smaller for wider models, within bounds."""

import pytest

from grpo_job.planner.learning_rate import peak, reason


@pytest.mark.parametrize(
    ("hidden", "rate"),
    [(64, 4e-4), (288, 4e-4), (576, 3e-4), (2048, 8.4e-5), (3584, 4.8e-5), (16384, 2e-5)],
)
def test_the_rate_falls_with_the_hidden_size_within_its_bounds(hidden: int, rate: float) -> None:
    assert peak("auto", {"hidden_size": hidden}) == rate


def test_of_a_multimodal_model_the_language_model_counts() -> None:
    assert peak("auto", {"text_config": {"hidden_size": 2048}, "hidden_size": 1}) == 8.4e-5


@pytest.mark.parametrize("asked", [0.0, 1e-9, 1e-3, 5.123e-6])
def test_a_given_rate_is_kept_as_it_is(asked: float) -> None:
    assert peak(asked, {"hidden_size": 2048}) == asked


def test_people_see_the_rate_its_arithmetic_and_what_was_measured() -> None:
    assert reason("auto", {"hidden_size": 2048}) == (
        "8.4e-05: auto is 0.0003 × 576 / hidden size 2048, from 2e-05 to 0.0004 (measured at 135M parameters only)"
    )
    assert reason(5e-6, {"hidden_size": 2048}) == "5e-06, given"
