"""Tells rewards and `completions.jsonl` which completions the limit ended: by their tokens, as a text does not say."""

from collections.abc import Sequence
from typing import Any

from grpo_job.evaluation.completion import Truncated

TRUNCATED = "grpo_job/truncated"  # a column beside those that rewards give to TRL's `log_extra`


def marked(trainer: Any, completions: Sequence[Any], ids: Sequence[Sequence[int]]) -> list[Any]:
    """The completions, texts or chats, with a `Truncated` as text where no end token is the last of their `ids`."""
    ends = {*trainer.eos_token_ids, trainer._tokenizer.pad_token_id}  # as TRL counts the truncated ones
    cut = [each[-1] not in ends for each in ids]
    trainer._pending_extra_logs[TRUNCATED] = cut
    return [_truncated(each) if is_cut else each for each, is_cut in zip(completions, cut, strict=True)]


def _truncated(completion: Any) -> Any:
    if isinstance(completion, str):
        return Truncated(completion)
    *before, last = completion
    return [*before, {**last, "content": Truncated(last["content"])}]
