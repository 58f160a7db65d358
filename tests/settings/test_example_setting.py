"""GRPO_EXAMPLE: a text, a file, auto or off."""

from pathlib import Path

import pytest

from grpo_job.inputs.dataset import prompt_of
from grpo_job.inputs.row_values import with_example
from grpo_job.outcomes import InvalidRun
from grpo_job.settings.reader import resolve
from grpo_job.settings.recipes import RECIPES

TURN = {"role": "user", "content": "2 + 2?"}


def test_a_file_is_read_once_so_its_text_is_what_tells_runs_apart(tmp_path: Path) -> None:
    file = tmp_path / "example.txt"
    file.write_text("For 1 + 1 say <answer>2</answer>\n")
    first = resolve({"GRPO_EXAMPLE": str(file)}).settings
    assert first.example == "For 1 + 1 say <answer>2</answer>"
    assert resolve({"GRPO_EXAMPLE": first.example}).settings.result_hash() == first.result_hash()
    file.write_text("another")
    assert resolve({"GRPO_EXAMPLE": str(file)}).settings.result_hash() != first.result_hash()


@pytest.mark.parametrize("content", [None, "  \n"])
def test_a_file_that_is_missing_or_empty_is_refused(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "example.txt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidRun, match="GRPO_EXAMPLE"):
        resolve({"GRPO_EXAMPLE": str(file)})


def test_a_given_example_ends_the_system_message_of_every_prompt() -> None:
    settings = resolve({"GRPO_SYSTEM_PROMPT": "Use tags.", "GRPO_EXAMPLE": "For example ..."}).settings
    assert prompt_of("2 + 2?", settings)[0] == {"role": "system", "content": "Use tags.\n\nFor example ..."}
    assert with_example([TURN], "For example ...") == [{"role": "system", "content": "For example ..."}, TURN]
    assert with_example([{"role": "system", "content": "Own."}, TURN], "E")[0]["content"] == "Own.\n\nE"


@pytest.mark.parametrize("word", ["auto", "off"])
def test_without_a_given_example_the_prompt_is_as_it_was(word: str) -> None:
    settings = resolve({"GRPO_SYSTEM_PROMPT": "Use tags.", "GRPO_EXAMPLE": word}).settings
    assert prompt_of("2 + 2?", settings)[0]["content"] == "Use tags."


def test_the_tutorial_gets_no_example() -> None:
    assert RECIPES["tutorial"]["example"] == "off"
