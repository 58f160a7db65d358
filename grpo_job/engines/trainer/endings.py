"""Tells rewards which completions the limit ended: from their tokens, for the decoded text does not say."""

from collections.abc import Collection, Sequence
from typing import Any

from grpo_job.evaluation.completion import Truncated


def marked(completions: Sequence[Any], completion_ids: Sequence[Sequence[int]], ends: Collection[int]) -> list[Any]:
    """The completions, texts or chats; where the last token is none of `ends`, the text becomes a `Truncated`.

    >>> ended, cut = marked(["4", "4, or"], [[8, 2], [8, 9]], {2})
    >>> isinstance(ended, Truncated), isinstance(cut, Truncated), cut
    (False, True, '4, or')
    """
    return [
        completion if ids[-1] in ends else _truncated(completion)
        for completion, ids in zip(completions, completion_ids, strict=True)
    ]


def _truncated(completion: Any) -> Any:
    if isinstance(completion, str):
        return Truncated(completion)
    *before, last = completion
    return [*before, {**last, "content": Truncated(last["content"])}]
