"""Before step 1: is there any signal? Groups of completions of the base, paid by the rewards of the run.

A group whose completions are all paid alike gives no gradient. Where no group of the probe has any
spread, training on them would change nothing, and the run ends before it is paid for.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple, Protocol

from grpo_job import rewards
from grpo_job.engines.interface import Engine
from grpo_job.inputs.chat_template import Chat
from grpo_job.monitoring.budget import Budget
from grpo_job.monitoring.health import Finding
from grpo_job.outcomes import Abandoned, InvalidRun
from grpo_job.phases import evaluate
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.load import Loaded
from grpo_job.preflight import Checked
from grpo_job.settings.schema import Settings

Row = Mapping[str, Any]
Paid = tuple[Callable[..., list[float | None]], float]  # a reward as TRL calls it, and its weight
TokenCounts = Callable[[Sequence[str]], list[int]]

SEED = 20_261_122  # of sampling; never the run's own, whose random numbers stay as they were
ALIKE = 1e-6  # rewards of a group that differ by less are the same


class Generate(Protocol):
    """`Engine.generate` with the adapter off."""

    def __call__(
        self, prompts: Sequence[Any], *, max_tokens: int, temperature: float, samples: int, seed: int
    ) -> list[list[str]]: ...


class Probe(NamedTuple):
    """What the base does: shares between 0 and 1, lengths in tokens."""

    groups: int
    with_spread: int
    reward: float
    best: float
    accuracy: float
    length: float
    clipped: float

    def sentence(self) -> str:
        """All of it on one line, for the log."""
        return (
            f"{self.with_spread} of {self.groups} groups have spread, mean reward {self.reward:.3g}, accuracy "
            f"{self.accuracy:.1%}, {self.length:.0f} tokens, {self.clipped:.0%} cut"
        )

    def hopeless(self, settings: Settings) -> str | None:
        """Why training cannot begin to learn, with the usual cure; None where any group has a signal."""
        if self.with_spread:
            return None
        why = f"before step 1 none of {self.groups} groups of {settings.num_generations} completions had any spread of "
        told = f"{why}rewards (every one earned {self.reward:.3g}, {self.clipped:.0%} were cut): "
        if self.clipped > settings.health_clipped_share:
            return f"{told}raise GRPO_MAX_COMPLETION_LENGTH (now {settings.max_completion_length}), or ask for less"
        if self.accuracy == 1.0:
            return f"{told}the base solves these rows already; take harder ones"
        return (
            f"{told}the model never earns more, or the rewards do not see it: look at GRPO_REWARDS and "
            "GRPO_SYSTEM_PROMPT, take a larger model or easier rows, or raise GRPO_NUM_GENERATIONS"
        )


def sample(
    generate: Generate,
    rows: Sequence[Row],
    rewards: Sequence[Paid],
    right: Callable[[str, str], bool],
    count_tokens: TokenCounts,
    settings: Settings,
) -> Probe:
    """Sample as training does, and grade. `rows`: those to ask, see `chosen`."""
    groups = _sample(generate, rows, settings)
    paid = _group_rewards(groups, rows, rewards)
    flat = [text for group in groups for text in group]
    lengths = count_tokens(flat)
    correct = [right(text, row["answer"]) for row, group in zip(rows, groups, strict=True) for text in group]
    return Probe(
        groups=len(groups),
        with_spread=sum(_has_spread(group) for group in paid),
        reward=fmean(score for group in paid for score in group),
        best=max(score for group in paid for score in group),
        accuracy=fmean(correct),
        length=fmean(lengths),
        clipped=fmean(length >= settings.max_completion_length for length in lengths),
    )


def chosen(rows: Sequence[Row], settings: Settings) -> list[Row]:
    """Some rows from everywhere in the data, the same ones in every attempt."""
    number = min(settings.probe_prompts, len(rows))
    return [rows[index * len(rows) // number] for index in range(number)] if number else []


def _sample(generate: Generate, rows: Sequence[Row], settings: Settings) -> list[list[str]]:
    return generate(
        [row["prompt"] for row in rows],
        max_tokens=settings.max_completion_length,
        temperature=settings.temperature,
        samples=settings.num_generations,
        seed=SEED,
    )


def _group_rewards(groups: Sequence[Sequence[str]], rows: Sequence[Row], rewards: Sequence[Paid]) -> list[list[float]]:
    """The weighted sum for each completion; what cannot be graded adds nothing, as in training."""
    sums = []
    for group, row in zip(groups, rows, strict=True):
        answers = [row["answer"]] * len(group)
        paid = [(function(completions=list(group), answer=answers), weight) for function, weight in rewards]
        sums.append([sum(weight * (scores[n] or 0.0) for scores, weight in paid) for n in range(len(group))])
    return sums


def _has_spread(group: Sequence[float]) -> bool:
    return max(group) - min(group) > ALIKE


def budget_of(attempt: Attempt) -> Budget:
    """What is left of time and money, now that an evaluation was measured."""
    left = Budget(attempt.settings, attempt.progress.total)
    left.took("evaluate", attempt.progress.seconds["evaluate"])
    return left


def probe(attempt: Attempt, loaded: Loaded, checked: Checked) -> None:
    """Before a fresh training: is there time for a step, and would the rewards give a signal?

    Raises `InvalidRun` where the budget does not reach a first step, `Abandoned` where no group has any spread of
    rewards. A run that was trained before is not refused: it ends in order with what it has.
    """
    fresh = loaded.resume_from is None
    attempt.summary.forget_stop(anew=fresh)
    if not fresh:
        return
    if refusal := budget_of(attempt).reason_to_refuse():
        raise InvalidRun(refusal)
    _look_for_signal(attempt, loaded.engine, checked)


def _look_for_signal(attempt: Attempt, engine: Engine, checked: Checked) -> None:
    settings = attempt.settings
    if settings.health == "off" or not settings.probe_prompts:
        return
    encode = Chat(checked.base.folder).tokenizer.encode_batch
    seen = sample(
        partial(engine.generate, adapter="off"),
        chosen(checked.rows.train, settings),
        rewards.as_trl_functions(checked.rewards, settings.reward_timeout_seconds),
        evaluate.GRADERS.lenient,
        lambda texts: [len(tokens.ids) for tokens in encode(list(texts))],
        settings,
    )
    attempt.progress.say(f"probe of the base: {seen.sentence()}")
    attempt.summary.update(probe=seen._asdict())
    if hopeless := seen.hopeless(settings):
        attempt.record_finding(Finding("hopeless", "no_signal", 0, hopeless))
        if settings.health == "stop":
            raise Abandoned(hopeless)
