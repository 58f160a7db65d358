"""Paths that no file system can take are refused by name, whatever the setting."""

from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.reader import resolve

PATHS = [
    "OUTPUT_DIR",
    "CACHE_DIR",
    "REWARD_PATH",
    "TERMINATION_LOG",
    "MODEL",
    "DATASET",
    "EVAL_DATASET",
    "CHAT_TEMPLATE",
]
WRONG = [
    ("~nosuchuser/x", "there is no user 'nosuchuser'"),
    ("/data/" + "é" * 128, "it has a name of 256 bytes; allowed: at most 255"),
    ("/data" * 1000, "it is longer than 4000 bytes"),
]


def fault_of(**variables: str) -> str:
    with pytest.raises(InvalidRun) as refused:
        resolve({f"GRPO_{name}": value for name, value in variables.items()})
    return "\n".join(refused.value.faults)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(("value", "why"), WRONG)
def test_a_path_that_names_nothing_is_refused(name: str, value: str, why: str) -> None:
    fault = fault_of(**{name: value})
    assert fault.startswith(f"GRPO_{name}: ")
    assert why in fault
    assert "\n" not in fault


@pytest.mark.parametrize("name", ["PUBLISH_TO", "CHECKPOINT_TO"])
@pytest.mark.parametrize(
    ("uri", "why"), [("file:///data/%00x", "it holds a NUL"), (f"file:///{'x' * 256}", "it has a name of 256 bytes")]
)
def test_an_address_of_a_folder_is_held_to_the_same(name: str, uri: str, why: str) -> None:
    assert f"GRPO_{name}: " in fault_of(**{name: uri})
    assert why in fault_of(**{name: uri})


def test_without_any_home_folder_the_default_of_the_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    expanded = Path.expanduser

    def without_home(path: Path) -> Path:
        if str(path).startswith("~"):
            raise RuntimeError("Could not determine home directory.")
        return expanded(path)

    monkeypatch.setattr(Path, "expanduser", without_home)
    assert "GRPO_CACHE_DIR: '~/.cache/grpo-job' was given; HOME is not set" in fault_of(MAX_STEPS="3")


@pytest.mark.parametrize("text", ["Answer with one word, then explain. " * 20, "a\0b"])
def test_an_example_that_no_file_can_be_named_is_the_text_itself(text: str) -> None:
    assert resolve({"GRPO_EXAMPLE": text}).settings.example == text.strip()


def test_an_example_in_the_home_folder_of_nobody_is_refused() -> None:
    assert fault_of(EXAMPLE="~nosuchuser/example.txt").startswith("GRPO_EXAMPLE: ")


@pytest.mark.parametrize("name", ["OUTPUT_DIR", "CACHE_DIR"])
def test_a_relative_folder_is_refused_where_the_process_has_none(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "the folder that this process was started in is gone" in fault_of(**{name: "x"})
