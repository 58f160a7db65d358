"""Before step 1: samples groups of completions from the base, and checks that their rewards differ.

A group whose completions all earn the same reward gives no gradient. If no group of the probe has a non-zero reward
std, further prompts are sampled; if theirs have none either, training would change nothing, so the run ends.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple, Protocol

from grpo_job import rewards
from grpo_job.engines.interface import Engine
from grpo_job.evaluation import grading
from grpo_job.evaluation.completion import Completion
from grpo_job.inputs.chat_template import Chat
from grpo_job.monitoring.budget import Budget
from grpo_job.monitoring.health import Finding
from grpo_job.outcomes import Abandoned, InvalidRun
from grpo_job.phases import evaluate
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.load import Loaded
from grpo_job.phases.no_signal import ALIKE, Longer, Probe
from grpo_job.preflight import Checked
from grpo_job.preflight.evaluation import measure_of
from grpo_job.rewards import tags
from grpo_job.rewards.batches import batch_of
from grpo_job.settings.schema import Settings
from grpo_job.settings.trl_options import generation_keys

Row = Mapping[str, Any]
Paid = tuple[Callable[..., list[float | None]], float]  # a reward as TRL calls it, and its weight

SEED = 20_261_122  # separate from the run's seed, so that the probe does not change the run
MORE = 3  # times as many further prompts where no group has a non-zero reward std
FITTING = 0.9  # share of completions that a proposed length holds
CUTS = ("top_p", "top_k", "min_p", "repetition_penalty")  # what else shapes a draw, as TRL and `generate` name it


class Generate(Protocol):
    """`Engine.generate` of what training starts from."""

    def __call__(
        self, prompts: Sequence[Any], *, max_tokens: int, temperature: float, samples: int, seed: int, **cuts: Any
    ) -> list[list[Completion]]: ...


class Judge(NamedTuple):
    """What the probe grades with: the rewards, right anywhere, right in the tags, what is read as the answer."""

    rewards: Sequence[Paid]
    right: Callable[[str, str], bool]
    in_tags: Callable[[str, str], bool]
    read: Callable[[str], str | None]


def sample(
    generate: Generate,
    rows: Sequence[Row],
    judge: Judge,
    settings: Settings,
    further: Sequence[Row] = (),
) -> Probe:
    """Sample as training does, and grade; `further` rows are asked where no group of `rows` has a signal."""
    groups = _sample(generate, rows, settings)
    paid = _group_rewards(_texts(groups), rows, judge.rewards)
    if further and not any(map(_has_spread, paid)):
        more = _sample(generate, further, settings)
        paid += _group_rewards(_texts(more), further, judge.rewards)
        rows, groups = [*rows, *further], groups + more
    scores = [score for group in paid for score in group]
    drawn = [(one, row) for row, group in zip(rows, groups, strict=True) for one in group]
    told = [(one.whole_words, row) for one, row in drawn]
    right = [(text, row) for text, row in told if grading.right(judge.right, text, row)]
    in_tags = [grading.right(judge.in_tags, text, row) for text, row in told]
    graded = any(row["answer"].strip() for row in rows)
    return Probe(
        groups=len(groups),
        with_spread=sum(map(_has_spread, paid)),
        reward=fmean(scores or [0.0]),
        best=max(scores, default=0.0),
        accuracy=len(right) / len(told) if graded else None,
        in_tags=fmean(in_tags) if graded else None,
        lacks_format=not any(in_tags) and _tags_earn(right, judge),
        length=fmean(one.tokens for one, _ in drawn),
        clipped=fmean(one.truncated for one, _ in drawn),
        ungraded=1 - len(scores) / len(told),
    )


def _tags_earn(right: Sequence[tuple[str, Row]], judge: Judge) -> bool:
    """Whether any of these completions would earn more with its answer in the tags; asks no more after the first."""
    for text, row in right:
        [paid] = _group_rewards([[text, tags.in_format(text, judge.read(text) or "")]], [row], judge.rewards)
        if len(paid) == 2 and paid[1] > paid[0] + ALIKE:
            return True
    return False


def look_further(generate: Generate, rows: Sequence[Row], settings: Settings) -> Longer | None:
    """One completion a row with all the room of the sequence; None where there is no more room than now."""
    limit = settings.max_seq_length - settings.max_prompt_length
    if limit <= settings.max_completion_length:
        return None
    longer = settings.model_copy(update={"max_completion_length": limit, "num_generations": 1})
    drawn = sorted((group[0] for group in _sample(generate, rows, longer)), key=lambda one: (one.truncated, one.tokens))
    fits = drawn[int((len(drawn) - 1) * FITTING)]
    ended = sum(not one.truncated for one in drawn)
    return Longer(limit, len(drawn), ended, None if fits.truncated else fits.tokens)


def chosen(rows: Sequence[Row], settings: Settings) -> list[Row]:
    """Rows evenly spaced over the data, the same in every attempt."""
    return [rows[place] for place in _spaced(settings.probe_prompts, len(rows))]


def others(rows: Sequence[Row], settings: Settings) -> list[Row]:
    """`MORE` times as many rows, evenly spaced too, none of them `chosen`."""
    left = sorted(set(range(len(rows))) - set(_spaced(settings.probe_prompts, len(rows))))
    return [rows[left[place]] for place in _spaced(MORE * settings.probe_prompts, len(left))]


def _spaced(number: int, length: int) -> list[int]:
    """`number` places of `length`, evenly spaced, or all of them.

    >>> _spaced(3, 10), _spaced(3, 2)
    ([0, 3, 6], [0, 1])
    """
    number = min(number, length)
    return [index * length // number for index in range(number)]


def _sample(generate: Generate, rows: Sequence[Row], settings: Settings) -> list[list[Completion]]:
    return generate(
        [row["prompt"] for row in rows],
        max_tokens=settings.max_completion_length,
        temperature=settings.temperature,
        samples=settings.num_generations,
        seed=SEED,
        further=generation_keys(settings.grpo_config.get("generation_kwargs") or {}),
        **{name: settings.grpo_config[name] for name in CUTS if name in settings.grpo_config},
    )


def _texts(groups: Sequence[Sequence[Completion]]) -> list[list[str]]:
    return [[one.said for one in group] for group in groups]


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


def probe(
    attempt: Attempt, loaded: Loaded, checked: Checked, seen: Probe | None, before: Sequence[Mapping[str, Any]]
) -> None:
    """Before step 1: is there time for a step, and do the rewards give a signal?

    `seen` comes from `see`, `before` from the evaluation of the base. Raises `InvalidRun` if the budget does not reach
    a first step, `Abandoned` if no group has a non-zero reward std and no held-out answer earns more than the groups
    do. A resumed run is not refused: it evaluates and publishes what it has.
    """
    fresh = loaded.resume_from is None
    attempt.summary.forget_stop(restart=fresh)
    if not fresh:
        return
    if refusal := budget_of(attempt).reason_to_refuse():
        raise InvalidRun(refusal)
    if seen:
        _refuse_without_signal(attempt, loaded.engine, checked, seen, before)


def see(attempt: Attempt, engine: Engine, checked: Checked) -> Probe | None:
    """What the base does with the prompts of `checked`; None if nothing is to be sampled."""
    settings = attempt.settings
    if settings.health == "off" or not settings.probe_prompts:
        return None
    chat, train = Chat(checked.base.folder, settings), checked.rows.train
    grade = evaluate.graders_of(measure_of(settings, checked.rewards, train), train, checked.rewards)
    paid = rewards.as_trl_functions(checked.rewards, settings.reward_timeout_seconds, chat.completion_ids)
    judge = Judge(paid, grade.lenient, grade.answer, grade.read)
    ask, rows = partial(engine.generate, adapter=settings.before), chosen(train, settings)
    title = f"probing the {settings.beginning}: {len(rows)} prompts, {settings.num_generations} completions of each"
    with attempt.progress.phase("check", title):
        seen = sample(ask, rows, judge, settings, others(train, settings))
    attempt.progress.say(f"probe of the {settings.beginning}: {seen.sentence()}")
    attempt.summary.update(probe=seen._asdict())
    return seen


def better_than(seen: Probe, records: Sequence[Mapping[str, Any]], chosen: Sequence[rewards.Reward]) -> int:
    """How many held-out answers earn more than the best completion of the probe."""
    paid = (_weighted([(record["rewards"][reward.name], reward.weight) for reward in chosen]) for record in records)
    return sum(total is not None and total > seen.best + ALIKE for total in paid)


def _refuse_without_signal(
    attempt: Attempt, engine: Engine, checked: Checked, seen: Probe, before: Sequence[Mapping[str, Any]]
) -> None:
    settings, longer = attempt.settings, None
    if not seen.with_spread and seen.is_truncated(settings):
        ask, rows = partial(engine.generate, adapter=settings.before), chosen(checked.rows.train, settings)
        longer = look_further(ask, rows, settings)
    if (hopeless := seen.hopeless(settings, longer)) and settings.warm_start_steps:
        attempt.progress.say(f"{hopeless}; the warm start may change that")
    elif rare := seen.rare(settings, better_than(seen, before, checked.rewards), len(before)):
        attempt.record_finding(Finding("warn", "faint_signal", 0, rare))
    elif hopeless:
        attempt.record_finding(Finding("hopeless", "no_signal", 0, hopeless))
        if settings.health == "stop":
            raise Abandoned(hopeless)
    elif faint := seen.faint(settings):
        attempt.record_finding(Finding("warn", "faint_signal", 0, faint))
