"""Before step 1: samples groups of completions from the base, and checks that their rewards differ.

A group whose completions all earn the same reward gives no gradient. If no group of the probe has a non-zero reward
std, training would change nothing, so the run ends.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple, Protocol

from grpo_job import rewards
from grpo_job.engines.interface import Engine
from grpo_job.evaluation import grading
from grpo_job.inputs.chat_template import Chat
from grpo_job.monitoring.budget import Budget
from grpo_job.monitoring.health import Finding
from grpo_job.outcomes import Abandoned, InvalidRun
from grpo_job.phases import evaluate
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.load import Loaded
from grpo_job.preflight import Checked
from grpo_job.rewards.calling import batch_of
from grpo_job.settings.schema import Settings
from grpo_job.settings.trl_options import generation_keys

Row = Mapping[str, Any]
Paid = tuple[Callable[..., list[float | None]], float]  # a reward as TRL calls it, and its weight
TokenCounts = Callable[[Sequence[str]], list[int]]

SEED = 20_261_122  # separate from the run's seed, so that the probe does not change the run
CUTS = ("top_p", "top_k", "min_p", "repetition_penalty")  # what else shapes a draw, as TRL and `generate` name it
ALIKE = 1e-6  # rewards of a group that differ by less are equal


class Generate(Protocol):
    """`Engine.generate` with the adapter off."""

    def __call__(
        self, prompts: Sequence[Any], *, max_tokens: int, temperature: float, samples: int, seed: int, **cuts: Any
    ) -> list[list[str]]: ...


class Probe(NamedTuple):
    """How the base performs: shares between 0 and 1, lengths in tokens."""

    groups: int
    with_spread: int
    reward: float
    best: float
    accuracy: float
    length: float
    clipped: float

    def sentence(self) -> str:
        return (
            f"{self.with_spread} of {self.groups} groups have a non-zero reward std, mean reward {self.reward:.3g}, "
            f"accuracy {self.accuracy:.1%}, {self.length:.0f} tokens, {self.clipped:.0%} truncated"
        )

    def hopeless(self, settings: Settings) -> str | None:
        """Why training cannot learn, with the usual fix; None if any group has a signal."""
        if self.with_spread:
            return None
        why = f"before step 1 all {self.groups} groups of {settings.num_generations} completions had zero reward std "
        message = f"{why}(each earned {self.reward:.3g}, {self.clipped:.0%} were truncated): "
        if self.clipped > settings.health_clipped_share:
            return f"{message}raise GRPO_MAX_COMPLETION_LENGTH (now {settings.max_completion_length}), or ask for less"
        if self.accuracy == 1.0:
            return f"{message}the base already solves these rows; use harder ones"
        return (
            f"{message}the model never earns more, or the rewards do not detect it: check GRPO_REWARDS and "
            "GRPO_SYSTEM_PROMPT, use a larger model or easier rows, or raise GRPO_NUM_GENERATIONS"
        )


def sample(
    generate: Generate,
    rows: Sequence[Row],
    rewards: Sequence[Paid],
    right: Callable[[str, str], bool],
    count_tokens: TokenCounts,
    settings: Settings,
) -> Probe:
    """Sample as training does, and grade. `rows` come from `chosen`."""
    groups = _sample(generate, rows, settings)
    paid = _group_rewards(groups, rows, rewards)
    scores = [score for group in paid for score in group] or [0.0]
    flat = [text for group in groups for text in group]
    lengths = count_tokens(flat)
    correct = [grading.right(right, text, row) for row, group in zip(rows, groups, strict=True) for text in group]
    return Probe(
        groups=len(groups),
        with_spread=sum(_has_spread(group) for group in paid),
        reward=fmean(scores),
        best=max(scores),
        accuracy=fmean(correct),
        length=fmean(lengths),
        clipped=fmean(length >= settings.max_completion_length for length in lengths),
    )


def chosen(rows: Sequence[Row], settings: Settings) -> list[Row]:
    """Rows evenly spaced over the data, the same in every attempt."""
    number = min(settings.probe_prompts, len(rows))
    return [rows[index * len(rows) // number] for index in range(number)] if number else []


def _sample(generate: Generate, rows: Sequence[Row], settings: Settings) -> list[list[str]]:
    return generate(
        [row["prompt"] for row in rows],
        max_tokens=settings.max_completion_length,
        temperature=settings.temperature,
        samples=settings.num_generations,
        seed=SEED,
        further=generation_keys(settings.grpo_config.get("generation_kwargs") or {}),
        **{name: settings.grpo_config[name] for name in CUTS if name in settings.grpo_config},
    )


def _group_rewards(groups: Sequence[Sequence[str]], rows: Sequence[Row], rewards: Sequence[Paid]) -> list[list[float]]:
    """The weighted sum for each completion that any reward grades; what none grades is left out, as in training."""
    sums = []
    for group, row in zip(groups, rows, strict=True):
        batch = batch_of(row, group)
        paid = [(function(**batch), weight) for function, weight in rewards]
        each = [[(scores[n], weight) for scores, weight in paid] for n in range(len(group))]
        sums.append([total for scores in each if (total := _weighted(scores)) is not None])
    return sums


def _weighted(scores: Sequence[tuple[float | None, float]]) -> float | None:
    graded = [weight * score for score, weight in scores if score is not None]
    return sum(graded) if graded else None


def _has_spread(group: Sequence[float]) -> bool:
    return bool(group) and max(group) - min(group) > ALIKE


def budget_of(attempt: Attempt) -> Budget:
    """The remaining time and money, with the measured time of an evaluation."""
    left = Budget(attempt.settings, attempt.progress.total)
    left.took("evaluate", attempt.progress.seconds["evaluate"])
    return left


@contextmanager
def refusing_bad_rewards(loaded: Loaded) -> Iterator[None]:
    """Before training: a reward that fails refuses the run. A resumed one keeps what it has, see `RewardFailed`."""
    try:
        yield
    except rewards.RewardFailed as failure:
        if loaded.resume_from:
            raise
        raise InvalidRun(f"GRPO_REWARDS: {failure}; nothing was trained: fix it") from failure


def probe(attempt: Attempt, loaded: Loaded, checked: Checked) -> None:
    """Before step 1: is there time for a step, and do the rewards give a signal?

    Raises `InvalidRun` if the budget does not reach a first step, `Abandoned` if no group has a non-zero reward std. A
    resumed run is not refused: it evaluates and publishes what it has.
    """
    fresh = loaded.resume_from is None
    attempt.summary.forget_stop(restart=fresh)
    if not fresh:
        return
    if refusal := budget_of(attempt).reason_to_refuse():
        raise InvalidRun(refusal)
    _look_for_signal(attempt, loaded.engine, checked)


def _look_for_signal(attempt: Attempt, engine: Engine, checked: Checked) -> None:
    settings = attempt.settings
    if settings.health == "off" or not settings.probe_prompts:
        return
    ids = Chat(checked.base.folder).ids
    seen = sample(
        partial(engine.generate, adapter="off"),
        chosen(checked.rows.train, settings),
        rewards.as_trl_functions(checked.rewards, settings.reward_timeout_seconds, ids),
        evaluate.GRADERS.lenient,
        lambda texts: [len(each) for each in ids(texts)],
        settings,
    )
    attempt.progress.say(f"probe of the base: {seen.sentence()}")
    attempt.summary.update(probe=seen._asdict())
    if hopeless := seen.hopeless(settings):
        attempt.record_finding(Finding("hopeless", "no_signal", 0, hopeless))
        if settings.health == "stop":
            raise Abandoned(hopeless)
