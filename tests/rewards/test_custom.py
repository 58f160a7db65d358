"""A reward from outside is imported by its path, or refused with the cause."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.rewards import load

SOURCE = """
from helper_of_{module} import BONUS

def my_reward(completion: str, answer: str) -> float | None:
    return BONUS if answer in completion else None

def correct(completion, answer, strictness=1):
    return 1.0

async def later(completion, answer):
    return 1.0

def batch(prompts, completions, **columns):
    return [1.0]

def one_argument(completion):
    return 1.0

def nothing():
    return 1.0

def late(completion):
    from helper_of_{module} import BONUS
    return BONUS

def brief(completion, *, longest=100):
    return float(len(completion) <= longest)

class Judge:
    def __call__(self, completion, answer):
        return 0.5

judge = Judge()
number = 72
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the module `outside` and a helper beside it; forgotten after the test."""
    (tmp_path / "outside.py").write_text(SOURCE.format(module="outside"))
    (tmp_path / "helper_of_outside.py").write_text("BONUS = 0.25\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("outside", "helper_of_outside", "broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def refusal(name: str, folder: Path | None) -> str:
    with pytest.raises(InvalidRun) as refused:
        load([(name, 1.0)], folder)
    return str(refused.value)


def test_a_function_in_the_folder_becomes_a_reward_of_its_own_name(folder: Path) -> None:
    [reward] = load([("outside.my_reward", 0.5)], folder)
    assert (reward.name, reward.weight) == ("my_reward", 0.5)
    assert reward.function("72", "72") == 0.25
    assert reward.function("71", "72") is None


def test_an_object_that_can_be_called_is_a_reward(folder: Path) -> None:
    [reward] = load([("outside.judge", 1.0)], folder)
    assert (reward.name, reward.function("72", "72")) == ("judge", 0.5)


def test_an_installed_module_needs_no_folder() -> None:
    [reward] = load([("grpo_job.rewards.tags.tag_count", 1.0)])
    assert reward.name == "tag_count"


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("outside.missing", "has no 'missing'"),
        ("nowhere.reward", "No module named 'nowhere'"),
        ("nowhere.rewards.brief", "allowed: a module that is installed or in GRPO_REWARD_PATH, or a file"),
        ("nowhere.py", "it names no function of the file; allowed: a file as ./file.py::function"),
        ("./outside.py", "it names no function of the file"),
        ("numbers.py", "it names no function of the file"),
        ("outside.number", "of type int"),
        ("outside.nothing", "takes no completion"),
        ("./nowhere.py::brief", "no file ./nowhere.py"),
        ("outside.py::missing", "has no 'missing'"),
        ("outside.", "has no ''"),
        (".outside", "raised"),
    ],
)
def test_what_cannot_be_a_reward_is_refused_with_the_cause(name: str, cause: str, folder: Path) -> None:
    told = refusal(name, folder)
    assert repr(name) in told
    assert cause in told


@pytest.mark.parametrize(
    "body",
    ["def (", "raise OSError('no judge')", "import sys; sys.exit(0)", "import os; os._exit(0)", "import nowhere_"],
)
def test_a_module_that_breaks_when_imported_is_refused(body: str, folder: Path) -> None:
    (folder / "broken.py").write_text(body)
    assert "importing 'broken'" in refusal("broken.reward", folder)


def test_a_file_of_a_package_is_refused_with_the_way_to_name_it(folder: Path) -> None:
    (folder / "package").mkdir()
    (folder / "package" / "helper.py").write_text("BONUS = 0.25\n")
    (folder / "package" / "rewards.py").write_text("from .helper import BONUS\ndef pays(completion): return BONUS\n")
    assert "by its dotted path, with the folder of the package in GRPO_REWARD_PATH" in refusal(
        f"{folder}/package/rewards.py::pays", None
    )
    [reward] = load([("package.rewards.pays", 1.0)], folder)
    assert reward.function("") == 0.25


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path / "gone") in refusal("outside.my_reward", tmp_path / "gone")


def test_a_file_is_named_beside_the_module(folder: Path) -> None:
    [by_place] = load([(f"{folder}/outside.py::brief", 0.5)])
    [by_folder] = load([("outside.py::brief", 0.5)], folder)
    assert (by_place.name, by_place.weight) == (by_folder.name, by_folder.weight) == ("brief", 0.5)
    assert by_folder.function("a completion") == 1.0


def test_a_file_finds_its_helpers_when_it_is_called_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [reward] = load([(f"{folder}/outside.py::late", 1.0)])
    monkeypatch.delitem(sys.modules, "helper_of_outside")
    assert reward.function("72") == 0.25


def test_options_set_a_rewards_own_parameters(folder: Path) -> None:
    [reward] = load([("outside.brief", 1.0)], folder, {"brief": {"longest": 3}})
    assert (reward.function("four"), reward.function("one")) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"brief": {"shortest": 3}}, "the options shortest; allowed: longest"),
        ({"brief": {"completion": 3}}, "the options completion; allowed: longest"),
        ({"breif": {"longest": 3}}, "GRPO_REWARD_OPTIONS: 'breif' was given; allowed: the names of GRPO_REWARDS"),
        ({"brief": 3}, "each with a JSON object"),
    ],
)
def test_options_are_checked_against_the_signature(options: dict[str, Any], told: str, folder: Path) -> None:
    with pytest.raises(InvalidRun) as refused:
        load([("outside.brief", 1.0)], folder, options)
    assert told in str(refused.value)


POOLED = """
import multiprocessing

def length(text):
    return float(len(text))

def pooled(completions, **columns):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(length, [str(completion) for completion in completions])
"""


def test_processes_that_the_reward_of_a_file_spawns_find_its_functions(folder: Path) -> None:
    file = folder / "pooled_here.py"
    file.write_text(POOLED)
    paying = f"""
from grpo_job.rewards import as_trl_function, load
if __name__ == "__main__":
    (reward,) = load([("{file}::pooled", 1.0)])
    print(as_trl_function(reward, 60.0)(completions=["four", "to"]))
"""
    (folder / "paying.py").write_text(paying)
    command = [sys.executable, str(folder / "paying.py")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.stdout == "[4.0, 2.0]\n", ended.stderr


def test_a_file_named_as_a_library_is_still_loaded(folder: Path) -> None:
    (folder / "json.py").write_text("def paid(completion):\n    return 1.0\n")
    (reward,) = load([(f"{folder / 'json.py'}::paid", 1.0)])
    assert reward.function("") == 1.0
    assert sys.modules["json"].__name__ == "json"
    assert reward.module != "json"


def test_the_helper_of_another_rewards_folder_is_not_taken_for_its_own(tmp_path: Path) -> None:
    for folder, pay in (("first", 1.0), ("second", 5.0)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "helper_of_two.py").write_text(f"PAY = {pay}\n")
        (tmp_path / folder / f"{folder}_paid.py").write_text(
            "from helper_of_two import PAY\ndef paid(text): return PAY\n"
        )
    [reward] = load([(f"{tmp_path}/first/first_paid.py::paid", 1.0)])
    assert reward.function("") == 1.0
    told = refusal(f"{tmp_path}/second/second_paid.py::paid", None)
    assert f"helper_of_two, a name that {tmp_path}/first/helper_of_two.py has already" in told
    assert f"another name for {tmp_path}/second/helper_of_two.py" in told
