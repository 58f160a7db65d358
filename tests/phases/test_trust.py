"""A run's folder may come from anybody: nothing in it is run, followed or written through."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grpo_job import reports
from grpo_job.outcomes import InvalidRun
from grpo_job.phases import publish, published_tree, trust
from grpo_job.phases.reevaluate import find, reevaluate, settings_for
from grpo_job.run_folder.files import write_json
from grpo_job.run_folder.paths import RunFolder
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings
from tests.phases.test_reevaluate import adapter_in, told

GRADER = "from pathlib import Path\nPath({!r}).write_text('ran')\ndef grade(completion, answer): return 1.0\n"


def downloaded(folder: Path, **settings: Any) -> Path:
    """A published tree whose settings say this."""
    adapter_in(folder, base_model_name_or_path=None)
    told(folder / "run", **{"model": "someone/base", **settings})
    return folder


def asked(tree: Path, **said: str) -> Settings:
    return settings_for(find(tree), resolve(said))


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"rewards": [["grader.grade", 1.0]]}, "GRPO_REWARDS"),
        ({"rewards": [["correct", 1.0], ["./grader.py::grade", 1.0]]}, "GRPO_REWARDS"),
        ({"rewards": [["os.system", 1.0]], "reward_path": "."}, "GRPO_REWARDS"),
        ({"rewards": "grader.grade"}, "GRPO_REWARDS"),
        ({"measure": "./grader.py::grade"}, "GRPO_MEASURE"),
        ({"measure": "grader.grade"}, "GRPO_MEASURE"),
        ({"reward_options": {"judge": {"url": "http://example.com/v1"}}}, "GRPO_REWARD_OPTIONS"),
        ({"model": "/srv/model"}, "GRPO_MODEL"),
        ({"model": "../model"}, "GRPO_MODEL"),
        ({"model": "~/model"}, "GRPO_MODEL"),
        ({"model": "dl/base"}, "GRPO_MODEL"),
        ({"model": "a/b/c"}, "GRPO_MODEL"),
        ({"model": "owner/.."}, "GRPO_MODEL"),
        ({"model": ["sample"]}, "GRPO_MODEL"),
        ({"model_revision": "../../main"}, "GRPO_MODEL_REVISION"),
        ({"dataset": "s3://bucket/rows"}, "GRPO_DATASET"),
        ({"dataset": "rows.jsonl"}, "GRPO_DATASET"),
        ({"eval_dataset": "/etc"}, "GRPO_EVAL_DATASET"),
        ({"chat_template": "template.jinja"}, "GRPO_CHAT_TEMPLATE"),
        ({"example": "/etc/passwd"}, "GRPO_EXAMPLE"),
        ({"example": "rows.jsonl"}, "GRPO_EXAMPLE"),
        ({"system_prompt": "~/.netrc"}, "GRPO_SYSTEM_PROMPT"),
        ({"system_prompt": "rows.jsonl"}, "GRPO_SYSTEM_PROMPT"),
    ],
)
def test_code_and_paths_of_a_tree_are_refused_by_name(
    settings: dict[str, Any], variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tree = downloaded(tmp_path / "dl")
    (tree / "base").mkdir()
    (tmp_path / "rows.jsonl").touch()
    told_by_it = json.loads((tree / "run" / "settings.json").read_text())
    told_by_it["settings"] |= settings
    write_json(tree / "run" / "settings.json", told_by_it)
    with pytest.raises(InvalidRun, match=f"^{variable}: dl/run/settings.json names .*; set {variable} yourself"):
        asked(Path("dl"))


def test_the_base_of_an_adapter_is_no_folder_either(tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match=r"^GRPO_MODEL: .*adapter_config\.json names '/srv/base', a place"):
        asked(adapter_in(tmp_path, base_model_name_or_path="/srv/base"), GRPO_RECIPE="smoke")


def test_the_example_that_a_summary_tells_is_no_file(tmp_path: Path) -> None:
    tree = downloaded(tmp_path / "dl", example="auto")
    write_json(tree / "run" / "summary.json", {"example": {"text": "/etc/passwd"}})
    with pytest.raises(InvalidRun, match=r"^GRPO_EXAMPLE: "):
        asked(tree)


def test_what_the_caller_names_is_used_and_places_are_never_the_trees(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def brief(completion): return 1.0\n")
    tree = downloaded(
        tmp_path / "dl", rewards=(("grader.grade", 1.0),), reward_path="dl", reward_options={"grade": {"a": 1}},
        cache_dir="/srv", termination_log="/srv/log", dataset="rows.jsonl", metrics_port=2000,
    )  # fmt: skip
    said = {"GRPO_REWARDS": f"{tmp_path}/mine.py::brief", "GRPO_DATASET": "sample"}
    settings = asked(tree, **said)
    assert settings.rewards == ((f"{tmp_path}/mine.py::brief", 1.0),)
    assert (settings.reward_path, settings.reward_options, settings.metrics_port) == (None, {}, None)
    assert (settings.cache_dir, settings.termination_log) == ("~/.cache/grpo-job", "/dev/termination-log")


def test_menu_rewards_and_hub_ids_are_taken(tmp_path: Path) -> None:
    tree = downloaded(tmp_path / "dl", rewards=(("correct", 2.0), ("format_tags", 0.5)), dataset="openai/gsm8k")
    settings = asked(tree)
    assert settings.rewards == (("correct", 2.0), ("format_tags", 0.5))
    assert (settings.dataset, settings.model) == ("openai/gsm8k", "someone/base")


def test_every_setting_that_is_a_text_is_decided_on() -> None:
    """A new one is asked for here: can it name a file, an address or code?"""
    harmless = {
        "recipe", "engine", "dataset_config", "dataset_split", "eval_dataset_config", "eval_split", "prompt_column",
        "answer_column", "solution_column", "lr_scheduler_type", "optim",
    }  # fmt: skip
    decided = {*trust.NEVER, *trust.REPOSITORIES, *trust.REVISIONS, *trust.TEXTS, "chat_template", "measure"}
    texts = {
        name
        for name, field in Settings.model_fields.items()
        if "str" in str(field.annotation) and "Literal" not in str(field.annotation)
    }
    structured = {"rewards", "reward_options", "grpo_config", "lora_target_modules"}
    assert texts - structured - harmless <= decided


@pytest.mark.parametrize("value", [{"lora_alpha": "x"}, {"lora_alpha": None}, {"lora_alpha": [10**400]}])
def test_what_is_no_setting_is_refused(value: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match=r"lora_alpha is .*; allowed: a whole number"):
        asked(adapter_in(tmp_path, **value), GRPO_RECIPE="smoke")


def test_a_text_that_no_file_system_takes_for_a_name_is_a_text(tmp_path: Path) -> None:
    told = {"system_prompt": "é" * 1000, "example": "a" * 300}
    trust.refuse_code_and_paths(told, tmp_path)


def test_records_are_not_written_through_a_link_of_the_tree(tmp_path: Path) -> None:
    adapter_in(tmp_path / "dl" / "adapter")
    (tmp_path / "private").mkdir()
    (tmp_path / "dl" / "adapter-evaluation").symlink_to(tmp_path / "private")
    with pytest.raises(InvalidRun, match=r"^--output: .* is a link"):
        reevaluate(tmp_path / "dl" / "adapter", None, resolve({}), {})


def test_settings_beside_an_adapter_are_not_read_through_a_link(tmp_path: Path) -> None:
    adapter_in(tmp_path / "dl" / "adapter")
    write_json(tmp_path / "private.json", {"settings": {}})
    (tmp_path / "dl" / "settings.json").symlink_to(tmp_path / "private.json")
    with pytest.raises(InvalidRun, match=r"settings\.json leads elsewhere by a link"):
        find(tmp_path / "dl" / "adapter")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a trained run, and beside it a private file."""
    folder = tmp_path / "outputs" / "run"
    adapter_in(folder / "adapter")
    told(folder, publish_to=(f"file://{tmp_path}/tree",))
    write_json(folder / "summary.json", {"run_id": "run"})
    (tmp_path / "private").write_text("a secret")
    return folder


