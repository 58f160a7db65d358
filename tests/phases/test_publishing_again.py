"""`grpo-job publish` of a run that was published before, of one's own, and of a stranger's."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from grpo_job.outcomes import FINISHED, InvalidRun, PublishFailed
from grpo_job.phases import publish
from grpo_job.phases.publish import PUBLISHED_SINCE, _ending_now
from grpo_job.run_folder.files import read_json, write_json
from tests.servers.trained_run import make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = make_run(tmp_path / "runs" / "run")
    settings = read_json(run / "settings.json")
    settings["settings"]["publish_to"] = [f"file://{tmp_path}/tree"]
    write_json(run / "settings.json", settings)
    return run


@pytest.mark.parametrize("said", ["environment", "file", "--set"])
def test_the_output_folder_may_be_given_in_every_way_in_which_a_run_takes_it(
    said: str, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "job.yaml").write_text(f"output_dir: {run.parent}\nno_such_setting: 1\n")
    environment = {
        "environment": {"GRPO_OUTPUT_DIR": str(run.parent)},
        "file": {"GRPO_CONFIG": str(tmp_path / "job.yaml")},
        "--set": {"GRPO_OUTPUT_DIR": str(tmp_path / "elsewhere")},
    }[said]
    assignments = (f"output-dir={run.parent}",) if said == "--set" else ()
    assert publish.publish_again(run, (), environment, assignments).code == 0
    assert (tmp_path / "tree" / "manifest.json").is_file()


def test_a_finished_run_that_is_published_again_is_finished_and_the_same_tree(run: Path, tmp_path: Path) -> None:
    own = {"GRPO_OUTPUT_DIR": str(run.parent)}
    publish.publish_again(run, (), own)
    told, manifest = read_json(run / "summary.json"), (tmp_path / "tree" / "manifest.json").read_bytes()
    assert told["ending"] == FINISHED._asdict()
    assert [place["uri"] for place in told["published"]] == [f"file://{tmp_path}/tree"]
    publish.publish_again(run, (), own)
    assert read_json(run / "summary.json") == told
    assert (tmp_path / "tree" / "manifest.json").read_bytes() == manifest


def test_a_further_destination_is_listed_beside_the_earlier_ones_also_where_another_fails(
    run: Path, tmp_path: Path
) -> None:
    own, (tree, backup, again) = (
        {"GRPO_OUTPUT_DIR": str(run.parent)},
        (f"file://{tmp_path}/{n}" for n in ("tree", "b", "c")),
    )
    publish.publish_again(run, (), own)
    publish.publish_again(run, (backup,), own)
    assert [place["uri"] for place in read_json(run / "summary.json")["published"]] == [tree, backup]
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PublishFailed, match="file"):
        publish.publish_again(run, (again, f"file://{tmp_path}/file/x"), own)
    assert [place["uri"] for place in read_json(run / "summary.json")["published"]] == [tree, backup, again]


@pytest.mark.parametrize("odd", ["nowhere", "gs://bucket", "hf://owner", "s3://me:word@bucket", "file://", ""])
def test_what_is_no_address_is_refused_before_anything_is_sent(odd: str, run: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match=r"^--to: '.*' was given; allowed: hf://owner/name\[@branch\], ") as refused:
        publish.publish_again(run, (f"file://{tmp_path}/tree", odd), {"GRPO_OUTPUT_DIR": str(run.parent)})
    assert repr(odd) in str(refused.value)
    assert not (tmp_path / "tree").exists()


def test_a_variable_that_no_client_can_use_is_refused_before_anything_is_sent(run: Path, tmp_path: Path) -> None:
    wanted = (f"file://{tmp_path}/tree", "s3://bucket/models")
    with pytest.raises(InvalidRun, match="AWS_ENDPOINT_URL_S3"):
        publish.publish_again(
            run, wanted, {"GRPO_OUTPUT_DIR": str(run.parent), "AWS_ENDPOINT_URL_S3": "not an address"}
        )
    assert not (tmp_path / "tree").exists()


def test_a_run_on_a_read_only_disk_is_published_and_says_what_it_could_not_note(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path, value: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(publish, "write_json", read_only)
    ended = publish.publish_again(run, (f"file://{tmp_path}/tree",), {"GRPO_OUTPUT_DIR": str(run.parent)})
    assert (ended.code, (tmp_path / "tree" / "manifest.json").is_file()) == (0, True)
    assert ended.reason.endswith("summary.json does not say so, because it cannot be written: Read-only file system")


@pytest.mark.parametrize(
    ("summary", "code", "reason"),
    [
        ({}, 0, FINISHED.reason),
        ({"ending": {"code": 3, "kind": "unpublished", "reason": "the Hub was down"}}, 0, FINISHED.reason),
        ({"ending": {"code": 3}, "stopped": "the budget is spent"}, 0, f"{FINISHED.reason}; the budget is spent"),
        ({"ending": {"code": 4, "kind": "hopeless", "reason": "NaN"}}, 4, f"NaN{PUBLISHED_SINCE}"),
        ({"ending": {"code": 4, "kind": "hopeless", "reason": f"NaN{PUBLISHED_SINCE}"}}, 4, f"NaN{PUBLISHED_SINCE}"),
    ],
)
def test_how_a_run_ended_stays_true_after_it_is_published(summary: dict[str, Any], code: int, reason: str) -> None:
    ending = _ending_now(summary)
    assert (ending["code"], ending["reason"]) == (code, reason)


CONFIGS = {
    "adapter_config.json": {"auto_mapping": {"base_model_class": "X", "parent_library": "evil"}},
    "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["tok.Evil", None]}},
    "preprocessor_config.json": {"auto_map": {"AutoProcessor": "owner/repo--code.Evil"}},
    "generation_config.json": {"auto_map": {"AutoModel": "x.Y"}},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_strangers_adapter_that_names_code_is_not_published(name: str, run: Path, tmp_path: Path) -> None:
    path = run / "adapter" / name
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**known, **CONFIGS[name]}))
    with pytest.raises(InvalidRun, match=rf"{name} names code \(auto_map"):
        publish.publish_again(run, (f"file://{tmp_path}/mine",), {"GRPO_OUTPUT_DIR": str(tmp_path / "elsewhere")})
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", ["handler.py", "x.PT", "model.ckpt", "a.npy", "archive.tar.gz", "MODEL.BIN", "run"])
def test_what_no_run_writes_beside_an_adapter_is_not_published(name: str, run: Path, tmp_path: Path) -> None:
    for folder in ("adapter", "evaluation", "plots", "adapter/inner"):
        (run / folder).mkdir(exist_ok=True)
        (run / folder / name).write_text("import os\n")
    (run / "adapter" / "additional_chat_templates").mkdir()
    (run / "adapter" / "additional_chat_templates" / "tools.jinja").write_text("{{ messages }}")
    publish.publish_again(run, (), {"GRPO_OUTPUT_DIR": str(run.parent)})
    there = [path.name for path in (tmp_path / "tree").rglob("*") if path.is_file()]
    assert name not in there
    assert "tools.jinja" in there


def test_a_private_file_under_a_second_name_is_not_published(run: Path, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("private")
    (run / "adapter" / "vocab.txt").hardlink_to(tmp_path / "private")
    with pytest.raises(InvalidRun, match=r"vocab\.txt is a hard link"):
        publish.publish_again(run, (f"file://{tmp_path}/mine",), {"GRPO_OUTPUT_DIR": str(tmp_path / "elsewhere")})


def test_publishing_says_where_it_arrived_also_if_another_destination_failed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    here, fails = f"file://{tmp_path}/here", f"file://{tmp_path}/file/below"
    assert publish.publish_again(run, (here,), {}).reason.startswith(f"published and verified: {here} at ")
    with pytest.raises(PublishFailed, match=f"{fails} .*; published and verified: {here} at "):
        publish.publish_again(run, (here, fails), {})
