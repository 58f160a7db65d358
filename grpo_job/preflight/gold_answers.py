"""Checks the golds of the rows: code, whole solutions, one answer for all, what the question holds, classes."""

import re
from collections import Counter
from itertools import pairwise
from typing import Any

from grpo_job.inputs import row_values
from grpo_job.inputs.dataset import Rows
from grpo_job.preflight import unshown
from grpo_job.rewards import dates, structured, words
from grpo_job.settings.schema import Settings

LONG_ANSWERS = 0.01  # above this share, the answers are probably not what the user meant
LONG = 200  # characters: so long is a worked solution, not its result
TOLD = 0.99  # from this share, questions end with their answers by no chance
NO_ANSWERS = ("proof", "notfound")  # as NuminaMath writes that a row has none
READING_JSON = ("correct", "correct_anywhere")
COMPARING = ("correct", "correct_anywhere", "correctness", "one_of")  # of the menu, for any kind of answer
OF_A_KIND = 0.05  # above this share, answers are of a kind by no chance
SENTENCES = 0.5  # above this share, texts of six words and more are no titles
HEAD = 600  # characters of an answer that tell its kind
# A line of Python, of a language with braces, of SQL, a fence, or the keys of APPS's tests
_CODE = re.compile(
    r"^[ \t]*(?:(?:async )?def \w+ ?\(|class \w+ ?[:({]|assert\b.*[=(]|return\b|(?:from [\w.]+ )?import [\w.*{]"
    r"|print ?\(|(?:(?:el)?if|for|while)\b.*:$|#include ?[<\"]|function \w*\(|(?:const|let|var) \w+ ?="
    r"|(?i:select\s[^;]*?\sfrom|insert into|delete from|update \w+ set|create table)\s|[^\s\\].*[;{]\r?$)|```"
    r"|[\"'](?:inputs|outputs|test_cases|assert_case)[\"']:",
    re.MULTILINE,
)
# Lists and dictionaries as NumPy, pandas and Python print them into CSV; what SYNTHETIC-1 writes as JSON.
_RECORD = re.compile(r"""\barray\(\[|^\[(['"]).*?\1\s+['"]|^\{\s*(?:'\w+'|"ground_truth")\s*:""", re.DOTALL)
_SENTENCE = re.compile(r"(?:\b[^\W\d_][\w'’-]* +){5}[^\W\d_]")  # no list, and no formula in LaTeX
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_LABEL = re.compile(r"(?:.*[._])?(?:label|class)(?:_.*)?", re.IGNORECASE)
MOST_CLASSES, NAMED_CLASSES = 100, 8
_IN_DIGITS = re.compile(r"\d{1,2}/\d{1,2}/\d{4}")


def _incomparable(rows: Rows, settings: Settings) -> str | None:
    """Answers that many completions mean and hardly any spells, so that next to none is right."""
    compared = _comparing(settings)
    if not compared:
        return None
    number, column = len(rows.train), f"GRPO_ANSWER_COLUMN={settings.answer_column}"
    code = [row["answer"] for row in rows.train if _is_code(row["answer"])]
    if len(code) > OF_A_KIND * number:
        return (
            f"{len(code)} of {number} answers are code or tests, such as {_short(code[0])!r}, and {compared} would pay "
            f"only for their own text: check {column}, or name a reward of your own in GRPO_REWARDS that runs them"
        )
    golds = [min(row["answers"], key=len) for row in rows.train if row["answers"]]
    if all(name not in COMPARING or name in READING_JSON for name, _ in settings.rewards):
        golds = [gold for gold in golds if structured.document(gold) is None]
    long = sum(len(gold) > LONG for gold in golds)
    if long <= LONG_ANSWERS * number:
        return _sentences(golds, rows, settings)
    return (
        f"{long} of {number} answers have more than {LONG} characters, and {compared} would pay "
        f"only for all of them: check {column}, or write each solution's "
        "result after #### or into \\boxed{}"
    )


def _sentences(golds: list[str], rows: Rows, settings: Settings) -> str | None:
    said = [gold for gold in golds if _SENTENCE.search(gold) and structured.document(gold) is None]
    number = len(rows.train)
    if len(said) <= SENTENCES * number or unshown.options_of(rows.train[0], settings)[1]:
        return None
    return (
        f"{len(said)} of {number} answers are sentences, such as {_short(said[0])!r}, and {_comparing(settings)} would "
        f"pay only for their own words: check GRPO_ANSWER_COLUMN={settings.answer_column}, or name judge or a reward "
        "of your own in GRPO_REWARDS"
    )


def _comparing(settings: Settings) -> str:
    """The rewards of the run that compare answers as they are; one of the user's own may read them otherwise."""
    return " and ".join(name for name, _ in settings.rewards if name in COMPARING)


