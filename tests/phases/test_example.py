"""GRPO_EXAMPLE=auto: when the base is shown an example, and that everything after asks with the same prompt."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grpo_job import rewards
from grpo_job.evaluation.completion import Completion
from grpo_job.inputs import base_model
from grpo_job.inputs.chat_template import Chat
from grpo_job.inputs.dataset import Counts, Rows
from grpo_job.outcomes import Abandoned
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.example import look_at_base
from grpo_job.phases.load import Loaded
from grpo_job.phases.probe import probe
from grpo_job.preflight import Checked
from grpo_job.run_folder.files import read_json
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.example import WORKED
from grpo_job.settings.reader import resolve
from tests.evaluation.test_completion import ended

LONG = "1 " * 600  # characters of a question that no longer fits with the example


class Base:
    """Right in plain words; in the tags where the prompt shows them and `learns` is set, or never if it `spoils`."""

    def __init__(self, *, learns: bool = True, before: str = "It is {}.", spoils: bool = False) -> None:
        self.spoils = spoils
        self.learns, self.before, self.taken, self.longest = learns, before, list[Any](), 0

    def generate(self, prompts: list[Any], *, samples: int = 1, **_: Any) -> list[list[Completion]]:
        return [self._answers(prompt, samples) for prompt in prompts]

    def _answers(self, prompt: Any, samples: int) -> list[Completion]:
        shown = self.learns and prompt[0]["content"].endswith(WORKED)
        text = "<reasoning>r</reasoning><answer>{}</answer>" if shown else self.before
        if self.spoils and prompt[0]["content"].endswith(WORKED):
            text = "never"
        gold = prompt[-1]["content"].split()[0]
        return [ended(text.format(gold)), *[ended(text.format("never"))] * (samples - 1)]

    def take_rows(self, rows: Any, longest: int) -> None:
        self.taken, self.longest = [row["prompt"][0]["content"] for row in rows], longest


def row(number: int, more: str = "") -> dict[str, Any]:
    question = f"{number} {more}"
    messages = [{"role": "system", "content": "Use tags."}, {"role": "user", "content": question}]
    return {"prompt": messages, "question": question, "answer": str(number), "answers": [str(number)], "columns": "{}"}


def started(folder: Path, engine: Base, *, checkpoint: Any = None, **given: str) -> tuple[Attempt, Loaded, Checked]:
    settings = {"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(folder), "GRPO_RUN_ID": "run"}
    settings |= {"GRPO_MAX_SEQ_LENGTH": "1000", "GRPO_MAX_PROMPT_LENGTH": "600", "GRPO_LOG_FORMAT": "plain"}
    settings |= {"GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "8"}
    attempt = Attempt(resolve({**settings, **given}).settings, Interruption())
    attempt.folder.open()
    rows = Rows([row(n) for n in range(8)] + [row(8, LONG)], [row(20), row(21, LONG)], Counts(), Counts(), None, [], "")
    chosen = rewards.load(attempt.settings.rewards)
    checked = Checked(base_model.fetch("sample", None), "trl", rows, chosen, [], None, [])  # type: ignore[arg-type]
    manager = SimpleNamespace(facts={})
    return attempt, Loaded(engine, manager, checkpoint), checked  # type: ignore[arg-type]


def test_right_answers_outside_the_tags_bring_the_example_into_every_prompt_and_it_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = Base()
    attempt, loaded, checked = started(tmp_path, base)
    shown, seen = look_at_base(attempt, loaded, checked)
    assert seen
    assert (seen.with_spread, seen.in_tags) == (seen.groups, 1 / 8)
    asked = [each["prompt"][0]["content"] for each in [*shown.rows.train, *shown.rows.held_out]]
    assert set(asked) == {f"Use tags.\n\n{WORKED}"}
    assert (len(shown.rows.train), len(shown.rows.held_out), len(base.taken)) == (8, 1, 8)
    assert loaded.checkpoints.facts["example"] == shown.example == WORKED
    attempt.summary.write()
    assert read_json(attempt.folder.summary)["example"]["text"] == WORKED
    said = " ".join(capfd.readouterr().out.split())
    assert "a worked example now ends the system message of all prompts (GRPO_EXAMPLE=auto)" in said
    assert "1 training rows and 1 held-out rows are now too long and left out" in said


def test_the_rows_to_choose_by_get_it_too_and_some_must_be_left(tmp_path: Path) -> None:
    attempt, loaded, checked = started(tmp_path, Base())
    shown, _ = look_at_base(attempt, loaded, checked._replace(choosing=[row(30), row(31, LONG)]))
    assert [each["prompt"][0]["content"] for each in shown.choosing] == [f"Use tags.\n\n{WORKED}"]
    attempt, loaded, checked = started(tmp_path / "again", Base())
    assert look_at_base(attempt, loaded, checked._replace(choosing=[row(31, LONG)]))[0].example == ""


def test_rows_with_a_worked_solution_must_be_left_for_a_warm_start(tmp_path: Path) -> None:
    for where, text in (("short", WORKED), ("long", "")):
        attempt, loaded, checked = started(tmp_path / where, Base(), GRPO_WARM_START_STEPS="2")
        rows = [{**each, "solution": "so" * (where == "short")} for each in checked.rows.train[:-1]]
        long = {**checked.rows.train[-1], "solution": "so"}
        checked = checked._replace(rows=checked.rows._replace(train=[*rows, long]))
        assert look_at_base(attempt, loaded, checked)[0].example == text


def test_prompts_with_the_example_are_as_long_as_the_template_of_the_run_makes_them(tmp_path: Path) -> None:
    base = Base()
    attempt, loaded, checked = started(tmp_path, base, GRPO_CHAT_TEMPLATE="plain")
    shown, _ = look_at_base(attempt, loaded, checked)
    chat = Chat(checked.base.folder, attempt.settings)
    assert base.longest == max(chat.lengths([each["prompt"] for each in shown.rows.train]))


@pytest.mark.parametrize(
    ("base", "given"),
    [
        (Base(before="<answer>{}</answer>"), {}),
        (Base(before="never"), {}),
        (Base(spoils=True), {"GRPO_REWARDS": "correct_anywhere:1,correct:1"}),
        (Base(), {"GRPO_EXAMPLE": "off"}),
        (Base(), {"GRPO_PROBE_PROMPTS": "0"}),
        (Base(), {"GRPO_REWARDS": "correct_anywhere:1"}),
    ],
    ids=["format known", "never right", "earns less with it", "off", "no probe", "tags do not earn"],
)
def test_otherwise_the_prompts_stay_as_they_are(base: Base, given: dict[str, str], tmp_path: Path) -> None:
    attempt, loaded, checked = started(tmp_path, base, **given)
    shown, _ = look_at_base(attempt, loaded, checked)
    assert shown == checked
    assert base.taken == []


@pytest.mark.parametrize(
    ("base", "given", "cure"),
    [
        (Base(), "off", "set GRPO_EXAMPLE=auto"),
        (Base(learns=False), "auto", "did not help, so give one like your rows as GRPO_EXAMPLE"),
    ],
)
def test_a_base_without_format_is_refused_with_the_setting_that_helps(
    base: Base, given: str, cure: str, tmp_path: Path
) -> None:
    attempt, loaded, checked = started(tmp_path, base, GRPO_EXAMPLE=given)
    checked, seen = look_at_base(attempt, loaded, checked)
    attempt.progress.seconds["evaluate"] = 1.0
    with pytest.raises(Abandoned, match=cure):
        probe(attempt, loaded, checked, seen, [])


@pytest.mark.parametrize("paid", [0.0, 2.0])
def test_a_base_without_a_signal_trains_where_a_held_out_answer_earns_more(paid: float, tmp_path: Path) -> None:
    attempt, loaded, checked = started(tmp_path, Base(before="never"))
    checked, seen = look_at_base(attempt, loaded, checked)
    attempt.progress.seconds["evaluate"] = 1.0
    before = [{"rewards": {reward.name: paid for reward in checked.rewards}}]
    with nullcontext() if paid else pytest.raises(Abandoned, match="no completion has the right answer"):
        probe(attempt, loaded, checked, seen, before)
    [finding] = attempt.summary.values["health"]
    assert (finding["level"], finding["kind"]) == (("warn", "faint_signal") if paid else ("hopeless", "no_signal"))


def test_a_probe_is_a_phase_that_says_how_far_it_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    attempt, loaded, checked = started(tmp_path, Base(), GRPO_LOG_FORMAT="json")
    look_at_base(attempt, loaded, checked)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    begun = next(line for line in lines if line["message"].startswith("probing the base: 8 prompts"))
    assert (begun["event"], begun["phase"]) == ("phase", "check")


def test_a_resumed_run_has_the_example_of_its_checkpoint_and_does_not_sample_again(tmp_path: Path) -> None:
    for kept in (WORKED, ""):
        base = Base(before="not asked")
        resumed = SimpleNamespace(manifest={"example": kept})
        attempt, loaded, checked = started(tmp_path, base, checkpoint=resumed)
        shown, seen = look_at_base(attempt, loaded, checked)
        assert (shown.example, seen) == (kept, None)
        assert bool(base.taken) == bool(kept)


def test_an_attempt_without_a_checkpoint_keeps_the_decision_that_its_evaluation_was_made_with(tmp_path: Path) -> None:
    attempt, loaded, checked = started(tmp_path, Base())
    look_at_base(attempt, loaded, checked)
    attempt.folder.before.parent.mkdir()
    attempt.folder.before.write_text("answers with the example")
    attempt.summary.write()
    again, loaded, checked = started(tmp_path, Base(before="<answer>{}</answer>"))
    assert look_at_base(again, loaded, checked)[0].example == WORKED
    assert again.folder.before.is_file()
    other, loaded, checked = started(tmp_path, Base(before="<answer>{}</answer>"), GRPO_TEMPERATURE="0.9")
    assert look_at_base(other, loaded, checked)[0].example == ""
    assert not other.folder.before.exists()
