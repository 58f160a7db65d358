"""`grpo-job check` shows the first prompt as the model will see it, and what the rewards pay on rows and samples."""

import json
from pathlib import Path

import pytest

from grpo_job import preflight
from grpo_job.phases import show_rows
from grpo_job.phases.show_rows import NOTHING, Shown
from grpo_job.settings.reader import resolve


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    questions = [{"question": f"What is {n} + 2?", "answer": str(n + 2), "level": n} for n in range(40)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    return tmp_path


def shown(rows: Path, *, rewards: bool = False, **variables: str) -> Shown:
    named = {"RECIPE": "smoke", "DATASET": str(rows), "EVAL_SPLIT": "", "OUTPUT_DIR": str(rows), **variables}
    settings = resolve({f"GRPO_{name}": text for name, text in named.items()}).settings
    examined = preflight.examine(settings, {}, offline=True, elsewhere=True)
    return show_rows.show(examined, settings, rewards=rewards)


def first(rows: Path) -> dict[str, str]:
    """The first row that is trained on; others are held out."""
    found = shown(rows).first
    assert found is not None
    return {"question": found.paid.question, "answer": found.paid.golds[0]}


def test_the_prompt_is_shown_as_the_model_will_see_it(rows: Path) -> None:
    (rows / "mine.jinja").write_text("[{{ messages[-1].content }}] {{ mood }}\n<think>\n\n")
    settings = {"CHAT_TEMPLATE": str(rows / "mine.jinja"), "CHAT_TEMPLATE_KWARGS": '{"mood": "calm"}'}
    found = shown(rows, **settings, MAX_PROMPT_LENGTH="120").first
    assert found is not None
    assert found.prompt == f"[{first(rows)['question']}] calm\n<think>\n"
    assert found.lines()[1:4] == [f"[{first(rows)['question']}] calm", "<think>", "-" * 20]


def test_the_gold_and_what_each_reward_pays_for_it_are_shown(rows: Path) -> None:
    gold = first(rows)["answer"]
    found = shown(rows, REWARDS="correct:2,format_tags:0.5,exact:0.1").first
    assert found is not None
    *_, golds, paid = found.lines()
    assert golds == f"its gold: {gold!r}"
    assert f"<answer>\\n{gold}\\n</answer>" in paid
    assert paid.endswith("': correct 1, format_tags 1, exact 1")


def test_a_row_without_a_gold_is_shown_with_an_empty_completion(rows: Path) -> None:
    lines = "".join(json.dumps({"question": f"What is {n} + 2?"}) + "\n" for n in range(40))
    (rows / "train.jsonl").write_text(lines)
    (rows / "of_mine.py").write_text("def brief(completion): return -len(completion)\n")
    found = shown(rows, REWARDS=f"{rows}/of_mine.py::brief").first
    assert found is not None
    assert found.lines()[-2:] == ["its gold: none", "each reward pays for '': brief 0"]


def test_where_a_check_failed_nothing_is_shown(rows: Path) -> None:
    (rows / "of_mine.py").write_text("def bad(completion): return 1 / 0\n")
    assert shown(rows, REWARDS=f"{rows}/of_mine.py::bad") == NOTHING


def test_eight_rows_and_eight_sampled_completions_are_paid(rows: Path) -> None:
    found = shown(rows, rewards=True, MAX_COMPLETION_LENGTH="16")
    assert len(found.golds) == len(found.sampled) == 8
    assert all(paid.scores == {"correct": 1.0, "format_tags": 1.0} for paid in found.golds)
    assert len({paid.completion for paid in found.sampled}) > 1
    assert json.loads(json.dumps(found.as_dict()))["sampled"][0]["scores"].keys() == {"correct", "format_tags"}


def test_without_a_model_on_this_machine_it_says_so(rows: Path) -> None:
    found = shown(rows, rewards=True, MODEL="somebody/a-model")
    assert found == NOTHING  # without its tokenizer there is no prompt to show