def _is_code(gold: str) -> bool:
    """Whether it is a program or tests of one, also in JSON.

    >>> [_is_code(gold) for gold in ("def f(x):\\n    return x", '{"inputs": ["1"], "outputs": ["2"]}', "f(x) = 2")]
    [True, True, False]
    """
    text = gold[:HEAD]
    if text[:1] in ("{", "["):
        text = text.replace("\\n", "\n").lstrip("[\"' ")
    return _CODE.search(text) is not None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60]}..."


def _records(rows: Rows, settings: Settings) -> str | None:
    """Cells that hold the right answer beside other things, or several: no completion says all of that."""
    records = [row["answer"] for row in rows.train if _RECORD.search(row["answer"][:HEAD])]
    if not _comparing(settings) or len(records) <= OF_A_KIND * len(rows.train):
        return None
    return (
        f"{len(records)} of {len(rows.train)} answers are records, such as {_short(records[0])!r}: write the right "
        f"answer alone into GRPO_ANSWER_COLUMN={settings.answer_column}, or save lists and dictionaries as JSON Lines "
        "or Parquet, not as CSV, and name what is in them (`outer.inner`)"
    )


def _parts(rows: Rows, settings: Settings) -> str | None:
    """Lists of answers that say different things: of parts of one answer, a single part would be paid."""
    several = [row["answers"] for row in rows.train if len(row["answers"]) > 1]
    differing = [golds for golds in several if _share_no_word(golds)]
    few = len(several) <= OF_A_KIND * len(rows.train) or len(differing) <= len(several) / 2
    if few or not _comparing(settings):
        return None
    return (
        f"{len(differing)} of {len(rows.train)} rows have several answers that differ, such as "
        f"{_short(' | '.join(differing[0]))!r}, and any one of them is paid: if all are needed, write them as one text "
        f"into GRPO_ANSWER_COLUMN={settings.answer_column}, such as {_short(', '.join(differing[0]))!r}"
    )


def _share_no_word(golds: list[str]) -> bool:
    """Other names of one thing mostly share a word: `Paris` and `the city of Paris`."""
    said = [set(re.findall(r"\w+", gold.casefold())) for gold in golds]
    return len(set().union(*said)) == sum(map(len, said))


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
    """Questions that hold their answer at one place: a model would learn to copy it."""
    answered = [row for row in rows.train if row["answer"].strip()]
    number, needed = sum(row_values.gold(row["question"]).endswith(row["answer"]) for row in answered), len(rows.train)
    check = f"check GRPO_PROMPT_COLUMN={settings.prompt_column} and GRPO_ANSWER_COLUMN={settings.answer_column}"
    if number and number >= TOLD * needed:
        copied = all(row["answer"] == row["question"] for row in answered)
        told = "every answer is its question" if copied else f"{number} of {needed} questions end with their answer"
        return f"{told}: {check}"
    places = Counter(place for row in answered for place in _places_of(row["answer"], row["question"]))
    number = max(places.values(), default=0)
    same = len({row["answer"] for row in answered}) == 1
    if same or not _comparing(settings) or not number or number < TOLD * needed:
        return None
    return (
        f"{number} of {needed} answers are the number at one place of their question, which a model can copy without "
        f"solving it: {check}; what a question asks to reach, as Countdown does, needs a reward of your own"
    )


def _places_of(gold: str, question: str) -> list[int]:
    """Which numbers of the question it is, from the start (0, 1) and from the end (-1, -2)."""
    numbers = _NUMBER.findall(question) if _NUMBER.fullmatch(gold) else []
    found = [place for place, number in enumerate(numbers) if number == gold]
    return found + [place - len(numbers) for place in found]


def _classes(rows: Rows, settings: Settings) -> str | None:
    """A column of labels whose classes no prompt names: the model can only guess what they are called."""
    counts = Counter(row["answer"] for row in rows.train if row["answer"])
    names, few = sorted(counts), 2 * len(counts) <= len(rows.train) and 1 < len(counts) <= MOST_CLASSES
    if not (_LABEL.fullmatch(settings.answer_column) and few) or all(map(words.verdict, names)):
        return None
    numbered = all(name.isdigit() for name in names)
    if numbered and any(int(after) != int(before) + 1 for before, after in pairwise(sorted(names, key=int))):
        return None
    if unshown.options_of(rows.train[0], settings)[1] or any(_names_all(names, row) for row in rows.train):
        return None
    more = f" and {len(names) - NAMED_CLASSES} more" if len(names) > NAMED_CLASSES else ""
    by_name = f", by names instead of numbers in GRPO_ANSWER_COLUMN={settings.answer_column}" if numbered else ""
    return (
        f"the answers are {len(names)} classes ({', '.join(names[:NAMED_CLASSES])}{more}) that no prompt names: say in "
        f"GRPO_SYSTEM_PROMPT or GRPO_PROMPT_COLUMN={settings.prompt_column} what to choose from{by_name}"
    )


def _names_all(names: list[str], row: dict[str, Any]) -> bool:
    text = unshown.prompt_of(row).casefold()
    return all(unshown.stands_in(name.casefold(), text) for name in names)


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


CHECKS = (_incomparable, _records, _parts, _no_answers, _day_first, _same_answer, _echoes, _classes)