@pytest.mark.parametrize("name", ["adapter/vocab.txt", "plots/accuracy.png", "report.html", "checkpoints"])
def test_a_folder_that_links_out_of_itself_is_refused(name: str, run: Path, tmp_path: Path) -> None:
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).symlink_to("../" * (name.count("/") + 2) + "private")
    told = rf"{name} leads out of the folder; remove it"
    for act in (
        lambda: reports.build([run]),
        lambda: published_tree.gather(run, tmp_path / "tree"),
        lambda: find(run),
        lambda: RunFolder(run).open(),
    ):
        with pytest.raises(InvalidRun, match=told):
            act()
    assert (tmp_path / "private").read_text() == "a secret"


def test_a_pipe_or_deeply_nested_json_is_refused(run: Path) -> None:
    (run / "evaluation").mkdir()
    (run / "evaluation" / "evaluation.json").write_text('{"a":' * 5000)
    (run / "evaluation" / "after.jsonl").write_text("[" * 200 + "]" * 200 + "\n")
    with pytest.raises(
        InvalidRun, match=rf"{run}/evaluation/after\.jsonl is longer .* or nested deeper than 100 levels"
    ):
        reports.build([run])
    os.mkfifo(run / "metrics.jsonl")
    with pytest.raises(InvalidRun, match=r"metrics\.jsonl: it is a pipe, not a file; remove it"):
        reports.build([run])


