"""A table of row files and folders as people have them: each gives the right prompts and golds, letter by letter."""

import bz2
import gzip
import json
import lzma
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from grpo_job.inputs import files
from tests.inputs.row_files import (
    Row,
    arrow,
    arrow_file,
    as_csv,
    cache_of_its_own,
    file,
    jsonl,
    link,
    load,
    parquet,
    problems,
    readme,
    saved_to_disk,
    zstd,
)

__all__ = ["cache_of_its_own"]

# Letters that readers like to change: quotes, separators, line breaks, other scripts, leading and trailing zeros.
TEXTS = [
    ("What is 2 + 2?", "4"),
    ('Say "hi"; then add 1, 2 | 3.', "1,000"),
    ("Zwei Zeilen:\n3 + 4 = ?", "7"),
    ("Größe ½ of 😀 – naïve? 東京", "ja"),
    ("Which agent\u2028came?", "007"),
    ("\\frac{1}{2} + 0.50 =\t?", "1.00"),
]
ROWS: list[Row] = [{"question": question, "answer": answer} for question, answer in TEXTS]
FEW, MORE = ROWS[:3], ROWS[3:]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
LIST = json.dumps(ROWS, ensure_ascii=False, indent=2)
PARTS = {"train": ROWS, "test": problems(3, first=90)}


class Case(NamedTuple):
    """What is built in a folder and given to GRPO_DATASET, with further settings."""

    name: str
    build: Callable[[Path], Path]
    settings: Mapping[str, Any] = {}


def written(name: str, text: str, encoding: str = "utf-8") -> Case:
    return Case(f"{name} in {encoding}", lambda folder: file(folder / name, text.encode(encoding)))


def packed(name: str, pack: Callable[[bytes], bytes], text: str = LINES) -> Case:
    return Case(name, lambda folder: file(folder / name, pack(text.encode())))


def commas(folder: Path, name: str, pack: Callable[[bytes], bytes], **how: Any) -> Path:
    return file(folder / name, pack(as_csv(folder / "scratch", ROWS, **how).read_bytes()))


def parts(folder: Path, form: str, write: Callable[[Path, list[Row]], Path] = jsonl) -> Path:
    """A file for each split, named by `form`."""
    for split, rows in PARTS.items():
        write(folder / "rows" / form.format(split), rows)
    return folder / "rows"


def configured(folder: Path, header: str, name: str = "rows") -> Path:
    """Two configurations' files, and a README that says which they are."""
    jsonl(folder / name / "ours" / "a.jsonl", FEW)
    jsonl(folder / name / "ours" / "b.jsonl", MORE)
    jsonl(folder / name / "theirs.jsonl", problems(5))
    return readme(folder / name, header)


CONFIGS = """
configs:
- config_name: ours
  data_files:
  - split: train
    path: ours/*.jsonl
- config_name: theirs
  data_files: theirs.jsonl
"""


def noisy(folder: Path) -> Path:
    """Beside the rows what lies around: licence, notes, settings, hidden files."""
    for name in ("README.md", "LICENSE.txt", "notes.txt", "config.json", ".rows.jsonl.swp", ".cache/old.jsonl"):
        file(folder / "rows" / name, b"none of it is rows")
    return jsonl(folder / "rows" / "mine.jsonl", ROWS).parent


def config_map(folder: Path) -> Path:
    """As Kubernetes mounts one: the file is a link into a hidden folder beside it."""
    jsonl(folder / "rows" / "..2026" / "train.jsonl", ROWS)
    link(folder / "rows" / "..data", folder / "rows" / "..2026")
    return link(folder / "rows" / "train.jsonl", Path("..data/train.jsonl")).parent


def hub_cache(folder: Path) -> Path:
    """A snapshot in the Hub's cache: its files are links to blobs beside it."""
    blob = jsonl(folder / "datasets--me--rows" / "blobs" / "0123", ROWS)
    return link(folder / "datasets--me--rows" / "snapshots" / "89ab" / "train.jsonl", blob).parent


def moved(folder: Path) -> Path:
    """The data file of another folder, given by a link of one's own."""
    return link(folder / "link.jsonl", jsonl(folder / "elsewhere" / "rows.jsonl", ROWS))


