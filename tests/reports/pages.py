"""Reads a page for tests: its figures, its headings, what it would fetch, and what its figures should be."""

import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from statistics import median
from typing import Any

from grpo_job.run_folder.files import read_json, read_jsonl

MOST_BYTES = 3_000_000


class Page(HTMLParser):
    """The `<data>` elements of a page as (attributes, text), its headings, and the attributes that would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.figures: list[tuple[dict[str, str], str]] = []
        self.headings: list[str] = []
        self.fetched: list[str] = []
        self.tags: set[str] = set()
        self._open: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = {name: value or "" for name, value in attrs}
        self.fetched += [found[name] for name in ("src", "href", "xlink:href", "data", "action") if name in found]
        if tag == "data":
            self.figures.append((found, ""))
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open == "data":
            self.figures[-1] = (self.figures[-1][0], data)
        elif self._open in ("h1", "h2", "h3"):
            self.headings[-1] += data


def stands_in(folder: Path, title: str) -> Any:
    """What the file and the key in a figure's title hold, looked up anew."""
    source, _, key = title.partition(": ")
    if source != "metrics.jsonl":
        value: Any = read_json(folder / source)
        for part in key.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value
    rows = read_jsonl(folder / source)
    how, _, metric = key.partition(" ")
    if metric == "tokens_per_second":
        tokens = [0.0, *(row["num_tokens"] for row in rows)]
        values = [(b - a) / row["step_time"] for a, b, row in zip(tokens, tokens[1:], rows, strict=False)]
    else:
        values = [row[metric] for row in rows]
    aggregate: dict[str, Callable[[list[float]], float]] = {"median": median, "max": max, "last": lambda v: v[-1]}
    return aggregate[how](values)


def wrong_figures(folder: Path, page: str) -> list[str]:
    """The titles of the figures that do not say what stands in the run folder, exactly and as they are written."""
    wrong = []
    for attributes, text in Page(page).figures:
        expected = stands_in(folder, attributes["title"])
        number, tolerance = said(text, attributes["data-form"])
        exact = math.isclose(json.loads(attributes["value"]), expected, rel_tol=1e-12)
        if not (exact and math.isclose(number, expected, rel_tol=0, abs_tol=tolerance)):
            wrong.append(f"{attributes['title']}: {text}, not {expected}")
    return wrong


def said(text: str, form: str) -> tuple[float, float]:
    """The number that a text says, and how far the exact one may be from it."""
    text = text.replace("−", "-").replace(",", "")
    digits = re.findall(r"-?[\d.]+(?:e-?\d+)?", text)
    decimals = len(digits[-1].partition(".")[2]) if "e" not in digits[-1] else 0
    half = 0.5 * 10**-decimals + 1e-9
    match form:
        case "percent":
            return float(digits[0]) / 100, half / 100
        case "points":
            return float(text) / 100, half / 100
        case "seconds" if "h" in text:
            return 3600 * float(digits[0]) + 60 * float(digits[1]), 60
        case "seconds" if "min" in text:
            return 60 * float(digits[0]) + float(digits[1]), 1
        case "probability" | "p_value" if "<" in text:
            return 0.0, float(digits[0])
        case "probability" | "p_value" | "number":
            return float(digits[0]), max(half, abs(float(digits[0])) * 5e-3)
        case _:
            return float(digits[0]), half
