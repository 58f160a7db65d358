"""The rows that a run trains on, read before its checks: its name depends on them."""

from functools import partial

from grpo_job.inputs import base_model, dataset
from grpo_job.outcomes import Outage
from grpo_job.preflight import model
from grpo_job.preflight import rewards as reward_checks
from grpo_job.preflight.findings import Findings
from grpo_job.rewards import load as load_rewards
from grpo_job.settings.schema import Settings


def rows_of(settings: Settings) -> dataset.Rows | None:
    """The rows that a run trains on; None if settings, model or rows have a fault, which `check` reports.

    Raises `Outage` if they cannot be reached now.
    """
    found = Findings()
    rows = found.attempt("rows", partial(_rows_of, settings))
    if rows is None and isinstance(refusal := found.refusal(), Outage):
        raise refusal
    return rows


def _rows_of(settings: Settings) -> dataset.Rows:
    chosen = load_rewards(settings.rewards, settings.reward_path, settings.reward_options)
    chat = model.chat_of(base_model.fetch(settings.model, settings.model_revision, weights=False), settings)
    needs_gold = reward_checks.need_gold(chosen, reward_checks.measure(settings))
    return dataset.load(settings, chat.lengths, needs_gold=needs_gold)
