"""Lines for a person at a terminal, wrapped between words. What is piped or logged stays in one line."""

import os
import textwrap

COMMAND = "grpo-job "


def columns_of(descriptor: int) -> int | None:
    """How wide the terminal is; None if it is none."""
    try:
        return os.get_terminal_size(descriptor).columns or None
    except OSError:
        return None


def is_one_terminal() -> bool:
    """Whether standard output and error are the same terminal, where what both say is read twice."""
    try:
        return os.isatty(1) and os.path.sameopenfile(1, 2)
    except OSError:  # one is closed
        return False


def wrapped(text: str, columns: int | None, indent: int = 0) -> str:
    """Each line within `columns`, continued after `indent` spaces.

    A line with a command or a word that is too long, such as a path, stays whole for whoever copies it.

    >>> print(wrapped("passed  disk  60.2 GB free, 204 MB needed", 30, indent=14))
    passed  disk  60.2 GB free,
                  204 MB needed
    """
    return "\n".join(_line(line, columns, " " * indent) for line in text.split("\n"))


def _line(line: str, columns: int | None, indent: str) -> str:
    if columns is None or len(line) <= columns or COMMAND in line:
        return line
    if max(map(len, line.split()), default=0) > columns - len(indent):
        return line
    parts = textwrap.wrap(
        line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
        replace_whitespace=False, expand_tabs=False,
    )  # fmt: skip
    return "\n".join(parts) or line
