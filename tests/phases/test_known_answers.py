"""The answers before training are used again only for the prompts that they answered."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grpo_job.evaluation.measure import Measure
from grpo_job.phases import known_answers
from grpo_job.phases.attempt import Attempt
from grpo_job.run_folder.files import write_json, write_jsonl
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import resolve

MEASURE = Measure("right answers", ())
CHAT: Any = SimpleNamespace(render=lambda messages: "|".join(message["content"] for message in messages))


def row(system: str, question: str = "Who is it?") -> dict[str, Any]:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    return {"question": question, "answer": "Ann", "prompt": messages}


def record(prompt: str | None) -> dict[str, Any]:
    graded = {"completion": "Ann", "answer": "Ann", "correct": True, "correct_lenient": True, "format": False}
    asked = {} if prompt is None else {"prompt": prompt}
    return {"question": "Who is it?", "gold": "Ann", **graded, **asked}


@pytest.mark.parametrize(
    ("recorded", "used_again"),
    [("It is Ann.|Who is it?", True), ("It is Bob.|Who is it?", False), ("27 Jul|It is Ann.|?", False), (None, False)],
    ids=["the same prompt", "another system message", "another date", "no prompt"],
)  # fmt: skip
def test_they_are_of_the_prompts_that_would_be_asked_now(
    recorded: str | None, used_again: bool, tmp_path: Path
) -> None:
    attempt = Attempt(resolve({"GRPO_OUTPUT_DIR": str(tmp_path), "GRPO_RUN_ID": "run"}).settings, Interruption())
    attempt.folder.open()
    write_json(attempt.folder.environment, {})
    write_jsonl(attempt.folder.before, [record(recorded)])
    attempt.remember(attempt.folder.before)
    found = known_answers.of_base(attempt, [row("It is Ann.")], MEASURE, CHAT)
    assert (found is not None) is used_again
