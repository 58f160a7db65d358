"""A chapter of the story: what is looked at between the evaluation of the base and step 1.

Is there time for a step, and would the rewards give training a signal? What has none ends here.
"""

from functools import partial

from grpo_job import measurement, probe, rewards
from grpo_job.attempt import Attempt
from grpo_job.base_model import BaseModel
from grpo_job.budget import Budget
from grpo_job.chat import Chat
from grpo_job.engines import Engine
from grpo_job.failures import Hopeless, Refused
from grpo_job.health import Finding
from grpo_job.preflight import Checked


def budget_of(attempt: Attempt, *, fresh: bool) -> Budget:
    """What is left of time and money. Raises `Refused` where it does not reach a first step of a fresh run.

    A run that was trained before is not refused: it ends in order with what it has.
    """
    left = Budget(attempt.settings, attempt.progress.total)
    left.took("evaluate", attempt.progress.seconds["evaluate"])
    if fresh and (refusal := left.reason_to_refuse()):
        raise Refused(refusal)
    return left


def look_for_a_signal(engine: Engine, checked: Checked, base: BaseModel, attempt: Attempt) -> None:
    """Sample from the base as training would. Raises `Hopeless` where no group has any spread of rewards."""
    settings = attempt.settings
    if settings.health == "off" or not settings.probe_prompts:
        return
    encode = Chat(base.folder).tokenizer.encode_batch
    seen = probe.probe(
        partial(engine.generate, adapter="off"),
        probe.chosen(checked.rows.train, settings),
        rewards.as_trl_functions(checked.rewards, settings.reward_timeout_seconds),
        measurement.GRADERS.answer,
        lambda texts: [len(tokens.ids) for tokens in encode(list(texts))],
        settings,
    )
    attempt.progress.say(f"probe of the base: {seen.sentence()}")
    attempt.summary.update(probe=seen._asdict())
    if hopeless := seen.hopeless(settings):
        attempt.found(Finding("hopeless", "no_signal", 0, hopeless))
        if settings.health == "stop":
            raise Hopeless(hopeless)
