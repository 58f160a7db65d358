"""Checks the golds of the rows: whole solutions, one answer for all, the question, no answer in words, places."""

import json
import re
from collections.abc import Mapping
from typing import Any

from grpo_job.inputs import row_values
from grpo_job.inputs.dataset import Rows
from grpo_job.rewards import choices, dates
from grpo_job.settings.schema import Settings

LONG_ANSWERS = 0.01  # above this share, the answers are probably not what the user meant
LONG = 200  # characters: so long is a worked solution, not its result
TOLD = 0.99  # from this share, questions end with their answers by no chance
NO_ANSWERS = ("proof", "notfound")  # as NuminaMath writes that a row has none
# MedMCQA's `opa` to `opd`, HellaSwag's `ending0`, such as `option_a` and `choice1`, and MMMLU's `A` to `D`
_OPTION = re.compile(r"(?i:op|option_?|choice_?|ending_?|sol)(?:[a-eA-E]|[0-5])|[A-E]")
LISTED = ("choices", "options", "endings")  # columns with all options; HellaSwag's are endings
_IN_DIGITS = re.compile(r"\d{1,2}/\d{1,2}/\d{4}")


def _long_answers(rows: Rows, settings: Settings) -> str | None:
    """Answers that are whole solutions, so that no completion is right."""
    compared = [name for name, _ in settings.rewards if name in ("correct", "correct_anywhere")]
    long = sum(min(map(len, row["answers"]), default=0) > LONG for row in rows.train)
    if not compared or long <= LONG_ANSWERS * len(rows.train):
        return None
    return (
        f"{long} of {len(rows.train)} answers have more than {LONG} characters, and {' and '.join(compared)} would pay "
        f"only for all of them: check GRPO_ANSWER_COLUMN={settings.answer_column}, or write each solution's "
        "result after #### or into \\boxed{}"
    )


def _no_answers(rows: Rows, settings: Settings) -> str | None:
    """Answers that only say that there is none, which a model would learn to say."""
    number = sum(row["answer"].strip().lower() in NO_ANSWERS for row in rows.train)
    if not number or number == len(rows.train):
        return None
    return (
        f"{number} of {len(rows.train)} rows have the answer {' or '.join(NO_ANSWERS)}, which would be paid for these "
        f"words: leave these rows out, or leave GRPO_ANSWER_COLUMN={settings.answer_column} empty in them"
    )


def _same_answer(rows: Rows, settings: Settings) -> str | None:
    """A model would learn to give the one answer to any question."""
    answers = {row["answer"] for row in rows.train}
    if len(answers) > 1 or len(rows.train) < 2 or answers == {""}:  # where no reward asks for answers, none is fine
        return None
    return (
        f"every row has the answer {next(iter(answers))!r}, which can be learned without reading the question: "
        f"check GRPO_ANSWER_COLUMN={settings.answer_column}"
    )


def _echoes(rows: Rows, settings: Settings) -> str | None:
    """Questions that hold their answer, as prompts of supervised training do: a model would learn to copy it."""
    answered = [row for row in rows.train if row["answer"].strip()]
    number = sum(row_values.gold(row["question"]).endswith(row["answer"]) for row in answered)
    if not number or number < TOLD * len(rows.train):
        return None
    same = all(row["answer"] == row["question"] for row in answered)
    told = "every answer is its question" if same else f"{number} of {len(rows.train)} questions end with their answer"
    return f"{told}: check GRPO_PROMPT_COLUMN={settings.prompt_column} and GRPO_ANSWER_COLUMN={settings.answer_column}"


def _options(rows: Rows, settings: Settings) -> str | None:
    """Rows of a multiple choice that show no options, or whose answers are places among them."""
    if not all(map(_texts_of_options, rows.train)):  # of most data the first row decides
        return None
    offered = [(row, _texts_of_options(row)) for row in rows.train]
    faults = []
    asked = ("\n".join(message["content"] for message in row["prompt"]) for row in rows.train)
    if not any(all(text in prompt for text in texts) for prompt, (_, texts) in zip(asked, offered, strict=True)):
        faults.append("no prompt shows its row's options")
    if all(row["answer"].isdigit() and row["answer"] not in texts for row, texts in offered):
        faults.append("every answer is a whole number that is none of them, perhaps a place among them")
    if not faults:
        return None
    return (
        f"{' and '.join(faults)} ({_named(rows)}): write the options into "
        f"GRPO_PROMPT_COLUMN={settings.prompt_column}, and the letter or the text of the right one into "
        f"GRPO_ANSWER_COLUMN={settings.answer_column}, as examples/multiple-choice does"
    )


def _texts_of_options(row: Mapping[str, Any]) -> list[str]:
    columns = json.loads(row["columns"] or "{}")
    listed = choices.options(next((columns[name] for name in LISTED if columns.get(name)), None))
    return [*listed.values()] or [str(columns[name]) for name in _one_by_one(columns)]


def _one_by_one(columns: Mapping[str, Any]) -> list[str]:
    """The names of columns that hold one option each."""
    names = [name for name, text in columns.items() if _OPTION.fullmatch(name) and text]
    return names if len(names) > 1 else []


def _named(rows: Rows) -> str:
    columns = json.loads(rows.train[0]["columns"])
    listed = next((name for name in LISTED if columns.get(name)), "")
    return f"column {listed}" if listed else f"columns {', '.join(_one_by_one(columns))}"


def _day_first(rows: Rows, settings: Settings) -> str | None:
    """Dates such as 05/06/2024 beside 25/12/2024: they would be paid for another day than they mean."""
    answers = [row["answer"] for row in rows.train if _IN_DIGITS.fullmatch(row["answer"].strip())]
    certain = next((answer for answer in answers if dates.day_first(answer)), None)
    either = [answer for answer in answers if dates.day_first(answer) is None]
    if certain is None or not either:
        return None
    return (
        f"{certain} has its day first, but {len(either)} of {len(rows.train)} answers, such as {either[0]}, are read "
        f"with the month first: write the dates of GRPO_ANSWER_COLUMN={settings.answer_column} as YYYY-MM-DD"
    )


CHECKS = (_long_answers, _no_answers, _day_first, _same_answer, _echoes, _options)
