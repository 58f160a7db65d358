"""GRPO_SYSTEM_PROMPT and GRPO_EXAMPLE: a text, or a file that holds it; the example may be auto or off too."""

import doctest
from pathlib import Path

import pytest

from grpo_job.inputs.dataset import prompt_of
from grpo_job.inputs.row_values import with_example
from grpo_job.outcomes import InvalidRun
from grpo_job.settings import text_files
from grpo_job.settings.reader import resolve
from grpo_job.settings.recipes import RECIPES

NAMES = ("system_prompt", "example")
TURN = {"role": "user", "content": "2 + 2?"}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_once_so_its_text_is_what_tells_runs_apart(name: str, tmp_path: Path) -> None:
    file, variable = tmp_path / "prompt.txt", f"GRPO_{name.upper()}"
    file.write_text("For 1 + 1 say\n<answer>2</answer>\n")
    first = resolve({variable: str(file)}).settings
    assert getattr(first, name) == "For 1 + 1 say\n<answer>2</answer>"
    assert resolve({variable: getattr(first, name)}).settings.result_hash() == first.result_hash()
    file.write_text("another")
    assert resolve({variable: str(file)}).settings.result_hash() != first.result_hash()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [None, b"  \n", b"\xff\xfe"])
def test_a_file_that_is_missing_empty_or_no_text_is_refused(content: bytes | None, name: str, tmp_path: Path) -> None:
    file, variable = tmp_path / "prompt", f"GRPO_{name.upper()}"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidRun, match=rf"^{variable}: '{file}' was given; the file "):
        resolve({variable: str(file)})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file", ["prompt.txt", "prompts/system.md", "my-prompt.v2.jinja"])
def test_the_name_of_a_file_that_is_not_there_is_no_text(file: str, name: str) -> None:
    with pytest.raises(InvalidRun, match=rf"^GRPO_{name.upper()}: '{file}' was given; the file cannot be read: "):
        resolve({f"GRPO_{name.upper()}": file})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["/no_think", "Answer as a/b.", "~5 words", "...", "Think.", "3.5", "See a.txt"])
def test_what_only_begins_as_a_path_is_a_text(text: str, name: str) -> None:
    assert getattr(resolve({f"GRPO_{name.upper()}": text}).settings, name) == text


def test_a_file_of_that_name_does_not_take_the_word_auto_from_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "auto").write_text("2 + 2 = 4")
    monkeypatch.chdir(tmp_path)
    assert resolve({"GRPO_EXAMPLE": "auto"}).settings.example == "auto"


def test_doctests() -> None:
    assert doctest.testmod(text_files).failed == 0


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
