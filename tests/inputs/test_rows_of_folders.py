"""Folders of rows: nothing outside them is read, and configurations and revisions are for those that have them."""

import json
import os
from pathlib import Path

import pytest

from tests.inputs.row_files import (
    Build,
    Refused,
    assert_refused,
    cache_of_its_own,
    file,
    given,
    jsonl,
    link,
    load,
    problems,
    readme,
    refusal,
    saved_to_disk,
    two_files,
)

__all__ = ["cache_of_its_own"]


def names_in_readme(pattern: str, form: str = "data_files") -> Build:
    """A folder whose README names this; rows are beside the folder and in it."""

    def build(folder: Path) -> Path:
        jsonl(folder / "secret.jsonl", problems(6))
        jsonl(folder / "rows" / "train.jsonl", problems(6))
        pattern_there = pattern.format(folder=folder)
        return readme(folder / "rows", f"configs:\n- config_name: default\n  {form}: {json.dumps(pattern_there)}\n")

    return build


def linked(name: str, target: str) -> Build:
    """A folder with a link to something beside it."""

    def build(folder: Path) -> Path:
        jsonl(folder / "secret" / "rows.jsonl", problems(6))
        jsonl(folder / "rows" / "other.jsonl", problems(6))
        return link(folder / "rows" / name, folder / "secret" / target).parent

    return build


def saved_with_parts_elsewhere(folder: Path) -> Path:
    saved_to_disk(folder / "secret", problems(6))
    saved = saved_to_disk(folder / "saved", problems(6))
    state = json.loads((saved / "state.json").read_text())
    state["_data_files"] = [{"filename": f"../secret/{each['filename']}"} for each in state["_data_files"]]
    (saved / "state.json").write_text(json.dumps(state))
    return saved


CONFIGS = "configs:\n- config_name: a\n  data_files: a.jsonl\n- config_name: b\n  data_files: b.jsonl\n"


def two_configs(folder: Path) -> Path:
    for name in "ab":
        jsonl(folder / "rows" / f"{name}.jsonl", problems(6))
    return readme(folder / "rows", CONFIGS)


def rows(folder: Path) -> Path:
    return jsonl(folder / "rows.jsonl", problems(6))


OUTSIDE = [
    given(
        "a README's ../",
        names_in_readme("../secret.jsonl"),
        "README names '../secret.jsonl', which is outside the folder",
    ),
    given(
        "a README's path", names_in_readme("{folder}/secret.jsonl"), "secret.jsonl', which is outside the folder; copy"
    ),
    given("a README's address", names_in_readme("https://example.com/r.jsonl"), "which is outside the folder"),
    given("a README's data_dir", names_in_readme("..", "data_dir"), "README names '..', which is outside the folder"),
    given(
        "a README's missing file",
        names_in_readme("no/*.jsonl"),
        "names 'no/*.jsonl', where no file of rows is; allowed",
    ),
    given("a README that is none", names_in_readme("x", "data_files: ["), "it cannot be read"),
    given(
        "a link to a file",
        linked("train.jsonl", "rows.jsonl"),
        "train.jsonl leads out of the folder; copy the file into it",
    ),
    given("a link to a folder", linked("train", ""), "train leads out of the folder"),
    given("a README's number", names_in_readme("5"), "README names '5', where no file of rows is"),
    given("parts of save_to_disk", saved_with_parts_elsewhere, "leads out of the folder"),
]

SETTINGS = [
    given(
        "a file has no configuration",
        rows,
        "GRPO_DATASET_CONFIG: 'main' was given; only a folder or",
        dataset_config="main",
    ),
    given(
        "nor has the sample", lambda f: "sample", "GRPO_DATASET_CONFIG: 'main' was given; only", dataset_config="main"
    ),
    given(
        "a file has no revision",
        rows,
        "GRPO_DATASET_REVISION: 'v1' was given; only a dataset on the Hub",
        dataset_revision="v1",
    ),
    given(
        "nor has a folder",
        two_configs,
        "GRPO_DATASET_REVISION: 'v1' was given",
        dataset_revision="v1",
        dataset_config="a",
    ),
    given(
        "nor have held-out files",
        rows,
        "GRPO_EVAL_DATASET_CONFIG: 'a' was given",
        eval_dataset="sample",
        eval_dataset_config="a",
    ),
    given("a configuration must be named", two_configs, "GRPO_DATASET_CONFIG: None was given", "allowed: a, b"),
    given("by its name", two_configs, "no such configuration; allowed: a, b", dataset_config="c"),
    given("without a README", two_files, "its README names no `configs`; unset it", dataset_config="c"),
    given(
        "of save_to_disk",
        lambda f: saved_to_disk(f / "s", problems(6)),
        "has no configurations; unset it",
        dataset_config="c",
    ),
    given("a split that is not there", two_configs, "has the splits train", dataset_config="a", dataset_split="dev"),
]


def two_patterns(folder: Path) -> Path:
    jsonl(folder / "rows" / "mine.jsonl", problems(6))
    return readme(folder / "rows", "configs:\n- config_name: 5\n  data_files: ['*.jsonl', mine.jsonl]")


def test_a_file_that_two_patterns_name_is_read_once(tmp_path: Path) -> None:
    rows = load(two_patterns(tmp_path), dataset_config="5")
    assert rows.train_counts.read + rows.held_out_counts.read == 6


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    jsonl(tmp_path / "rows" / "mine.jsonl", problems(6))
    os.mkfifo(tmp_path / "rows" / "pipe.jsonl")
    assert len(load(tmp_path / "rows").train) == 5
    assert "it is a device or a pipe; allowed: a file or a folder" in refusal(tmp_path / "rows" / "pipe.jsonl")


def test_the_state_of_a_trainer_is_not_taken_for_that_of_rows(tmp_path: Path) -> None:
    jsonl(tmp_path / "rows" / "mine.jsonl", problems(6))
    file(tmp_path / "rows" / "state.json", b"{}")
    assert len(load(tmp_path / "rows").train) == 5


CASES = [*OUTSIDE, *SETTINGS]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_it_is_refused_with_the_cure(case: Refused, tmp_path: Path) -> None:
    assert_refused(case, tmp_path)
