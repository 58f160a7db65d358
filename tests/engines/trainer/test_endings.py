"""Rewards are told which completions the limit ended."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from grpo_job.engines.trainer.endings import marked
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.evaluation.completion import Truncated
from grpo_job.inputs import base_model
from grpo_job.settings.reader import resolve
from tests.engines.test_trl_cpu import ROWS, SETTINGS, SavesAfter


class Asked(SavesAfter):
    """A listener that remembers which completions were truncated."""

    def __init__(self) -> None:
        super().__init__(0)
        self.truncated = list[bool]()

    def on_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        self.truncated += [row["truncated"] for row in rows]


def test_the_last_message_of_a_chat_is_marked() -> None:
    tokenizer, chat = SimpleNamespace(pad_token_id=0), [{"role": "assistant", "content": text} for text in ("a", "b")]
    trainer = SimpleNamespace(eos_token_ids=[1], _tokenizer=tokenizer, _pending_extra_logs={})
    ended, padded, cut = marked(trainer, [chat] * 3, [[5, 1], [1, 0], [1, 5]])
    assert ended == padded == cut == chat
    assert [isinstance(one[-1]["content"], Truncated) for one in (ended, padded, cut)] == [False, False, True]
    assert not isinstance(cut[0]["content"], Truncated)


def test_training_marks_the_completions_without_an_end_token(tmp_path: Path) -> None:
    seen, listener = list[tuple[bool, bool]](), Asked()

    def watch(completions: Sequence[Any], completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        for completion, ids in zip(completions, completion_ids, strict=True):
            seen.append((isinstance(completion[-1]["content"], Truncated), ids[-1] == end))
        return [0.0] * len(completions)

    settings = resolve({**SETTINGS, "GRPO_MAX_STEPS": "2", "GRPO_MAX_COMPLETION_LENGTH": "20"})
    trained = PlainTrl(settings.settings, base_model.fetch("sample", None), ROWS, [(watch, 1.0)], tmp_path)
    end = trained.trainer.processing_class.eos_token_id
    trained.train(listener)  # type: ignore[arg-type]
    assert set(seen) == {(True, False), (False, True)}
    assert listener.truncated == [truncated for truncated, _ in seen]
