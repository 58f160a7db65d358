"""The model card: valid front matter, figures of the run folder, and snippets that run."""

import doctest
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_load
from markdown_it import MarkdownIt

from grpo_job import reports
from grpo_job.inputs import sample
from grpo_job.reports import card, formatting, loaded_back, markdown
from grpo_job.run_folder.files import read_json, write_json, write_jsonl
from tests.reports.conftest import WriteRun
from tests.reports.made_runs import HOME


def snippet(readme: Path, name: str) -> str:
    found = re.search(rf"<!-- snippet: {name} -->\n```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


def test_front_matter_says_what_the_adapter_is(finished: Path) -> None:
    front = metadata_load(finished / "adapter" / "README.md")
    assert front is not None
    assert {key: value for key, value in front.items() if key != "model-index"} == {
        "base_model": "Qwen/Qwen2.5-3B-Instruct", "base_model_relation": "adapter", "library_name": "peft",
        "pipeline_tag": "text-generation", "datasets": ["openai/gsm8k"], "license": "other",
        "license_name": "qwen-research", "tags": ["grpo", "lora", "trl", "unsloth"],
    }  # fmt: skip


def test_model_index_holds_accuracy_before_and_after(finished: Path) -> None:
    after, before = ModelCard.load(finished / "adapter" / "README.md").data.eval_results
    judged = read_json(finished / "evaluation" / "evaluation.json")["primary"]
    assert (before.metric_value, after.metric_value) == (judged["before"], judged["after"])
    assert (after.dataset_type, after.dataset_config, after.dataset_split) == ("openai/gsm8k", "main", "test")
    assert after.dataset_revision == "e53f" * 10
    assert after.dataset_args["rows"] == 300
    assert after.metric_args["verdict"] == "improved"
    assert after.metric_args["wilson_interval_95"] == judged["after_interval"]


def test_card_shows_plots_of_the_published_tree(finished: Path) -> None:
    text = (finished / "adapter" / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[\w+\]\(run/(plots/\w+\.png)\)", text)
    assert shown == ["plots/accuracy.png", "plots/reward.png"]
    assert all((finished / name).is_file() for name in shown)


def test_card_shows_what_the_settings_asked_before_and_after(finished: Path) -> None:
    text = (finished / "adapter" / "README.md").read_text(encoding="utf-8")
    assert text.index("How many r's are in strawberry?") < text.index("There are two.") < text.index("Three.")


def test_card_tells_no_path_of_the_machine(finished: Path) -> None:
    text = (finished / "adapter" / "README.md").read_text(encoding="utf-8")
    assert HOME not in text
    assert str(finished) not in text
    assert "/srv" not in text


def test_card_and_report_say_what_a_merged_model_keeps(write_run: WriteRun) -> None:
    run = write_run(steps=3, rows=10)
    kept = {"bfloat16": 0.031, "float16": 0.4, "float32": 1.0}
    write_json(run / "summary.json", {**read_json(run / "summary.json"), "merged": {"dtype": "bfloat16", "kept": kept}})
    reports.build([run])
    for page in (reports.write_card(run), run / "report.html"):
        text = page.read_text(encoding="utf-8").replace("&#39;", "'")
        assert "bfloat16, keeps 3% of the adapter's update (others would: float16 40%, float32 100%)" in text


def test_card_of_a_base_that_is_not_on_the_hub_is_valid(write_run: WriteRun) -> None:
    readme = reports.write_card(write_run(steps=0, rows=10))
    front = metadata_load(readme)
    assert front is not None
    assert "base_model" not in front
    assert "datasets" not in front
    assert front["model-index"][0]["results"][0]["dataset"]["type"] == "local"


def test_base_is_the_16_bit_one_that_the_adapter_names(write_run: WriteRun) -> None:
    folder = write_run(steps=0, rows=10, model="unsloth/Qwen2.5-3B-Instruct-bnb-4bit", gpu=True)
    config = folder / "adapter" / "adapter_config.json"
    write_json(config, read_json(config) | {"base_model_name_or_path": "unsloth/Qwen2.5-3B-Instruct"})
    front = metadata_load(reports.write_card(folder))
    assert front is not None
    assert front["base_model"] == "unsloth/Qwen2.5-3B-Instruct"


@pytest.mark.parametrize(("done", "supervised"), [(9, 5), (3, 3)])
def test_card_counts_the_supervised_steps_of_a_warm_start(done: int, supervised: int, write_run: WriteRun) -> None:
    folder = write_run()
    told, asked = read_json(folder / "summary.json"), read_json(folder / "settings.json")
    asked["settings"]["warm_start_steps"] = 5
    told["steps"]["done"] = done
    write_json(folder / "summary.json", told)
    write_json(folder / "settings.json", asked)
    text = card.write(folder, {}).read_text(encoding="utf-8")
    assert f"{done} steps, the first {supervised} of them supervised (the warm start); rewards" in text


@pytest.mark.parametrize(("start", "whose"), [(None, "base"), ({"name": "mine", "sha256": "a1"}, "start adapter")])
def test_card_says_who_needed_the_worked_example(start: object, whose: str, write_run: WriteRun) -> None:
    folder = write_run()
    write_json(folder / "environment.json", read_json(folder / "environment.json") | {"start_adapter": start})
    write_json(folder / "summary.json", read_json(folder / "summary.json") | {"example": {"text": "1 + 1 = 2"}})
    asked = read_json(folder / "settings.json")
    asked["settings"]["example"] = "auto"
    write_json(folder / "settings.json", asked)
    text = card.write(folder, {}).read_text(encoding="utf-8")
    assert f"GRPO_EXAMPLE=auto: the {whose} was right, but never in the tags" in text


def test_run_that_stopped_early_has_a_card(write_run: WriteRun) -> None:
    folder = write_run(steps=0, rows=10)
    for name in ("evaluation/evaluation.json", "evaluation/after.jsonl", "summary.json", "environment.json"):
        (folder / name).unlink()
    readme = reports.write_card(folder)
    assert "model-index" not in (metadata_load(readme) or {})
    assert "No verdict" in readme.read_text(encoding="utf-8")


def test_backticks_of_a_completion_end_no_code_block(write_run: WriteRun) -> None:
    folder = write_run(steps=0, rows=1, accuracy=(0.0, 1.0))
    record = folder / "evaluation" / "after.jsonl"
    record.write_text(record.read_text().replace("<reasoning>", "```\\n# A heading\\n````"))
    assert "\n`````text\n```\n# A heading\n````" in reports.write_card(folder).read_text(encoding="utf-8")


HOSTILE = """x

# A heading

Setext
======

![image](http://evil.example/i.png) [link](http://evil.example) <img src=x onerror=alert(1)> <script>x</script>
http://bare.example www.bare.example someone@bare.example <http://auto.example> [ref]: http://ref.example
| a | b | `` ``` ` ~~~ &lt;b&gt; $x$ --- """


def planted(folder: Path) -> Path:
    """The run, with hostile text in place of every text that rows, settings and answers have."""
    for path in (*folder.glob("*.json*"), *folder.glob("evaluation/*"), folder / "adapter" / "adapter_config.json"):
        if path.name not in ("metrics.jsonl", "completions.jsonl"):
            rows = [json.loads(line) for line in path.read_text().splitlines()] if path.suffix == ".jsonl" else None
            changed = hostile(rows if rows is not None else read_json(path))
            write_jsonl(path, changed) if rows is not None else write_json(path, changed)
    return folder


def hostile(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: hostile(each, name) for name, each in value.items()}
    if isinstance(value, list) and key != "weights":
        return [hostile(each) for each in value]
    return f"{value} {HOSTILE}" if isinstance(value, str) and key not in ("verdict", "kind", "uri") else value


class Html(HTMLParser):
    """The elements of a page as a browser sees them, and what renderers make links of without being asked."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, str]] = []
        self.code = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = dict(attrs)
        self.tags.append((tag, at.get("href") or at.get("src") or ""))
        self.code += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self.code -= tag == "code"

    def handle_data(self, data: str) -> None:
        if not self.code:
            self.tags += [("bare link", found) for found in re.findall(r"\S*(?:://|www\.|@)\S*", data)]


def elements(readme: Path) -> list[tuple[str, str]]:
    """Headings, links, images and unknown elements of the page that CommonMark with tables makes of the card."""
    body = ModelCard.load(readme, ignore_metadata_errors=True).text
    html = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(body)
    plain = ("p", "code", "pre", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td")
    return [(tag, target) for tag, target in Html(html).tags if tag not in plain]


def test_rows_settings_and_answers_bring_no_heading_image_link_or_html(write_run: WriteRun) -> None:
    folder = write_run(steps=3, rows=5)
    expected = elements(reports.write_card(folder))
    assert {tag for tag, _ in expected} == {"h1", "h2", "a"}
    assert elements(reports.write_card(planted(folder))) == expected


@pytest.mark.parametrize("name", ["peft", "vllm"])
@pytest.mark.parametrize("destination", ["hf://someone/adapter", "hf://someone/adapter@dev", "s3://bucket/prefix"])
def test_snippets_compile_wherever_the_adapter_goes(write_run: WriteRun, name: str, destination: str) -> None:
    folder = write_run(steps=0, rows=3)
    settings = read_json(folder / "settings.json")
    prompt = 'Say "42".\n<answer>\n...\n</answer>\n'
    settings["settings"] |= {"publish_to": [destination], "system_prompt": prompt}
    write_json(folder / "settings.json", settings)
    program = snippet(reports.write_card(folder), name)
    compile(program, name, "exec")
    messages: dict[str, list[dict[str, str]]] = {}
    exec(program[program.index("messages =") : program.index("]\n") + 2], messages)
    assert messages["messages"][0] == {"role": "system", "content": prompt}


def test_published_tree_gets_its_card_at_the_root(write_run: WriteRun, tmp_path: Path) -> None:
    tree = tmp_path / "downloaded"
    shutil.copytree(write_run(steps=0, rows=3, model="Qwen/Qwen2.5-3B-Instruct"), tree / "run")
    (tree / "run" / "adapter" / "adapter_config.json").rename(tree / "adapter_config.json")
    readme = reports.write_card(tree)
    assert readme == tree / "README.md"
    assert (metadata_load(readme) or {})["base_model"] == "Qwen/Qwen2.5-3B-Instruct"


@pytest.mark.slow
@pytest.mark.skipif(not (sample.MODEL / "config.json").is_file(), reason="the sample model is not made yet")
def test_peft_snippet_answers_with_the_sample(write_run: WriteRun) -> None:
    folder = write_run(steps=0, rows=3)
    settings = read_json(folder / "settings.json")
    settings["settings"]["publish_to"] = []
    write_json(folder / "settings.json", settings)
    program = snippet(reports.write_card(folder), "peft")
    save = (
        "from peft import LoraConfig, get_peft_model\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\nfrom grpo_job.inputs import sample\n"
        "model = AutoModelForCausalLM.from_pretrained(sample.MODEL)\n"
        "get_peft_model(model, LoraConfig(r=16, task_type='CAUSAL_LM')).save_pretrained('.')\n"
        "AutoTokenizer.from_pretrained(sample.MODEL).save_pretrained('.')\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", save + program], cwd=folder / "adapter", capture_output=True, text=True, check=True
    )
    assert "<answer>" in answer.stdout


def test_card_says_how_it_was_loaded_back_and_is_left_alone_elsewhere(write_run: WriteRun) -> None:
    run = write_run(steps=0, rows=10)
    counts = {"alike": 9, "ties": 1, "unexplained": 0}
    readme = reports.write_card(run)
    readme.write_text(readme.read_text().replace("## Use", "## How I use it"))
    reports.note_in_card(readme, loaded_back.verified({"by": "vllm serve", "rows": 10, "adapter": counts}))
    reports.note_in_card(readme, loaded_back.verified({"by": "vllm serve", "rows": 10, "adapter": counts}))
    text = readme.read_text()
    assert text.count("Loaded back by vllm serve: 9 of 10 greedy answers as evaluated") == 1
    assert "## How I use it" in text
    summary = {**read_json(run / "summary.json"), "verify": {"by": "vllm serve", "rows": 10, "adapter": counts}}
    write_json(run / "summary.json", summary)
    assert "Loaded back by vllm serve: 9 of 10" in reports.write_card(run).read_text()


@pytest.mark.parametrize("module", [formatting, card, loaded_back, markdown])
def test_examples_in_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
