"""The files of a run: named once, and never seen half-written."""

import threading
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.run_folder import files
from grpo_job.run_folder.files import append_jsonl, read_json, read_jsonl, sha256, write_json, write_jsonl, write_text
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
