"""What the reward `judge` asks: a template with the row's values in it. Pure."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

PROMPT = """You grade the answer of a student. Be strict.

Question:
{question}

Right answer, if there is one:
{answer}

The student's answer:
{completion}

Reply with one number from 0 (wrong) to {highest} (right), and nothing else."""
NAME = re.compile(r"\{(\w+)\}")


def read(prompt_file: str) -> str:
    """The template in this file, or PROMPT without one."""
    return Path(prompt_file).expanduser().read_text(encoding="utf-8") if prompt_file else PROMPT


def needed(prompt_file: str) -> set[str]:
    """What this file names in braces; of PROMPT nothing is needed.

    >>> needed("")
    set()
    """
    return set(NAME.findall(read(prompt_file))) if prompt_file else set()


def values_of(columns: Mapping[str, Any], number: int, completion: str, highest: float) -> dict[str, str]:
    """What the template may name: the row's texts and numbers, several right answers as one text; None is empty."""
    values = {name: value[number] for name, value in columns.items() if isinstance(value, list)}
    if isinstance(answers := values.get("answer"), list):
        values["answer"] = " or ".join(answers)
    texts = {name: str(value) for name, value in values.items() if isinstance(value, str | int | float)}
    empty = {name: "" for name, value in values.items() if value is None}
    return {"answer": "", "question": "", **empty, **texts, "completion": completion, "highest": f"{highest:g}"}


def lacking(names: Collection[str], values: Mapping[str, str]) -> str:
    """The first of the needed names that is empty in this row; of a completion that is no lack.

    >>> lacking({"answer", "completion"}, {"answer": " ", "completion": ""}), lacking({"other"}, {})
    ('answer', '')
    """
    empty = (name for name in sorted(names) if name != "completion" and not values.get(name, "-").strip())
    return next(empty, "")


def filled(template: str, values: Mapping[str, str]) -> str:
    """Each `{name}` once, whatever is in the values; other braces stay.

    >>> filled('{"a": {question}}', {"question": "{answer}?", "answer": "4"})
    '{"a": {answer}?}'
    """
    return NAME.sub(lambda found: values.get(found[1], found[0]), template)
