"""A setting that is a text, or the name of a file that holds it."""

import os
import re
from pathlib import Path

from grpo_job.settings.plain_files import content_of

# One word that starts as paths do or ends as files do; `/no_think` is what some models read in a system message.
LIKE_A_PATH = re.compile(r"(\.{1,2}/|~\w*/|/\S+/|/\S+\.\w+$)\S*|[\w./-]*\w\.[A-Za-z]\w*")


def read(value: str) -> str:
    """`value`, or the text of the file of that name. ValueError where it names one that cannot be read."""
    if not names_a_file(value):
        return value
    try:
        text = content_of(Path(value.strip())).decode()
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"the file cannot be read: {error}") from error
    if not text.strip():
        raise ValueError("the file is empty")
    return text.strip()


def names_a_file(value: str) -> bool:
    """Whether it is a file that is there, or looks like the path of one.

    >>> [names_a_file(text) for text in ("Use tags.", "/no_think", "./prompt", "~/prompt", "/nowhere/a", "a.txt")]
    [False, False, True, True, True, True]
    """
    short = value.strip()
    return bool(short) and "\n" not in short and (bool(LIKE_A_PATH.fullmatch(short)) or os.path.isfile(short))  # noqa: PTH113 -- takes any text