def test_a_link_within_the_folder_is_replaced_and_not_followed(run: Path) -> None:
    (run / "notes.md").write_text("mine")
    (run / "report.html").symlink_to("notes.md")
    reports.build([run])
    assert (run / "notes.md").read_text() == "mine"


def test_a_rewards_name_leads_no_plot_out_of_the_folder_and_nothing_into_the_page(run: Path, tmp_path: Path) -> None:
    name = '../../../../$x\\g<9>"><script>'
    rows = [{"step": step, f"rewards/{name}/mean": 1.0, f"rewards/{name}/std": 1.0} for step in (1, 2, 3)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(run)}
    reports.build([run])
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(run)} == before
    assert list(run.glob("plots/reward-*.png"))
    assert "<script" not in (run / "report.html").read_text()


def test_only_a_run_in_the_output_folder_says_where_it_is_published(run: Path, tmp_path: Path) -> None:
    foreign = {"GRPO_OUTPUT_DIR": str(tmp_path / "elsewhere")}
    with pytest.raises(InvalidRun, match=r"does not lie in GRPO_OUTPUT_DIR.*; allowed: --to URI"):
        publish.publish_again(run, (), foreign)
    assert publish.publish_again(run, (f"file://{tmp_path}/mine",), foreign).code == 0
    assert not (tmp_path / "tree").exists()
    assert publish.publish_again(run, (), {"GRPO_OUTPUT_DIR": str(run.parent)}).code == 0
    assert (tmp_path / "tree" / "manifest.json").is_file()


def test_a_link_into_the_output_folder_makes_no_run_our_own(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "run").symlink_to(run)
    assert not trust.is_own(tmp_path / "mine" / "run", {"GRPO_OUTPUT_DIR": str(tmp_path / "mine")})


def test_the_code_of_a_downloaded_run_does_not_run(tmp_path: Path) -> None:
    tree = downloaded(tmp_path / "dl", rewards=(("grader.grade", 1.0),), reward_path=str(tmp_path / "dl"))
    (tree / "grader.py").write_text(GRADER.format(str(tmp_path / "ran")))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    code = "import sys; from grpo_job.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, "evaluate", str(tree)], env=clean, capture_output=True, text=True, cwd=tree
    )
    assert (done.returncode, (tmp_path / "ran").exists()) == (2, False)
    assert "GRPO_REWARDS: " in done.stderr


def test_links_in_a_circle_and_names_that_cannot_be_printed_are_no_traceback(run: Path) -> None:
    (run / "a").symlink_to("b")
    (run / "b").symlink_to("a")
    reports.build([run])
    (run / os.fsdecode(b"\xff\n.txt")).symlink_to("/etc/passwd")
    with pytest.raises(InvalidRun, match=r"'\\udcff\\n\.txt' leads out of the folder"):
        reports.build([run])


def test_half_a_surrogate_pair_is_written_as_json_writes_it(run: Path) -> None:
    write_json(run / "odd.json", {"a": "\ud800"})
    assert json.loads((run / "odd.json").read_text()) == {"a": "\ud800"}
