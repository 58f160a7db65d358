"""Ends a run whose answers are alike whatever is asked and do not depend on the question.

Over shorter windows good runs look alike; at the end of ten real runs the metric was 0.97 in the collapsed one and at
most 0.07 in the others.
"""

import math
from collections.abc import Iterator, Sequence

from grpo_job.monitoring.health.answers import ALIKE, KNOWN, PROMPTS, STEPS
from grpo_job.monitoring.health.checks import BEGINNING, Finding, finding
from grpo_job.monitoring.health.history import History, Row, values

KIND = "answers_alike"
MOST = 0.5  # of how alike answers of different prompts are, corrected for their golds


def answers_alike(history: History) -> Iterator[Finding]:
    """Hopeless, unless the base was so: then it has its chance to learn first."""
    alike, known = history.last.get(ALIKE), history.last.get(KNOWN, 0.0)
    measured = values(history.rows, ALIKE)
    if alike is None or alike <= MOST or known > 0 or not _window_is_full(history):
        return
    said = (
        f"the answers are alike whatever is asked ({alike:.2f}, where 0 is as the right answers are and 1 all the "
        f"same) and no better than by chance, over at least {STEPS} steps and {PROMPTS} prompts: the policy has "
        "collapsed; use a smaller GRPO_LEARNING_RATE or GRPO_MAX_GRAD_NORM, or a GRPO_BETA above 0"
    )
    was_not_so = measured[:BEGINNING][-1] <= MOST
    yield finding("hopeless" if was_not_so or history.learned_nothing() else "warn", KIND, history, said)


def last_step_before(rows: Sequence[Row]) -> int:
    """The last step at which answers were still less than half as alike as `MOST`; 0 without one."""
    return max((int(row["step"]) for row in rows if row.get(ALIKE, math.inf) < MOST / 2), default=0)


def _window_is_full(history: History) -> bool:
    """Whether the metric is over as many steps and prompts as it takes."""
    first = next((row for row in history.rows if ALIKE in row), None)
    prompts_per_step = history.settings.groups_per_step / history.settings.num_iterations
    needed = max(STEPS, math.ceil(PROMPTS / max(prompts_per_step, 1e-9)))
    return first is not None and int(history.last["step"]) - history.before(first) >= needed
