"""Text of others in a Markdown page: rows, answers, settings and names bring no heading, image, link or HTML. Pure."""

import json
import re
from typing import Any

from grpo_job.reports import questions

SPECIAL = re.compile(r"[\\`*_\[\]<>|~$]|^#|&(?=[#\w])")
# Renderers make links of these without any brackets; not within a code span.
LINKLIKE = re.compile(r"\S*(?:://|www\.|@|mailto:)\S*", re.IGNORECASE)


class Markdown(str):
    """Markdown on purpose: the rest of what a template prints is escaped."""

    __slots__ = ()


def safe(value: Any) -> str:
    """What a template prints: Markdown as it is, any other value as one line of plain text.

    >>> safe("# a <b> [link](x) ![y](z)")
    '\\\\# a \\\\<b\\\\> \\\\[link\\\\](x) !\\\\[y\\\\](z)'
    >>> safe("see http://x.example/a_b, now"), safe(Markdown("*b*"))
    ('see `http://x.example/a_b,` now', '*b*')
    """
    if isinstance(value, Markdown):
        return value
    line, parts, end = " ".join(str(value).split()), [], 0
    for found in LINKLIKE.finditer(line):
        parts += [_escaped(line[end : found.start()]), code(found[0])]
        end = found.end()
    return "".join([*parts, _escaped(line[end:])])


def _escaped(text: str) -> str:
    return SPECIAL.sub(lambda found: f"\\{found[0]}" if found[0] != "&" else "&amp;", text)


def code(value: Any) -> Markdown:
    """A code span on one line, also in the cell of a table.

    >>> code("a`b|c")
    '``a`b\\\\|c``'
    """
    line = " ".join(str(value).split()).replace("|", "\\|")
    fence = "`" * (max((len(ticks) for ticks in re.findall("`+", line)), default=0) + 1)
    edge = " " if line.startswith("`") or line.endswith("`") else ""
    return Markdown(f"{fence}{edge}{line}{edge}{fence}" if line else "")


def fenced(value: Any) -> Markdown:
    """A code block that no backticks inside can end.

    >>> fenced("a ``` b").splitlines()[0]
    '````text'
    """
    text = str(value)
    longest = max((len(ticks) for ticks in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return Markdown(f"{fence}text\n{questions.shortened(text)}\n{fence}")


def literal(value: str | None) -> Markdown:
    """A Python string in double quotes; JSON's escapes are Python's too.

    >>> print(literal('a "b"'))
    "a \\"b\\""
    """
    return Markdown(json.dumps(value, ensure_ascii=False))


def keywords(options: dict[str, Any]) -> Markdown:
    """Options as a Python expression on one line."""
    return Markdown(repr(options))


# `as_is` is for text of ours, and for what was matched with a pattern.
FILTERS = {"as_is": Markdown, "code": code, "fenced": fenced, "literal": literal, "keywords": keywords}