TAKEN = [
    written("rows.jsonl", LINES),
    written("blank lines.jsonl", "\n" + LINES.replace("}\n", "}\n\n  \n")),
    written("windows.jsonl", LINES.replace("}\n", "}\r\n")),
    written("no last line end.jsonl", LINES.rstrip("\n")),
    written("rows.ndjson", LINES),
    written("list.json", json.dumps(ROWS)),
    written("pretty list.json", LIST),
    written("list inside.json", json.dumps({"version": 1, "tags": ["a"], "data": ROWS})),
    written("pretty list inside.json", f'{{"rows": {LIST}}}'),
    written("lines named as a list.json", LINES),
    written("a list named as lines.jsonl", LIST),
    Case("csv", lambda folder: as_csv(folder / "rows.csv", ROWS)),
    Case("csv with semicolons", lambda folder: as_csv(folder / "rows.csv", ROWS, delimiter=";")),
    Case("csv with tabs", lambda folder: as_csv(folder / "rows.csv", ROWS, delimiter="\t")),
    Case("csv with bars", lambda folder: as_csv(folder / "rows.csv", ROWS, delimiter="|")),
    Case("csv all quoted", lambda folder: as_csv(folder / "rows.csv", ROWS, quoting=1)),
    Case("csv with unix line ends", lambda folder: as_csv(folder / "rows.csv", ROWS, lineterminator="\n")),
    Case("csv with blank lines", lambda folder: as_csv(folder / "rows.csv", ROWS, lineterminator="\r\n\r\n")),
    Case(
        "csv with an index", lambda folder: as_csv(folder / "rows.csv", [{"": n, **row} for n, row in enumerate(ROWS)])
    ),
    Case("tsv", lambda folder: as_csv(folder / "rows.tsv", ROWS, delimiter="\t")),
    Case("parquet", lambda folder: parquet(folder / "rows.parquet", ROWS)),
    Case("arrow stream", lambda folder: arrow(folder / "rows.arrow", ROWS)),
    Case("arrow file", lambda folder: arrow_file(folder / "rows.arrow", ROWS)),
    # compressed, whatever the name says
    packed("rows.jsonl.gz", gzip.compress),
    packed("rows.json.gz", gzip.compress, LIST),
    packed("rows.jsonl.zst", zstd),
    packed("rows.json.zst", zstd, LIST),
    packed("rows.jsonl.bz2", bz2.compress),
    packed("rows.jsonl.xz", lzma.compress),
    packed("gzip without its name.jsonl", gzip.compress),
    packed("gzip by its name only.jsonl.gz", bytes),
    Case("csv.gz", lambda folder: commas(folder, "rows.csv.gz", gzip.compress)),
    Case("csv.zst", lambda folder: commas(folder, "rows.csv.zst", zstd)),
    Case("tsv.gz", lambda folder: commas(folder, "rows.tsv.gz", gzip.compress, delimiter="\t")),
    packed("utf-16 in gzip.jsonl.gz", lambda text: gzip.compress(text.decode().encode("utf-16"))),
    # encodings
    *(written("rows.jsonl", LINES, name) for name in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")),
    written("rows.json", LIST, "utf-8-sig"),
    Case("csv with a mark", lambda folder: as_csv(folder / "rows.csv", ROWS, encoding="utf-8-sig")),
    Case("csv in utf-16", lambda folder: as_csv(folder / "rows.csv", ROWS, encoding="utf-16")),
    # names
    *(
        Case(f"named {name}", lambda folder, name=name: jsonl(folder / name, ROWS))  # type: ignore[misc]
        for name in ("rows [v1].jsonl", "rows*.jsonl", "my rows?.jsonl", "données.jsonl", "ROWS.JSONL", "a.b{c}.jsonl")
    ),
    Case("parquet with brackets", lambda folder: parquet(folder / "rows[1].parquet", ROWS)),
    Case("a folder with brackets", lambda folder: parts(folder / "my [old] * data", "{}.jsonl")),
    Case("files with brackets", lambda folder: parts(folder, "{}.v[1].jsonl")),
    # folders
    Case("train and test by name", lambda folder: parts(folder, "{}.jsonl")),
    Case("by name and number", lambda folder: parts(folder, "mine_{}-1.csv", as_csv)),
    Case("by folder", lambda folder: parts(folder, "{}/rows.jsonl")),
    Case("by shard", lambda folder: parts(folder, "data/{}-00000-of-00001.parquet", parquet)),
    Case(
        "of two formats",
        lambda folder: as_csv(jsonl(folder / "r" / "train.jsonl", ROWS).with_name("test.csv"), ROWS).parent,
    ),
    Case(
        "one split of two files",
        lambda folder: as_csv(jsonl(folder / "r" / "a.jsonl", FEW).with_name("b.csv"), MORE).parent,
    ),
    Case("among other files", noisy),
    Case("a ConfigMap", config_map),
    Case("a snapshot in the Hub's cache", hub_cache),
    Case("a link to a file", moved),
    Case("a README with two configurations", lambda folder: configured(folder, CONFIGS), {"dataset_config": "ours"}),
    Case("a default one", lambda folder: configured(folder, CONFIGS.replace("ours\n", "default\n", 1))),
    Case("marked default", lambda folder: configured(folder, CONFIGS.replace("ours\n", "ours\n  default: true\n", 1))),
    Case("a data_dir", lambda folder: configured(folder, "configs:\n- config_name: all\n  data_dir: ours\n", "x [1]")),
    Case("a pattern", lambda folder: configured(folder, "configs:\n- config_name: a\n  data_files: 'ours/**'\n")),
    Case("save_to_disk", lambda folder: saved_to_disk(folder / "saved [1]", ROWS)),
    Case("save_to_disk of splits", lambda folder: saved_to_disk(folder / "saved", PARTS)),
]


@pytest.mark.parametrize("case", TAKEN, ids=[case.name for case in TAKEN])
def test_every_form_gives_the_same_prompts_and_golds(case: Case, tmp_path: Path) -> None:
    held_out = jsonl(tmp_path / "held out.jsonl", problems(3, first=90))
    rows = load(case.build(tmp_path), eval_dataset=str(held_out), **case.settings)
    assert [(row["prompt"][0]["content"], row["answers"]) for row in rows.train] == [(q, [a]) for q, a in TEXTS]
    assert all(len(row["prompt"]) == 1 for row in rows.train)


def test_a_column_of_a_csv_that_nobody_reads_as_text_keeps_its_numbers(tmp_path: Path) -> None:
    table = [{"question": f"q{n}", "answer": n, "level": n, "share": n + 0.5, "zip": f"0{n}"} for n in range(4)]
    rows = load(as_csv(tmp_path / "rows.csv", table), eval_rows=1)
    columns = json.loads(rows.train[0]["columns"])
    assert [type(columns[name]) for name in ("level", "share", "zip")] == [int, float, str]


def test_a_split_that_nobody_asked_for_is_not_read(tmp_path: Path) -> None:
    folder = parts(tmp_path, "{}.jsonl")
    (folder / "validation.jsonl").write_text("no rows")
    assert len(load(folder).train) == len(ROWS)


def test_a_copy_elsewhere_has_the_same_digest_and_an_edited_one_another(tmp_path: Path) -> None:
    folder = parts(tmp_path, "{}.jsonl")
    first = load(folder)
    copy = load(shutil.copytree(folder, tmp_path / "copy"))
    as_csv(folder / "test.csv", problems(3, first=95))
    (folder / "test.jsonl").unlink()
    other_held_out = load(folder)
    jsonl(folder / "train.jsonl", [*ROWS[:-1], ROWS[-1] | {"answer": "2"}])
    assert first.digest == copy.digest == other_held_out.digest != load(folder).digest


def test_rows_that_are_left_out_do_not_change_the_digest(tmp_path: Path) -> None:
    folder = parts(tmp_path, "{}.jsonl")
    first = load(folder)
    left_out = [
        {"question": "", "answer": "1"},
        {"question": "no gold", "answer": None},
        {"question": "x " * 300, "answer": "1"},
    ]
    jsonl(folder / "train.jsonl", [*ROWS, ROWS[0], *left_out])
    assert load(folder).digest == first.digest


def test_the_page_names_every_form(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rows.md").read_text()
    for suffix in (*files.JSON, *files.READERS, *files.COMPRESSED):
        assert f"`{suffix}`" in page
