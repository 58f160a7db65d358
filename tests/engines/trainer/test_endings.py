"""Rewards are told which completions the limit ended."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpo_job.engines.trainer.endings import marked
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.evaluation.completion import Truncated
from grpo_job.inputs import base_model
from grpo_job.settings.reader import resolve
from tests.engines.test_trl_cpu import ROWS, SETTINGS, SavesAfter


def test_the_last_message_of_a_chat_is_marked() -> None:
    chat = [{"role": "assistant", "content": "one"}, {"role": "assistant", "content": "two"}]
    ended, cut = marked([chat, chat], [[5, 1], [5, 5]], {0, 1})
    assert ended == cut == chat
    assert [[isinstance(each["content"], Truncated) for each in one] for one in (ended, cut)] == [
        [False, False], [False, True],
    ]  # fmt: skip


def test_training_marks_the_completions_without_an_end_token(tmp_path: Path) -> None:
    seen = list[tuple[bool, bool]]()

    def watch(completions: Sequence[Any], completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        for completion, ids in zip(completions, completion_ids, strict=True):
            seen.append((isinstance(completion[-1]["content"], Truncated), ids[-1] == end))
        return [0.0] * len(completions)

    settings = resolve({**SETTINGS, "GRPO_MAX_STEPS": "2", "GRPO_MAX_COMPLETION_LENGTH": "20"})
    trained = PlainTrl(settings.settings, base_model.fetch("sample", None), ROWS, [(watch, 1.0)], tmp_path)
    end = trained.trainer.processing_class.eos_token_id
    trained.train(SavesAfter(0))  # type: ignore[arg-type]
    assert set(seen) == {(True, False), (False, True)}
