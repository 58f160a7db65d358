"""Everything that can be checked without a GPU is checked first. Needs no torch; reports all faults at once.

One file per kind of check. Each check is a small function that returns a `Finding`; this file runs them in order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from grpo_job.inputs import base_model, dataset
from grpo_job.inputs.chat_template import Chat
from grpo_job.inputs.start_adapter import StartAdapter
from grpo_job.monitoring import trackers
from grpo_job.monitoring.library_log import libraries_write_to_stderr
from grpo_job.planner import choose
from grpo_job.planner.plan import Plan
from grpo_job.planner.shapes import ModelShape
from grpo_job.planner.wishes import MemoryLimit
from grpo_job.preflight import (
    clients,
    engine_options,
    estimate,
    evaluation,
    gpu,
    license,
    model,
    no_effect,
    resources,
    versions,
)
from grpo_job.preflight import rewards as reward_checks
from grpo_job.preflight import rows as row_checks
from grpo_job.preflight import start as start_checks
from grpo_job.preflight.destinations import Places
from grpo_job.preflight.findings import Finding, Findings
from grpo_job.rewards import Reward
from grpo_job.rewards import load as load_rewards
from grpo_job.runtime import machine
from grpo_job.runtime.world import ONE, Layout, layout
from grpo_job.settings import global_batch
from grpo_job.settings.global_batch import planned_steps
from grpo_job.settings.schema import Settings


class Checked(NamedTuple):
    """What the checks found, for the run to use. `example`: in the prompts of `rows` in addition to GRPO_EXAMPLE."""

    base: base_model.BaseModel
    engine: str
    rows: dataset.Rows
    rewards: list[Reward]
    gpus: list[machine.GpuSeen]
    plan: Plan | None
    findings: list[Finding]
    layout: Layout = ONE
    choosing: Sequence[dict[str, Any]] = ()  # training rows set apart to evaluate on during training
    example: str = ""
    start: StartAdapter | None = None


class Examined(NamedTuple):
    """Every finding; `checked` is None if one failed, or if the run needs another machine.

    What was read in spite of that is there too, for `check` to show.
    """

    findings: Findings
    checked: Checked | None
    chosen: list[Reward] | None = None
    rows: dataset.Rows | None = None
    chat: Chat | None = None


def check(
    settings: Settings,
    environment: Mapping[str, str],
    within: MemoryLimit | None = None,
    rows: dataset.Rows | None = None,
    start: StartAdapter | None = None,
) -> Checked:
    """Run all checks; `within` limits the plan's memory, `rows` and `start` are those that were read already.

    Raises `InvalidRun` with every fault.
    """
    examined = _Examination(settings, environment, within=within, rows=rows, start=start).whole()
    if examined.checked is None:
        raise examined.findings.refusal()
    return examined.checked


def examine(
    settings: Settings,
    environment: Mapping[str, str],
    *,
    offline: bool = False,
    elsewhere: bool = False,
    start: StartAdapter | None = None,
) -> Examined:
    """Run all checks. `offline`: no network requests. `elsewhere`: this machine needs no GPU."""
    return _Examination(settings, environment, offline=offline, elsewhere=elsewhere, start=start).whole()


@dataclass
class _Examination:
    """The checks in order, with the results that later checks use."""

    settings: Settings
    environment: Mapping[str, str]
    offline: bool = False
    elsewhere: bool = False
    within: MemoryLimit | None = None
    rows: dataset.Rows | None = None
    start: StartAdapter | None = None
    found: Findings = field(default_factory=Findings)
    layout: Layout = ONE
    choosing: list[dict[str, Any]] = field(default_factory=list)

    @libraries_write_to_stderr()  # what is checked may be other people's code, which writes what it likes
    def whole(self) -> Examined:
        settings, environment, offline = self.settings, self.environment, self.offline
        self.found.gather("client variables", lambda: clients.findings(settings, environment))
        self.found += no_effect.findings(settings)
        self.gpus = self.found.attempt("GPU", lambda: machine.gpus(self.environment.get("CUDA_VISIBLE_DEVICES")))
        chosen = self.found.attempt(
            "rewards",
            lambda: load_rewards(settings.rewards, settings.reward_path, settings.reward_options, settings.measure),
        )
        measured = self.found.attempt("measure", lambda: reward_checks.measure(settings))
        base, config, chat = self.found.attempt("model", self._model) or (None, None, None)
        largest = resources.largest_file(config, settings) if config else 0
        places = Places(settings, environment, offline=offline, largest=largest)
        self.start = start_checks.examined(self.start, base, settings, environment, self.found, offline=offline)
        engine, plan = self.found.attempt("machine", partial(self._machine, base, config)) or (None, None)
        rows = self.found.attempt("rows", lambda: self._rows(chat, reward_checks.need_gold(chosen, measured)))
        if chosen and chat:
            opening = self.found.attempt("tokenizer", chat.opening) or ""
            chosen = [reward._replace(opening=opening) for reward in chosen]
        if rows and chosen:
            self._outcome(chosen, measured or [], rows, chat, partial(self._estimate, config, engine, plan, rows))
        lacking = trackers.faults(settings.report_to, environment)
        self.found += [Finding("failed", "trackers", fault) for fault in lacking]
        self.found += places.findings()
        if self.found.faults() or not (base and engine and rows and chosen and self.gpus is not None):
            return Examined(self.found, None, chosen, rows, chat)
        seen = base, engine, rows, chosen, self.gpus, plan, self.found, self.layout, self.choosing
        checked = Checked(*seen, start=self.start)
        return Examined(self.found, checked, chosen, rows, chat)

    def _model(self) -> tuple[base_model.BaseModel | None, dict[str, Any] | None, Chat | None]:
        settings, found = self.settings, self.found
        fetch = partial(base_model.fetch, settings.model, settings.model_revision, weights=False)
        base = found.attempt("model", fetch, offline=self.offline)
        if base is None:
            return None, None, None
        found.gather("model", lambda: (model.exists(base, settings), license.finding(base)))
        config = found.attempt("model", lambda: model.config_of(base))
        chat = found.attempt("tokenizer", lambda: model.chat_of(base, settings))
        if config:
            found.gather("model", lambda: model.findings(base, config, settings))
        if config and chat:
            found.gather("tokenizer", lambda: [model.tokenizer(base, chat, config), *model.unread_options(chat)])
        return base, config, chat

    def _machine(
        self, base: base_model.BaseModel | None, config: Mapping[str, Any] | None
    ) -> tuple[str | None, Plan | None]:
        if self.gpus is None or not base or not config:
            return None, None
        settings, shape = self.settings, ModelShape.from_config(config)
        if not self.gpus and self.elsewhere and gpu.is_wanted(settings, shape):
            self.found.append(gpu.needed_elsewhere(settings, config, shape))
            return None, None
        gpus = len(self.gpus)
        places = self.found.attempt("processes", lambda: layout(settings, self.environment, gpus))
        if places is None:
            return None, None
        self.layout, first = places, self.gpus[0] if self.gpus else None
        engine = self.found.attempt("engine", lambda: choose.choose(settings, config, first, places, self.within))
        if engine is None:
            return None, None
        plan = None
        if first:
            plan = self.found.attempt("GPU memory", lambda: choose.plan(settings, config, first, self.within, places))
            self.found += gpu.findings(self.gpus, plan, self.environment)
        self.found += engine_options.findings(settings, gpus)
        self.found.gather("outputs", lambda: resources.findings(base, shape, settings, gpus, places.processes))
        self.found.gather("versions", lambda: versions.findings(engine, gpus, settings))
        return engine, plan

    def _rows(self, chat: Chat | None, needs_gold: bool) -> dataset.Rows | None:
        """Also without a tokenizer: then their other faults are found, and no lengths."""
        settings = self.settings
        for name in (settings.dataset, settings.eval_dataset or ""):
            if self.offline and name.startswith("s3://"):
                self.found.append(Finding("skipped", "rows", f"{name} was not checked because of --offline"))
                return None
        lengths = chat.lengths if chat else lambda prompts: [0] * len(prompts)
        rows = self.rows or self.found.attempt(
            "rows", lambda: dataset.load(settings, lengths, needs_gold=needs_gold), offline=self.offline
        )
        if not rows:
            return None
        apart = self.found.attempt("rows to choose by", lambda: evaluation.set_apart(rows, settings))
        left, self.choosing = apart or (rows, [])
        self.found.gather("rows", lambda: row_checks.findings(left, settings, measured=chat is not None))
        if chat:
            self.found.gather("rows", lambda: row_checks.templated(left, chat.own_tokens(), settings))
        if chat and settings.warm_start_steps:
            ids = chat.ids
            solved = partial(row_checks.solutions, left, lambda texts: list(map(len, ids(texts))), settings)
            self.found.gather("rows", lambda: [solved()])
        return left

    def _outcome(
        self,
        chosen: Sequence[Reward],
        measured: Sequence[Reward],
        rows: dataset.Rows,
        chat: Chat | None,
        estimated: Callable[[], estimate.Estimate | None],
    ) -> None:
        """What the rewards pay, how long the run takes, and what its evaluation can show."""
        ids = chat.completion_ids if chat else None
        self.found.gather("rewards", lambda: reward_checks.findings(chosen, rows.train, self.settings, ids))
        self.found.gather("measure", lambda: reward_checks.failing(measured, rows.train, self.settings, ids))
        guess = self.found.attempt("estimate", estimated)
        measure = evaluation.measure_of(self.settings, chosen, rows.train)
        self.found.gather("evaluation", lambda: evaluation.findings(rows, self.choosing, self.settings, guess, measure))

    def _share(self, rows: dataset.Rows) -> Settings:
        """The settings of one process, with its share of the rows that are evaluated."""
        processes = self.layout.world
        asked = {"eval_rows": len(rows.held_out), "eval_steps_rows": len(self.choosing)}
        shares = {name: -(-number // processes) for name, number in asked.items()}
        return global_batch.share(self.settings, processes).model_copy(update=shares)

    def _estimate(
        self, config: Mapping[str, Any] | None, engine: str | None, plan: Plan | None, rows: dataset.Rows
    ) -> estimate.Estimate | None:
        """None where it is not known on what the run would train."""
        if not config or not engine or (self.gpus and not plan):
            return None
        first, steps = self.gpus[0] if self.gpus else None, planned_steps(self.settings, len(rows.train))
        shape = ModelShape.from_config(config)
        guess = estimate.of_run(self._share(rows), shape, engine, first, plan, steps)
        self.found += estimate.findings(guess, self.settings)
        return guess
