"""Everything that can be checked without a GPU is checked first. Needs no torch; reports all faults at once.

One file per kind of check. Each check is a small function that returns a `Finding`; this file runs them in order.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job.inputs import base_model, dataset
from grpo_job.inputs.chat_template import Chat
from grpo_job.inputs.sources import RowSource
from grpo_job.monitoring import trackers
from grpo_job.outcomes import InvalidRun
from grpo_job.planner import choose
from grpo_job.planner.plan import MemoryLimit, Plan
from grpo_job.planner.shapes import Gpu, ModelShape
from grpo_job.preflight import estimate, gpu, license, model, resources, versions
from grpo_job.preflight import rewards as reward_checks
from grpo_job.preflight import rows as row_checks
from grpo_job.preflight.destinations import Places
from grpo_job.preflight.findings import Finding, Findings, Status
from grpo_job.rewards import Reward
from grpo_job.rewards import load as load_rewards
from grpo_job.runtime import machine
from grpo_job.runtime.world import ONE, Layout, layout
from grpo_job.settings import global_batch
from grpo_job.settings.engines import ENGINES
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
    example: str = ""


class Examined(NamedTuple):
    """Every finding; `checked` is None if one failed, or if the run needs another machine."""

    findings: Findings
    checked: Checked | None


def check(settings: Settings, environment: Mapping[str, str], within: MemoryLimit | None = None) -> Checked:
    """Run all checks; `within` limits the plan's memory. Raises `InvalidRun` with every fault."""
    examined = _Examination(settings, environment, within=within).whole()
    if examined.checked is None:
        raise InvalidRun(*examined.findings.faults())
    return examined.checked


def examine(
    settings: Settings, environment: Mapping[str, str], *, offline: bool = False, elsewhere: bool = False
) -> Examined:
    """Run all checks. `offline`: no network requests. `elsewhere`: this machine needs no GPU."""
    return _Examination(settings, environment, offline=offline, elsewhere=elsewhere).whole()


