"""Which rows a step learns from: decided by its position alone."""

import pytest

from grpo_job.engines.trainer.sampler import RowStream


def stream(length: int, *, rows: int = 5, chunk: int = 2, shuffle: bool = True, repeats: int = 1) -> list[int]:
    return list(RowStream(rows, chunk=chunk, group=2, repeats=repeats, length=length, shuffle=shuffle, seed=3))


def test_each_prompt_is_repeated_for_its_group() -> None:
    indices = stream(8, shuffle=False)
    assert indices == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_generation_is_repeated_for_the_micro_steps_that_learn_from_it() -> None:
    assert stream(8, shuffle=False, repeats=2) == [0, 0, 1, 1, 0, 0, 1, 1]


def test_no_row_is_dropped_between_passes() -> None:
    prompts = stream(20)[::2]
    assert sorted(prompts[:5]) == [0, 1, 2, 3, 4]
    assert sorted(prompts[5:]) == [0, 1, 2, 3, 4]


def test_later_passes_have_another_order() -> None:
    prompts = stream(80, rows=20, chunk=4)[::2]
    assert prompts[:20] != prompts[20:]


def test_the_order_does_not_depend_on_how_far_the_run_goes() -> None:
    assert stream(40)[:12] == stream(12)


def test_too_few_rows_for_one_generation_are_refused() -> None:
    with pytest.raises(ValueError, match="5 rows cannot fill a generation of 6"):
        stream(4, chunk=6)
