"""Every rank but 0: loads and trains when rank 0 says so, and writes nothing.

After a signal, the run stops at the next step that all ranks finish.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grpo_job import engines, rewards
from grpo_job.engines.interface import Engine
from grpo_job.engines.ranks import Answer, Load, LoadAdapter, TakeRows, Train
from grpo_job.inputs import base_model
from grpo_job.inputs.chat_template import Chat
from grpo_job.monitoring.library_log import libraries_write_to
from grpo_job.outcomes import Interrupted, Outcome, RunEnded, Unexpected
from grpo_job.rewards.judgements import JUDGEMENTS
from grpo_job.run_folder.paths import RunFolder
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.schema import Settings

if TYPE_CHECKING:
    from grpo_job.engines.process_group import ProcessGroup

LAST_WORD_SECONDS = 5.0  # for rank 0 to report the failure that this rank sees from the other side


def follow(settings: Settings, interruption: Interruption, ranks: "ProcessGroup") -> Outcome:
    """Do what rank 0 says until it sends the outcome. Raises what failed in this process."""
    interruption.grace_seconds = settings.grace_seconds
    interruption.give_up_reason = lambda: lost.reason if (lost := ranks.lost()) else ""
    interruption.before_exit = lambda reason: _leave(ranks, reason)
    with interruption.noted():
        try:
            return _listen(settings, interruption, ranks)
        except Exception as error:
            if ending := ranks.heard_the_end(LAST_WORD_SECONDS):
                return ending
            known = error if isinstance(error, RunEnded) else Unexpected(f"{type(error).__name__}: {error}")
            ranks.leave(known.outcome())
            raise


def _listen(settings: Settings, interruption: Interruption, ranks: "ProcessGroup") -> Outcome:
    engine: Engine | None = None
    while not isinstance(word := ranks.receive(lambda: interruption.asked), Outcome):
        with libraries_write_to(Path(os.devnull)):
            if isinstance(word, Load):
                engine = _build(word, settings, ranks)
            elif engine:
                _use(engine, word, interruption)
    return word


def _use(engine: Engine, word: Train | Answer | LoadAdapter | TakeRows, interruption: Interruption) -> None:
    match word:
        case Train(resume_from):
            engine.train(NullListener(interruption), resume_from)
        case Answer():
            engine.join_generation()
        case LoadAdapter(weights):
            engine.load_adapter(weights)
        case TakeRows(longest):
            engine.take_rows(None, longest)


def _build(word: Load, settings: Settings, ranks: "ProcessGroup") -> Engine:
    """This rank's engine, from the findings of rank 0's checks."""
    engines.settle(word.engine, ranks)
    rows, folder = ranks.share(None)
    settings = settings.model_copy(update=word.shape)
    JUDGEMENTS.keep_in(RunFolder(folder.parents[1]).judged)
    base = base_model.fetch(settings.model, word.model_commit or settings.model_revision)
    chosen = rewards.load(settings.rewards, settings.reward_path, settings.reward_options, settings.measure)
    opening = Chat(base.folder, settings).opening()
    chosen = [reward._replace(opening=opening) for reward in chosen]
    functions = rewards.as_trl_functions(chosen, settings.reward_timeout_seconds)
    return engines.build(word.engine, settings, base, rows, functions, folder, word.plan, ranks, word.start)


def _leave(ranks: "ProcessGroup", reason: str) -> Outcome:
    """The grace period ended before all ranks finished a step."""
    ranks.leave()
    return Interrupted(reason).outcome()


class NullListener:
    """The listener of a rank that decides nothing and writes nothing."""

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        """Rank 0 writes it."""

    def on_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        """Rank 0 writes those of all ranks."""

    def on_save(self, step: int, written: Path) -> None:
        """Rank 0 makes it a checkpoint."""

    def on_progress(self) -> None:
        """Rank 0's watchdog covers all ranks: none can proceed without the others."""

    def measure(self, step: int) -> dict[str, float]:
        return {}

    def should_save(self, step: int) -> bool:
        return False

    def should_stop(self, step: int) -> bool:
        return False

    def asked_to_stop(self) -> str | None:
        return self.interruption.asked

    def stop_too(self, reason: str) -> None:
        """Rank 0 decides it."""
