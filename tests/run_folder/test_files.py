"""The files of a run: named once, and never seen half-written."""

import os
import threading
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.run_folder import files, shapes
from grpo_job.run_folder.files import (
    Damaged,
    append_jsonl,
    read_json,
    read_jsonl,
    sha256,
    write_json,
    write_jsonl,
    write_text,
)
from grpo_job.run_folder.paths import RunFolder


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_files_have_the_names_that_were_promised(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    promised = {
        "settings": "settings.json", "environment": "environment.json", "metrics": "metrics.jsonl",
        "completions": "completions.jsonl", "checkpoints": "checkpoints", "adapter": "adapter",
        "evaluation": "evaluation", "before": "evaluation/before.jsonl", "after": "evaluation/after.jsonl",
        "verdict": "evaluation/evaluation.json", "report": "report.html", "plots": "plots", "summary": "summary.json",
    }  # fmt: skip
    assert {name: str(getattr(folder, name).relative_to(tmp_path)) for name in promised} == promised


def test_naming_a_run_folder_creates_nothing_and_opening_it_does(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "outputs" / "run")
    assert not folder.path.exists()
    assert folder.open().path.is_dir()
    folder.open()


def test_a_run_folder_that_cannot_be_created_is_refused_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file in the way")
    with pytest.raises(InvalidRun, match=r"GRPO_OUTPUT_DIR: the run folder .* cannot be written: Not a directory"):
        RunFolder(tmp_path / "outputs" / "run").open()


def test_what_is_written_is_read_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"näme": [1, 2.5, None]})
    assert read_json(tmp_path / "deep" / "a.json") == {"näme": [1, 2.5, None]}
    assert names(tmp_path / "deep") == ["a.json"]


def test_a_write_that_fails_leaves_the_old_file_and_no_half_of_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "a.txt", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_two_threads_writing_one_file_leave_one_whole_text(tmp_path: Path) -> None:
    texts = [letter * 200_000 for letter in "ab"]
    threads = [threading.Thread(target=write_text, args=(tmp_path / "a.txt", text)) for text in texts * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.txt").read_text() in texts
    assert names(tmp_path) == ["a.txt"]


def test_what_is_not_there_reads_as_empty(tmp_path: Path) -> None:
    assert read_json(tmp_path / "no.json") == {}
    assert read_jsonl(tmp_path / "no.jsonl") == []


def test_lines_are_written_replaced_and_added(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_jsonl(path, [{"step": 1}, {"step": 2}])
    append_jsonl(path, [{"step": 3, "text": "a\nb"}])
    assert read_jsonl(path) == [{"step": 1}, {"step": 2}, {"step": 3, "text": "a\nb"}]
    write_jsonl(path, [{"step": 1}])
    assert path.read_text() == '{"step": 1}\n'


def test_a_last_line_that_was_cut_off_in_writing_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "rew')
    assert read_jsonl(path) == [{"step": 1}]


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


GARBAGE = {
    "garbage": b"\xff\x00\xfe not text", "truncated": b'{"step": 1', "another type": b"[1, 2]", "deep": b"[" * 100_000,
    "a digit too many": b'{"step": ' + b"9" * 5000 + b"}", "UTF-16": '{"step": 1}'.encode("utf-16"), "empty": b"",
    "a value of another type": b'{"step": "1"}', "zeros": bytes(20),
}  # fmt: skip


@pytest.mark.parametrize("kind", GARBAGE)
def test_what_is_damaged_is_refused_with_its_name(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(GARBAGE[kind])
    with pytest.raises(Damaged, match=rf"{path} is damaged \(.*\): restore it or remove it"):
        read_json(path, shapes.Step)
    path.write_bytes(GARBAGE[kind].replace(b"\n", b"") + b"\n")
    if GARBAGE[kind]:
        with pytest.raises(Damaged, match=str(path)):
            read_jsonl(path, shapes.Step)


def test_a_folder_and_a_pipe_in_the_place_of_a_file_are_damage(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    os.mkfifo(tmp_path / "b.json")
    for name in ("a.json", "b.json"):
        with pytest.raises(Damaged, match="it is no file"):
            read_json(tmp_path / name)


@pytest.mark.parametrize(("name", "kind"), [("metrics.jsonl", "file"), ("lease/000001.json", "file")])
def test_a_folder_for_a_file_is_refused_when_the_run_folder_is_opened(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(InvalidRun, match=f"{tmp_path / name} is not a {kind}, but the job keeps one there: move it"):
        RunFolder(tmp_path).open()


@pytest.mark.parametrize("name", ["checkpoints", "adapter", "evaluation", "lease", "checkpoints/step-000001"])
def test_a_file_for_a_folder_is_refused_when_the_run_folder_is_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    with pytest.raises(InvalidRun, match=f"{tmp_path / name} is not a folder, but the job keeps one there: move it"):
        RunFolder(tmp_path).open()


def test_an_ending_whose_code_is_not_that_of_its_kind_is_damage(tmp_path: Path) -> None:
    ending = {"ending": {"code": 0, "kind": "running", "reason": ""}}
    write_json(tmp_path / "summary.json", ending)
    with pytest.raises(Damaged, match="0 is not the code of 'running'"):
        read_json(tmp_path / "summary.json", shapes.Summary)
