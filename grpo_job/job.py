"""THE STORY: one run from settings to published adapter.

Each verb is a file in `phases/` that owns its messages and summary entries. The other ranks run `worker.py`.
"""

from collections.abc import MutableMapping

from grpo_job.engines.ranks import ALONE, Ranks
from grpo_job.outcomes import Outcome
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.check import check
from grpo_job.phases.evaluate import evaluate, judge, save
from grpo_job.phases.example import look_at_base
from grpo_job.phases.load import load
from grpo_job.phases.name import name_run
from grpo_job.phases.oom_replan import replan_on_oom
from grpo_job.phases.outcome import record_outcome, told_to_machines
from grpo_job.phases.probe import probe, refusing_bad_rewards
from grpo_job.phases.publish import merge, publish, write_report
from grpo_job.phases.sample_prompts import answer_sample_prompts
from grpo_job.phases.train import trackers_of, train
from grpo_job.phases.verified import verify_published
from grpo_job.preflight.start import adopt
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import Resolved


def run(
    resolved: Resolved, environment: MutableMapping[str, str], interruption: Interruption, ranks: Ranks = ALONE
) -> Outcome:
    """Do what is left of a run and record how it ended. Raises only unknown errors."""
    resolved, start = adopt(resolved, environment)
    named = name_run(resolved.settings, environment, start)
    attempt = Attempt(named.settings, interruption, environment, ranks, named.rows, named.began, start)
    with attempt.lock() as something_is_left:
        if something_is_left:
            with record_outcome(attempt), told_to_machines(attempt):
                attempt.write_settings(resolved.origins)
                if not attempt.is_trained():
                    _train_and_evaluate(attempt)
                publish(attempt)
                verify_published(attempt)
    return attempt.outcome


def _train_and_evaluate(attempt: Attempt) -> None:
    checked = check(attempt)
    with trackers_of(attempt) as trackers:
        with attempt.library_log(), replan_on_oom(attempt, checked):
            loaded = load(attempt, checked)
            with refusing_bad_rewards(loaded):
                checked, seen = look_at_base(attempt, loaded, checked)
                before = evaluate(attempt, loaded.engine, checked, adapter="off")
                probe(attempt, loaded, checked, seen, before)
            train(attempt, loaded, checked, trackers)
            after = evaluate(attempt, loaded.engine, checked, adapter="on")
            save(attempt, loaded.engine, checked)
            answer_sample_prompts(attempt, loaded.engine, checked)
            judge(attempt, checked, before, after)
            loaded.engine.close()
        merge(attempt, checked)
        write_report(attempt, checked, trackers)
