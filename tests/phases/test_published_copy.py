"""A published tree may come from anybody: digests are checked, and libraries see nothing but an adapter."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.phases import published_copy
from grpo_job.phases.published_copy import Copy
from grpo_job.run_folder.files import read_json, sha256, write_json
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.stores.trees import MANIFEST, manifest_of
from tests.phases.test_reevaluate import adapter_in, told

CONFIG = "adapter_config.json"


def tree_in(folder: Path, *, change: Callable[[Path], object] = lambda tree: None, **config: Any) -> Path:
    """A published tree without a fault, but for the change; its manifest is made after it."""
    adapter_in(folder, **{"r": 4, "target_modules": ["q_proj", "v_proj"], **config})
    told(folder / "run", lora_rank=4, lora_alpha=16, lora_target_modules=("q_proj", "v_proj"))
    write_json(folder / "run" / "environment.json", {"model": {"name": "someone/base", "commit": "abc"}})
    write_json(folder / "run" / "summary.json", {"adapter": {"sha256": sha256(folder / WEIGHTS)}})
    change(folder)
    (folder / MANIFEST).write_bytes(manifest_of(folder, run_id="run"))
    return folder


def fetched(tree: Path, scratch: Path) -> Copy:
    scratch.mkdir()
    return published_copy.fetch(f"file://{tree}", scratch, {})


def test_a_whole_tree_has_no_fault(tmp_path: Path) -> None:
    copy = fetched(tree_in(tmp_path / "tree"), tmp_path / "scratch")
    assert copy.faults == []
    assert published_copy.base_name(copy, None) == ("someone/base", "abc")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda tree: (tree / WEIGHTS).unlink(), f"{WEIGHTS} is missing"),
        (lambda tree: (tree / WEIGHTS).write_bytes(b"short"), f"{WEIGHTS} has 5 bytes, not the "),
        (lambda tree: (tree / MANIFEST).unlink(), f"there is no {MANIFEST}"),
        (lambda tree: (tree / MANIFEST).write_text("[]"), f"{MANIFEST} is not as the job writes it"),
        (lambda tree: write_json(tree / MANIFEST, {"files": {}}), f"{MANIFEST} does not name {WEIGHTS}"),
        (
            lambda tree: write_json(tree / MANIFEST, {"files": {"../../etc/passwd": {"sha256": "", "size": 1}}}),
            "../../etc/passwd is missing",
        ),
    ],
)
def test_a_file_that_is_not_as_the_manifest_has_it_is_named(
    change: Callable[[Path], object], fault: str, tmp_path: Path
) -> None:
    tree = tree_in(tmp_path / "tree")
    change(tree)
    copy = fetched(tree, tmp_path / "scratch")
    assert copy.faults[0].startswith(fault)
    assert copy.config == {}


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"lora_alpha": 8}, "lora_alpha is 8, but the run trained with 16"),
        ({"r": 8}, "r is 8, but the run trained with 4"),
        ({"target_modules": ["q_proj"]}, "but the run trained with"),
        ({"target_modules": "(a+)+b"}, "target_modules is '(a+)+b'; allowed: a list of names"),
        ({"revision": "def"}, 'revision is "def", but the run trained "abc"'),
        ({"base_model_name_or_path": "other/base"}, 'is "other/base", but the run trained "someone/base"'),
        ({"use_dora": True}, "only plain LoRA adapters are used; this one has use_dora"),
    ],
)
def test_another_configuration_than_the_run_recorded_is_a_fault(
    config: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    copy = fetched(tree_in(tmp_path / "tree", **config), tmp_path / "scratch")
    assert fault in "\n".join(copy.faults)


def test_weights_of_another_run_are_a_fault(tmp_path: Path) -> None:
    def other(tree: Path) -> None:
        write_json(tree / "run" / "summary.json", {"adapter": {"sha256": "0" * 64}})

    copy = fetched(tree_in(tmp_path / "tree", change=other), tmp_path / "scratch")
    assert copy.faults == [f"{WEIGHTS} is not the adapter of this run: its summary has another SHA-256"]


@pytest.mark.parametrize("content", ["[]", '{"adapter": 3}', '{"adapter": {"sha256": "x"}, "steps": "y"}'])
def test_records_of_another_shape_are_a_fault(content: str, tmp_path: Path) -> None:
    def odd(tree: Path) -> None:
        (tree / "run" / "summary.json").write_text(content)

    assert fetched(tree_in(tmp_path / "tree", change=odd), tmp_path / "scratch").faults


def test_libraries_see_weights_plain_configuration_and_tokenizer_alone(tmp_path: Path) -> None:
    def more(tree: Path) -> None:
        for name in ("adapter_model.bin", "modeling.py", "other.safetensors", "tokenizer.json", "chat_template.jinja"):
            (tree / name).write_text("{}")

    importing = {"auto_mapping": {"parent_library": "os"}, "megatron_core": "evil", "megatron_config": {"a": 1}}
    tree = tree_in(tmp_path / "tree", change=more, init_lora_weights="pissa", **importing)
    (tree / "added_tokens.json").write_text("{}")  # which the manifest does not name
    adapter = fetched(tree, tmp_path / "scratch").adapter
    assert {path.name for path in adapter.iterdir()} == {CONFIG, WEIGHTS, "tokenizer.json", "chat_template.jinja"}
    loaded = read_json(adapter / CONFIG)
    assert not importing.keys() & loaded.keys()
    assert loaded["init_lora_weights"] is True
    assert json.loads((tree / CONFIG).read_text())["megatron_core"] == "evil"


def test_links_out_of_a_tree_are_refused(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("mine")
    (scratch := tmp_path / "scratch").mkdir()
    tree = tree_in(tmp_path / "tree", change=lambda tree: (tree / "notes.txt").symlink_to(tmp_path / "private"))
    with pytest.raises(InvalidRun, match=r"notes\.txt leads out of the folder"):
        published_copy.fetch(str(tree), scratch, {})


def test_a_folder_that_is_not_there_is_named_with_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match=r"my-run: there is no such folder; allowed: a run's folder, .* its address"):
        published_copy.fetch("my-run", tmp_path, {})


@pytest.mark.parametrize("base", ["/srv/model", "../model", "a/b/c", None])
def test_a_base_that_is_no_hub_id_is_given_by_the_caller(base: str | None, tmp_path: Path) -> None:
    copy = fetched(tree_in(tmp_path / "tree", base_model_name_or_path=base), tmp_path / "scratch")
    with pytest.raises(InvalidRun, match="GRPO_MODEL: .*never taken from a folder"):  # noqa: RUF043
        published_copy.base_name(copy, None)
    assert published_copy.base_name(copy, "/my/model") == ("/my/model", None)
