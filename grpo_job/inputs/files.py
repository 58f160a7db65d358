"""Reads one file of rows. Text formats by the standard library, which names the line; Parquet and Arrow by `binary.py`.

Nothing is guessed: a cell keeps its letters, and what cannot be read is a `Damaged` with its line and the cure.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job.inputs import binary
from grpo_job.inputs.binary import require_distinct, twice
from grpo_job.inputs.content import COMPRESSED, Damaged, Item, text_of

SEPARATORS = ",;\t|"
LFS_POINTER = b"version https://git-lfs"
JSON_FORMS = "allowed: one object per line (JSON Lines), a list of objects, or an object with one such list in it"


class Table(NamedTuple):
    """The rows of one file, in its order, and its columns."""

    columns: list[str]
    rows: list[Item]


def is_rows(path: Path) -> bool:
    """Whether a file's name is that of a format that `read` knows, compressed or not."""
    return _format_of(path) in (*JSON, *READERS)


def allowed() -> str:
    return f"{', '.join((*JSON, *READERS))}, the text ones also with {', '.join(COMPRESSED)}"


def read(path: Path, prompt_column: str) -> Table:
    """The rows of a file that `is_rows`. Raises `Damaged`, also if it has none, and `OSError`.

    A JSON file that is one object is one row if it has the `prompt_column`, else the list of rows in it.
    """
    with path.open("rb") as file:
        head = file.read(len(LFS_POINTER))
    if not head:
        raise Damaged("it is empty; allowed: a file with at least one row")
    if head == LFS_POINTER:
        raise Damaged("it is a pointer of Git LFS, not the rows themselves; run `git lfs pull`")
    kind = _format_of(path)
    return _json(path, prompt_column) if kind in JSON else READERS[kind](path)


def _format_of(path: Path) -> str:
    """`.jsonl` of `rows.jsonl` and of `rows.jsonl.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if len(suffixes) == 2 and suffixes[1] in COMPRESSED:
        return suffixes[0] if suffixes[0] in TEXT else ""
    return suffixes[-1] if suffixes else ""


def _json(path: Path, prompt_column: str) -> Table:
    text = text_of(path)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    by_line = bool(lines) and lines[0][1].lstrip().startswith("{") and lines[0][1].rstrip().endswith("}")
    if by_line and (len(lines) > 1 or _format_of(path) != ".json"):
        rows = [_row(_parsed(line, number), f"line {number}") for number, line in lines]
    elif lines:
        listed = _listed(_parsed(text, 1), prompt_column)
        rows = [_row(row, f"row {number}") for number, row in enumerate(listed, 1)]
    else:
        rows = []
    if not rows:
        raise Damaged("it has no rows; allowed: a file with at least one row")
    return Table(list(dict.fromkeys(column for row in rows for column in row)), rows)


def _listed(whole: Any, prompt_column: str) -> list[Any]:
    """The rows of a document: a list, an object with one list of objects in it, or an object that is one row."""
    if isinstance(whole, list):
        return whole
    if not isinstance(whole, dict):
        raise Damaged(f"it holds a value of type {type(whole).__name__}; {JSON_FORMS}")
    of_rows = [name for name, value in whole.items() if isinstance(value, list) and _has_objects(value)]
    if whole and all(isinstance(each, dict) and prompt_column in each for each in whole.values()):
        raise Damaged(f"it holds its rows by name ({_first(whole)}), not as a list; {JSON_FORMS}")
    if whole and (all(isinstance(each, dict) for each in whole.values()) or _are_lists_of_cells(whole)):
        raise Damaged(f"it holds its columns ({_first(whole)}), not rows; {JSON_FORMS}")
    if prompt_column in whole or not of_rows:
        return [whole]
    if len(of_rows) > 1:
        raise Damaged(f"it holds several lists of objects ({', '.join(of_rows)}); save each as a file of its own")
    found: list[Any] = whole[of_rows[0]]
    return found


def _first(whole: Item) -> str:
    """The first keys, and how many more there are."""
    more = f" and {len(whole) - 3:,} more" if len(whole) > 3 else ""
    return ", ".join(list(whole)[:3]) + more


def _has_objects(value: list[Any]) -> bool:
    return any(isinstance(each, dict) for each in value)


def _are_lists_of_cells(whole: Item) -> bool:
    return all(isinstance(value, list) and not _has_objects(value) for value in whole.values())


def _row(value: Any, place: str) -> Item:
    if isinstance(value, dict):
        return value
    raise Damaged(f"{place} holds a value of type {type(value).__name__}, not an object; {JSON_FORMS}")


def _parsed(text: str, first_line: int) -> Any:
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise Damaged(f"line {line} is not JSON: {error.msg} at column {error.colno}; {JSON_FORMS}") from error
    except RecursionError as error:
        raise Damaged(f"line {first_line} is nested too deeply; {JSON_FORMS}") from error
    except ValueError as error:
        raise Damaged(f"line {first_line}: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> Item:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"an object has the key {twice(names)!r} twice; name each column once")
    return found


def _csv(path: Path) -> Table:
    """A header and rows; the separator is the one that is most often in the header."""
    text = text_of(path)
    header = text.lstrip().split("\n", 1)[0]
    separator = max(SEPARATORS, key=header.count)
    csv.field_size_limit(sys.maxsize)  # a field may be longer than the module's 131,072 characters
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines: list[list[str]] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if lines and len(cells) != len(lines[0]):
                raise Damaged(
                    f"line {reader.line_num} has {len(cells)} fields, the header {len(lines[0])}; "
                    f"quote a field that holds {separator!r}, a quote or a line break"
                )
            lines.append(cells)
    except csv.Error as error:
        raise Damaged(f"line {reader.line_num} is not CSV: {error}; quote each field as RFC 4180 says") from error
    if len(lines) < 2:
        raise Damaged("it has no rows, only a header; allowed: a file with at least one row")
    return _typed([name.strip() for name in lines[0]], lines[1:])


def _typed(names: list[str], lines: list[list[str]]) -> Table:
    """Columns without a name, as an index has none, are dropped."""
    named = {number: name for number, name in enumerate(names) if name}
    require_distinct(list(named.values()))
    columns = {name: _numbers([cells[number] for cells in lines]) for number, name in named.items()}
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return Table(list(columns), rows)


def _numbers(cells: list[str]) -> list[Any]:
    """A column as numbers where that changes no letter: `007` and `1.50` stay texts."""
    for kind, form in ((int, r"-?\d{1,18}"), (float, r"-?\d{1,12}\.\d{1,17}")):
        if all(re.fullmatch(form, cell, re.ASCII) and str(kind(cell)) == cell for cell in cells):
            return [kind(cell) for cell in cells]
    return cells


DECODER = json.JSONDecoder(object_pairs_hook=_object)
JSON = (".jsonl", ".json", ".ndjson")
READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _csv, ".tsv": _csv,
    ".parquet": lambda path: Table(*binary.parquet(path)), ".arrow": lambda path: Table(*binary.arrow(path)),
}  # fmt: skip
TEXT = (*JSON, ".csv", ".tsv")
