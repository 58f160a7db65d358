"""Formats numbers and settings for people, without secrets and local paths. Pure."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

from grpo_job.settings.redaction.redactor import REDACTOR

NOTHING = "–"
_PATHS = re.compile(r"(?<![\w/.:…<])(?:~|file://)?(?:/[\w.+@=-]+)+/?")


def percent(share: float) -> str:
    """
    >>> percent(0.835), percent(1.0)
    ('83.5%', '100.0%')
    """
    return f"{share:.1%}"


def points(difference: float) -> str:
    """A difference of shares in percentage points.

    >>> points(0.47), points(-0.013), points(0.0)
    ('+47.0', '−1.3', '0.0')
    """
    text = f"{100 * difference:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def number(value: float) -> str:
    """Four significant digits, no trailing zeros.

    >>> number(0.00012344), number(1234567.0), number(2.0), number(float("nan"))
    ('0.0001234', '1,234,567', '2', 'nan')
    """
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.2e}"
    return text.replace("-", "−") if value < 0 else text


def count(value: float) -> str:
    """An integer with thousands separators: `12,000`."""
    return f"{value:,.0f}"


def probability(p: float) -> str:
    """The text after "p" in a sentence.

    >>> probability(0.031), probability(4e-19)
    ('= 0.031', '< 0.0001')
    """
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}"


def p_value(value: float) -> str:
    """The text in a column headed p."""
    return probability(value).removeprefix("= ")


def seconds(value: float) -> str:
    """
    >>> seconds(0.834), seconds(47.2), seconds(252), seconds(7384)
    ('0.83 s', '47 s', '4 min 12 s', '2 h 03 min')
    """
    if value < 10:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.0f} s"
    if value < 3600:
        return f"{int(value) // 60} min {int(value) % 60:02d} s"
    return f"{int(value) // 3600} h {int(value) % 3600 // 60:02d} min"


def money(value: float) -> str:
    """Without currency; four decimals below 0.1."""
    return f"{value:,.2f}" if value >= 0.1 or value == 0 else f"{value:.4f}"


def size(value: float) -> str:
    """
    >>> size(1_480_000), size(139 * 2**30)
    ('1.4 MiB', '139.0 GiB')
    """
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def mebibytes(value: float) -> str:
    """`size` of a value in MiB."""
    return size(value * 2**20)


def text(value: Any) -> str:
    """A setting's value as a user would type it.

    >>> text([["correct", 2.0], ["format_tags", 0.5]]), text(None), text(True), text(5e-6)
    ('correct:2, format_tags:0.5', '–', 'true', '5e-06')
    """
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(":".join(map(text, item)) if isinstance(item, list) else text(item) for item in value)
    return clean(json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value))


def clean(sentence: str) -> str:
    """Without secrets, and with local paths shortened to their last part.

    >>> clean("the adapter in /work/outputs/smoke-1/adapter answers differently")
    'the adapter in …/adapter answers differently'
    >>> clean("hf_abcdefghijklmnopqrst"), clean("3 km/h and/or 1/2"), clean("s3://bucket/a/b")
    ('[secret]', '3 km/h and/or 1/2', 's3://bucket/a/b')
    """
    return _PATHS.sub(lambda path: f"…/{path[0].rstrip('/').rpartition('/')[2]}", REDACTOR.text(sentence))


FORMS: dict[str, Callable[[Any], str]] = {
    form.__name__: form for form in (percent, points, number, count, probability, p_value, seconds, money, size, text)
}
