"""Results whose completions end by themselves are told apart from those of equal length."""

from typing import Any

from benchmarks.table import row

RESULT: dict[str, Any] = {
    "contestant": "this job, unsloth", "completions": 64, "cold": False, "first_step_done_s": 40.0,
    "step_s_median": 2.0, "completions_per_s": 32.0, "tokens_per_s": 6400.0, "peak_torch_gb": 40.0,
    "peak_used_gb": 60.0, "gpu": "NVIDIA H200", "model": "/models/m3b",
}  # fmt: skip
TUTORIAL = {**RESULT, "contestant": "tutorial", "step_s_median": 4.0}


def test_equal_lengths_are_compared_with_the_floor_and_the_tutorial() -> None:
    first, *_, ratio, floor = row(RESULT, [RESULT, TUTORIAL])
    assert (first, ratio, floor) == ("this job, unsloth", "1.93", "58 %")


def test_drawn_lengths_have_their_limit_in_the_name_and_are_compared_with_neither() -> None:
    first, *_, ratio, floor = row({**RESULT, "longest": 800}, [RESULT, TUTORIAL])
    assert (first, ratio, floor) == ("this job, unsloth, up to 800 tokens", "", "")
