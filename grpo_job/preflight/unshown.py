"""Checks what a question needs and no prompt shows: passages, the other half of a pair, images, options."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from grpo_job.inputs.dataset import Rows
from grpo_job.rewards import choices
from grpo_job.settings.schema import Settings

# Columns that a question is about, in small letters: of SQuAD, BoolQ, Alpaca, RACE, CoQA, summaries, SVAMP, pairs of
# texts (GLUE), tables, tool calls, and system messages beside a question.
CONTEXTS = (
    "context", "passage", "input", "article", "story", "document", "body", "paragraphs", "premise", "hypothesis",
    "question1", "question2", "sentence1", "sentence2", "text1", "text2", "table", "table_text", "pre_text",
    "post_text", "tools", "system", "system_prompt", "starter_code",
)  # fmt: skip
IMAGES = ("image", "images")
BY_CHANCE = 0.05  # of short texts
# MedMCQA's `opa` to `opd`, HellaSwag's `ending0`, such as `option_a`, `choice1` and `answerA`, and MMMLU's `A` to `D`
_OPTION = re.compile(r"(?i:op|option_?|choice_?|ending_?|sol|answer_?)(?:[a-eA-E]|[0-5])|[A-E]")
LISTED = ("choices", "options", "endings", "answers")  # columns with all options, as HellaSwag and ReClor name them

Row = Mapping[str, Any]
Offered = Sequence[tuple[Row, dict[str, str]]]  # rows with their options by letter


def _context(rows: Rows, settings: Settings) -> str | None:
    """A text that the question is about, in a column that no prompt shows."""
    answers = settings.answer_column.partition(".")[0]
    columns = [name for name in _columns(rows.train[0]) if name.lower() in CONTEXTS and name != answers]
    unshown = [name for name in columns if _is_unshown(name, rows)]
    if not unshown:
        return None
    return (
        f"no prompt shows its row's column {' or '.join(unshown)}: if the question is about it, write both into "
        f"GRPO_PROMPT_COLUMN={settings.prompt_column}"
    )


def _is_unshown(name: str, rows: Rows) -> bool:
    """Whether rows have texts in this column, of which prompts show none but by chance."""
    texts = [(_telling(_columns(row).get(name)), row) for row in rows.train]
    return _rarely(text in prompt_of(row) for text, row in texts if text)


def _telling(cell: Any) -> str:
    """A text; of a container, also one written as JSON, its longest text."""
    if isinstance(cell, str):
        try:
            return _telling(json.loads(cell)) if cell.lstrip()[:1] in ("[", "{") else cell.strip()
        except (ValueError, RecursionError):
            return cell.strip()
    inside = cell.values() if isinstance(cell, dict) else cell if isinstance(cell, list) else ()
    return max(map(_telling, inside), key=len, default="")


def _images(rows: Rows, settings: Settings) -> str | None:
    names = [name for name, cell in _columns(rows.train[0]).items() if name.lower() in IMAGES and cell]
    if not names:
        return None
    return (
        f"no prompt shows its row's column {names[0]}: models are trained on texts alone; leave out the rows whose "
        f"question is about an image, or describe it in GRPO_PROMPT_COLUMN={settings.prompt_column}"
    )


def _options(rows: Rows, settings: Settings) -> str | None:
    """Rows of a multiple choice that show no options or not their letters, or whose answers are places among them."""
    if not all(options_of(row, settings)[1] for row in rows.train):  # of most data the first row decides
        return None
    column = options_of(rows.train[0], settings)[0]
    offered = [(row, options_of(row, settings)[1]) for row in rows.train]
    faults = [fault for has_fault, fault in FAULTS_OF_OPTIONS if has_fault(offered)]
    if not faults:
        return None
    return (
        f"{' and '.join(faults)} ({column}): write the options into "
        f"GRPO_PROMPT_COLUMN={settings.prompt_column}, and the letter or the text of the right one into "
        f"GRPO_ANSWER_COLUMN={settings.answer_column}, as examples/multiple-choice does"
    )


def _hides_options(offered: Offered) -> bool:
    return not any(all(text in prompt_of(row) for text in texts.values()) for row, texts in offered)


def _hides_letters(offered: Offered) -> bool:
    """The options, but not the letters that are the answers."""
    letters = [(row, texts, choices.bare_letter(row["answer"])) for row, texts in offered]
    if _hides_options(offered) or not all(letter in texts for _, texts, letter in letters):
        return False
    return _rarely(all(stands_in(label, prompt_of(row)) for label in texts) for row, texts, _ in letters)


def _has_places(offered: Offered) -> bool:
    """Whether every answer is a whole number that is no option, and no prompt numbers its options so."""
    for row, texts in offered:
        gold = row["answer"]
        if not (gold.isdigit() and int(gold) <= len(texts) and gold not in texts.values()):
            return False
    numbers = {row["answer"] for row, _ in offered}
    return _rarely(
        all(re.search(rf"(?<![\w.]){number}[).:](?!\d)", prompt_of(row)) for number in numbers) for row, _ in offered
    )


FAULTS_OF_OPTIONS: tuple[tuple[Callable[[Offered], bool], str], ...] = (
    (_hides_options, "no prompt shows its row's options"),
    (_hides_letters, "every answer is a letter, but no prompt shows the letters of its row's options"),
    (_has_places, "every answer is a whole number that is none of them, perhaps a place among them"),
)


def options_of(row: Row, settings: Settings) -> tuple[str, dict[str, str]]:
    """Where the row has its options, for people, and their texts by letter; from its columns, or else its question."""
    for columns in _scopes(row, settings):
        for name in LISTED:
            if columns.get(name) and (texts := choices.options(columns[name])):
                return f"column {name}", texts
        if names := _one_by_one(columns):
            texts = {letter: str(columns[name]) for letter, name in zip("ABCDEFGHIJ", names, strict=False)}
            return f"columns {', '.join(names)}", texts
    lettered = choices.options(row["question"])
    return "in the question", lettered if [*lettered] == [*"ABCDEFGHIJ"[: len(lettered)]] and len(lettered) > 1 else {}


def _scopes(row: Row, settings: Settings) -> Iterator[dict[str, Any]]:
    """The columns that may be options: those of the row, and those inside of the column that has the question."""
    whole, answers = _columns(row), settings.answer_column.partition(".")[0]
    inner = whole.get(settings.prompt_column.rpartition(".")[0])
    one_of_them = len(row["answer"]) == 1  # a letter or a place; else `answers` are other right ones
    for columns in (whole, inner if isinstance(inner, dict) else {}):
        yield {
            name: cell
            for name, cell in columns.items()
            if name != answers and (one_of_them or not name.lower().startswith("answer"))
        }


def _one_by_one(columns: Mapping[str, Any]) -> list[str]:
    """The names of columns that hold one option each."""
    names = [name for name, text in columns.items() if _OPTION.fullmatch(name) and text]
    return names if len(names) > 1 else []


def prompt_of(row: Row) -> str:
    return "\n".join(message["content"] for message in row["prompt"])


def stands_in(label: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text) is not None


def _rarely(shown: Iterable[bool]) -> bool:
    """Whether it is shown by chance at most; where there is nothing to show, it is not missing."""
    each = list(shown)
    return sum(each) < BY_CHANCE * len(each)


def _columns(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["columns"] or "{}")
    return found


CHECKS = (_options, _context, _images)
