"""Rewards for how long a completion is, and for not saying the same again. Lengths are in tokens.

Their parameters are set with GRPO_REWARD_OPTIONS.
"""

import math
from collections.abc import Sequence
from typing import Any

from grpo_job.rewards import answers


def soft_overlong(completion: str, completion_ids: Sequence[int], *, longest: int = 512, cache: int = 128) -> float:
    """Pays 0.0 up to `longest - cache` tokens, then falls in a line to -1.0 at `longest` (arXiv:2503.14476, 13).

    >>> [soft_overlong("", range(tokens), longest=100, cache=50) for tokens in (50, 75, 100, 200)]
    [0.0, -0.5, -1.0, -1.0]
    """
    over = len(completion_ids) - (longest - cache)
    return max(-1.0, min(0.0, -over / cache))


def cosine_length(
    completion: str,
    answer: str,
    completion_ids: Sequence[int],
    *,
    longest: int = 512,
    right_short: float = 1.0,
    right_long: float = 0.5,
    wrong_short: float = -1.0,
    wrong_long: float = -0.5,
    **columns: Any,
) -> float:
    """Pays more for short right answers and less for short wrong ones, on a cosine of the length (arXiv:2502.03373).

    >>> [cosine_length("<answer>4</answer>", "4", range(tokens), longest=100) for tokens in (0, 50, 100)]
    [1.0, 0.75, 0.5]
    """
    right = bool(answers.correct(completion, answer, **columns))
    short, long = (right_short, right_long) if right else (wrong_short, wrong_long)
    share = min(1.0, len(completion_ids) / longest)
    return long + 0.5 * (short - long) * (1.0 + math.cos(share * math.pi))


def repetition_penalty(completion: str, *, words: int = 3, most: float = 1.0) -> float:
    """Pays `-most` times the share of runs of `words` words that occurred before (arXiv:2502.03373, appendix).

    >>> repetition_penalty("a b c d e"), repetition_penalty("a a a a a a")
    (0.0, -0.75)
    """
    said = completion.lower().split()
    runs = [tuple(said[start : start + words]) for start in range(len(said) - words + 1)]
    return most * (len(set(runs)) / len(runs) - 1.0) if runs else 0.0
