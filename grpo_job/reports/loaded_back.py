"""What `grpo-job verify` found, in a sentence. Pure."""

from collections.abc import Mapping
from typing import Any

from grpo_job.reports.formatting import count

TIES = "by a tie of two tokens"


def verified(found: Mapping[str, Any]) -> str:
    """What `grpo-job verify` found, from `verify.json` or `verify` of the summary.

    >>> verified({"by": "vllm serve", "rows": 40, "adapter": {"alike": 39, "ties": 1, "unexplained": 0}})
    'Loaded back by vllm serve: 39 of 40 greedy answers as evaluated, 1 differs by a tie of two tokens'
    """
    return f"Loaded back by {found['by']}: {answered(found['adapter'])}" if found["rows"] else "nothing was asked"


def answered(counts: Mapping[str, Any]) -> str:
    """How many greedy answers were as recorded; `counts` of `served_back`."""
    alike, ties, other = (counts[name] for name in ("alike", "ties", "unexplained"))
    more = [f"{n} {'differs' if n == 1 else 'differ'} {how}" for n, how in ((ties, TIES), (other, "by more")) if n]
    return ", ".join([f"{count(alike)} of {count(alike + ties + other)} greedy answers as evaluated", *more])
