"""What is written must be what was trained: the same weights, and answers alike."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grpo_job import rewards
from grpo_job.evaluation.completion import Completion
from grpo_job.monitoring.progress import Progress
from grpo_job.outcomes import Unexpected
from grpo_job.phases import evaluate
from grpo_job.phases.attempt import Attempt
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import resolve
from tests.evaluation.test_completion import ended

ROWS = [{"prompt": [{"role": "user", "content": str(number)}]} for number in range(20)]


class Engine:
    """Answers each prompt with itself; from disk, `others` of them otherwise, each time in another way if `noisy`."""

    def __init__(self, *, whole: bool = True, others: int = 0, noisy: bool = False) -> None:
        self.whole, self.others, self.noisy, self.asked = whole, others, noisy, 0

    def save_adapter(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(b"weights")

    def is_saved_in(self, weights: Path) -> bool:
        return self.whole and weights.is_file()

    def generate(self, prompts: list[Any], **_: Any) -> list[list[Completion]]:
        return [[ended(prompt[0]["content"])] for prompt in prompts]

    def generate_from(self, adapter: Path, prompts: list[Any], max_tokens: int) -> list[str]:
        right = [prompt[0]["content"] for prompt in prompts]
        self.asked += self.noisy
        return [f"something else {self.asked}"] * self.others + right[self.others :]

    def adapter_changes_anything(self) -> bool:
        return True


def saved(tmp_path: Path, engine: Engine) -> dict[str, Any]:
    found: dict[str, Any] = {}
    attempt = SimpleNamespace(
        folder=SimpleNamespace(adapter=tmp_path / "adapter", merged=tmp_path / "merged"),
        settings=SimpleNamespace(max_completion_length=8),
        summary=SimpleNamespace(update=lambda adapter: found.update(adapter)),
        progress=Progress("text"),
        forget_result=lambda: None,
    )
    checked = SimpleNamespace(rows=SimpleNamespace(held_out=ROWS))
    evaluate.save(attempt, engine, checked)  # type: ignore[arg-type]
    return found


def test_an_adapter_that_reads_back_is_recorded_with_its_digest_and_the_answers_alike(tmp_path: Path) -> None:
    adapter = saved(tmp_path, Engine())
    assert adapter["read_back"] == {"rows": evaluate.READ_BACK_ROWS, "alike": evaluate.READ_BACK_ROWS}
    assert len(adapter["sha256"]) == 64


def test_near_ties_that_turn_are_no_failure(tmp_path: Path) -> None:
    assert saved(tmp_path, Engine(others=2))["read_back"]["alike"] == evaluate.READ_BACK_ROWS - 2


def test_answers_that_no_two_askings_of_one_adapter_share_are_no_failure(tmp_path: Path) -> None:
    assert saved(tmp_path, Engine(others=6, noisy=True))["read_back"]["alike"] == evaluate.READ_BACK_ROWS - 6


def test_other_weights_than_the_trained_ones_are_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Unexpected, match="its weights are not those in memory"):
        saved(tmp_path, Engine(whole=False))


@pytest.mark.parametrize("others", [5, 7])
def test_answers_of_another_model_are_a_failure(others: int, tmp_path: Path) -> None:
    with pytest.raises(Unexpected, match=f"{8 - others} of 8 answers are the same"):
        saved(tmp_path, Engine(others=others))


def test_of_few_rows_none_alike_is_a_failure_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "READ_BACK_ROWS", 2)
    with pytest.raises(Unexpected, match="0 of 2 answers are the same"):
        saved(tmp_path, Engine(others=2))


@pytest.mark.parametrize(("chosen", "share"), [("correct", True), ("format_tags", False)])
def test_from_the_first_evaluation_on_the_summary_tells_a_share_from_a_mean(
    chosen: str, share: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = resolve({"GRPO_OUTPUT_DIR": str(tmp_path), "GRPO_RUN_ID": "run", "GRPO_REWARDS": chosen}).settings
    attempt = Attempt(settings, Interruption())
    attempt.folder.open()
    record = {"question": "?", "gold": "1", "correct_lenient": True, "format": True, "rewards": {chosen: 1.0}}
    monkeypatch.setattr(evaluate, "records", lambda *_: [record])
    monkeypatch.setattr(evaluate, "Chat", lambda *_: None)
    checked = SimpleNamespace(
        rows=SimpleNamespace(held_out=[{"question": "?", "answer": "1"}]),
        rewards=rewards.load(settings.rewards),
        base=SimpleNamespace(folder=tmp_path),
    )
    evaluate.evaluate(attempt, Engine(), checked, adapter="on")  # type: ignore[arg-type]
    assert attempt.summary.values["accuracy"]["share"] is share


@pytest.mark.parametrize(
    ("adapter", "measure", "same", "dealt"),
    [("on", "own", True, True), ("off", "own", True, False), ("on", "own", False, False), ("on", "auto", True, False)],
)
def test_doubtful_texts_of_the_adapter_are_paid_for_other_rows_too_where_the_measure_reads_no_answers(
    adapter: Any, measure: str, same: bool, dealt: bool, tmp_path: Path
) -> None:
    own = tmp_path / "mine.py"
    own.write_text("def own(completion, answer, **columns):\n    return 0.5\n")
    measured = f"{own}::own" if measure == "own" else measure
    settings = resolve({"GRPO_REWARDS": f"correct,{own}::own", "GRPO_MEASURE": measured}).settings
    rows = [{"prompt": n, "question": str(n), "answer": str(n)} for n in range(50)]
    engine = SimpleNamespace(generate=lambda prompts, **_: [[ended("ok" if same else f"I say {n}")] for n in prompts])
    chat, chosen = SimpleNamespace(completion_ids=None, render=str), rewards.load(settings.rewards)
    found = evaluate.records(engine, adapter, rows, chosen, settings, chat)  # type: ignore[arg-type]
    assert [record.get("dealt") for record in found] == [{"rewards": {"own": 0.5}} if dealt else None] * 50
