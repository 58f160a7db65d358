"""The figures of a progress line, the same at a terminal and in a log. Pure."""

from collections.abc import Mapping
from datetime import timedelta

from grpo_job.monitoring.health import HELD_OUT

LENGTH = "completions/mean_length"


def clock(seconds: float) -> str:
    """
    >>> clock(70.9)
    '0:01:10'
    """
    return str(timedelta(seconds=int(seconds)))


def of_step(metrics: Mapping[str, float], seconds: Mapping[str, float], cost: float | None) -> list[str]:
    """What a step is told by; what is most important comes first, for a narrow terminal drops the rest.

    >>> of_step({"reward": 1.0, "reward_std": 0.5, LENGTH: 187.4}, {"elapsed": 9, "left": 70}, 0.42)
    ['reward 1.000 ± 0.500', '0:01:10 left', 'length 187', '0:00:09 elapsed', '$0.42']
    """
    reward, length, accuracy = (metrics.get(key) for key in ("reward", LENGTH, HELD_OUT))
    parts = {
        f"reward {reward or 0:.3f} ± {metrics.get('reward_std') or 0:.3f}": reward,
        f"{clock(seconds['left'])} left": True,
        f"accuracy {accuracy or 0:.1%}": accuracy,
        f"length {length or 0:.0f}": length,
        f"{clock(seconds['elapsed'])} elapsed": True,
        f"${cost or 0:.2f}": cost,
    }
    return [text for text, known in parts.items() if known is not None]


def of_count(done: int, total: int, taken: float) -> str:
    """How many of the answers are there, and how long the others take at this pace.

    >>> of_count(50, 200, 10), of_count(0, 200, 10)
    ('50/200 answers, 0:00:30 left, 0:00:10 elapsed', '0/200 answers, 0:00:10 elapsed')
    """
    left = f"{clock(taken * (total - done) / done)} left, " if done else ""
    return f"{done}/{total} answers, {left}{clock(taken)} elapsed"