class _Examination:
    """The checks in order, with the results that later checks use."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        *,
        offline: bool = False,
        elsewhere: bool = False,
        within: MemoryLimit | None = None,
    ) -> None:
        self.settings, self.environment = settings, environment
        self.offline, self.elsewhere, self.within = offline, elsewhere, within
        self.found, self.layout = Findings(), ONE

    def whole(self) -> Examined:
        settings = self.settings
        places = Places(settings, self.environment, offline=self.offline)
        self.gpus = self.found.attempt("GPU", lambda: machine.gpus(self.environment.get("CUDA_VISIBLE_DEVICES")))
        chosen = self.found.attempt(
            "rewards", lambda: load_rewards(settings.rewards, settings.reward_path, settings.reward_options)
        )
        self.found.attempt("measure", lambda: reward_checks.measurable(settings))
        base, config, chat = self._model()
        engine, plan = self._machine(base, config) if base and config else (None, None)
        rows = self._rows(chat, needs_gold=any(reward.wants_answer() for reward in chosen or ()) or not chosen)
        if rows and chosen:
            self.found += reward_checks.findings(chosen, rows.train, settings, chat.ids if chat else None)
        if rows and config and engine and (plan or not self.gpus):
            self._estimate(ModelShape.from_config(config), engine, plan, len(rows.train))
        self.found += [Finding("failed", "trackers", fault) for fault in trackers.missing(settings.report_to)]
        self.found += places.findings()
        if self.found.faults() or not (base and engine and rows and chosen and self.gpus is not None):
            return Examined(self.found, None)
        return Examined(self.found, Checked(base, engine, rows, chosen, self.gpus, plan, self.found, self.layout))

    def _model(self) -> tuple[base_model.BaseModel | None, dict[str, Any] | None, Chat | None]:
        settings, found = self.settings, self.found
        local = settings.model == "sample" or Path(settings.model).expanduser().is_dir()
        missing: Status = "skipped" if self.offline and not local else "failed"
        fetch = partial(base_model.fetch, settings.model, settings.model_revision, weights=False)
        base = found.attempt("model", fetch, refused=missing)
        if base is None:
            return None, None, None
        found += [model.exists(base, settings), license.finding(base)]
        config = found.attempt("model", lambda: model.config_of(base))
        chat = found.attempt("tokenizer", lambda: model.chat_of(base))
        if config:
            found += model.findings(base, config, settings)
        if config and chat:
            found.append(model.tokenizer(base, chat, config))
        return base, config, chat

    def _machine(self, base: base_model.BaseModel, config: Mapping[str, Any]) -> tuple[str | None, Plan | None]:
        settings, shape = self.settings, ModelShape.from_config(config)
        if self.gpus is None:
            return None, None
        if not self.gpus and self.elsewhere and _wants_gpu(settings, shape):
            self._say_what_gpu_is_needed(config, shape)
            return None, None
        gpus = len(self.gpus)
        places = self.found.attempt("processes", lambda: layout(settings, self.environment, gpus))
        if places is None:
            return None, None
        self.layout = places
        engine = self.found.attempt("engine", lambda: choose.choose(settings, config, gpus, places.world))
        if engine is None:
            return None, None
        plan = None
        if self.gpus:
            first = self.gpus[0]
            plan = self.found.attempt("GPU memory", lambda: choose.plan(settings, config, first, self.within, places))
            self.found += gpu.findings(self.gpus, plan)
        self.found += resources.findings(base, shape, settings, gpus, places.processes)
        self.found += versions.findings(engine, len(self.gpus), settings)
        return engine, plan

    def _say_what_gpu_is_needed(self, config: Mapping[str, Any], shape: ModelShape) -> None:
        def plan_on(size: Gpu) -> Plan:
            seen = machine.GpuSeen(size.name, "", int(size.memory / 2**20), 0, "", size.capability)
            return choose.plan(self.settings, config, seen)

        fits = gpu.needed_elsewhere(shape, plan_on)
        message = f"this machine has none, so GPU, disk, memory and versions were not checked; {fits}"
        self.found.append(Finding("skipped", "GPU", message))

    def _rows(self, chat: Chat | None, needs_gold: bool) -> dataset.Rows | None:
        """Also without a tokenizer: then their other faults are found, and no lengths."""
        settings = self.settings
        measuring = row_checks.Measuring(chat.lengths if chat else lambda prompts: [0] * len(prompts))
        named = [name for name in (settings.dataset, settings.eval_dataset) if name]
        local = all(RowSource("GRPO_DATASET", name).is_local for name in named)
        missing: Status = "skipped" if self.offline and not local else "failed"
        rows = self.found.attempt(
            "rows", lambda: dataset.load(settings, measuring, needs_gold=needs_gold), refused=missing
        )
        if rows:
            self.found += row_checks.findings(rows, measuring.seen if chat else [], settings)
        if rows and chat and settings.warm_start_steps:
            self.found.append(row_checks.solutions(rows, lambda texts: list(map(len, chat.ids(texts))), settings))
        return rows

    def _share(self) -> Settings:
        """The settings of one process, with its share of the held-out rows."""
        processes = self.layout.world
        rows = -(-self.settings.eval_rows // processes)
        return global_batch.share(self.settings, processes).model_copy(update={"eval_rows": rows})

    def _estimate(self, shape: ModelShape, engine: str, plan: Plan | None, rows: int) -> None:
        first = self.gpus[0] if self.gpus else None
        steps = planned_steps(self.settings, rows)
        guess = estimate.of_run(self._share(), shape, engine, first, plan, steps)
        self.found += estimate.findings(guess, self.settings)


def _wants_gpu(settings: Settings, shape: ModelShape) -> bool:
    runs_here = settings.engine == "auto" or ENGINES[settings.engine].runs(gpus=0)
    return not runs_here or shape.parameters > choose.MOST_PARAMETERS_ON_CPU
