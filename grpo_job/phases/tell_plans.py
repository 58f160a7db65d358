"""`grpo-job plan`: on which GPU a run fits, how long it takes and what it costs: estimates. Needs no GPU."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grpo_job.inputs import base_model
from grpo_job.monitoring.wrapping import columns_of, wrapped
from grpo_job.outcomes import InvalidRun
from grpo_job.planner import choose, gpus, known_models
from grpo_job.planner.shapes import GB, ModelShape
from grpo_job.preflight import estimate, model, training_rows
from grpo_job.preflight.gpu import LEAST_CAPABILITY, unused
from grpo_job.runtime.world import layout
from grpo_job.settings import global_batch
from grpo_job.settings.primitives import split_commas
from grpo_job.settings.schema import Settings

MIB = 2**20
ENGINE = 4  # its column in the table


class Told(NamedTuple):
    """The run on one machine. `minutes` and `dollars` are estimates; `why_not` says why it does not run there."""

    gpu: str
    memory_gb: float
    fits: bool
    engine: str = ""
    in_4bit: bool = False
    planned_gb: float = 0.0
    step_seconds: float = 0.0
    minutes: float = 0.0
    dollars: float | None = None
    why_not: str = ""


class Plans(NamedTuple):
    """One line per GPU, and what they were made from."""

    told: list[Told]
    run: str
    note: str

    @property
    def smallest(self) -> Told | None:
        """The machine with the least memory on which the run fits."""
        return min((one for one in self.told if one.fits), key=lambda one: one.memory_gb, default=None)

    @property
    def cheapest(self) -> Told | None:
        priced = [one for one in self.told if one.dollars is not None]
        return min(priced, key=lambda one: one.dollars or 0.0, default=None)

    def as_json(self) -> str:
        smallest, cheapest = (one.gpu if one else None for one in (self.smallest, self.cheapest))
        named = {"run": self.run, "note": self.note, "estimates": True, "off_by": estimate.OFF_BY}
        told = [one._asdict() for one in self.told]
        return json.dumps({**named, "gpus": told, "smallest": smallest, "cheapest": cheapest}, indent=1)

    def lines(self, columns: int | None = None) -> list[str]:
        """For a terminal of so many `columns`, by default the present one; a narrow one has no room for the engine."""
        columns = columns or columns_of(1)
        rows = [("GPU", "memory", "fits", "planned", "engine", "a step", "whole run", "cost"), *map(_row, self.told)]
        table = _aligned(rows)
        if columns and max(map(len, table)) > columns:
            table = _aligned([(*row[:ENGINE], *row[ENGINE + 1 :]) for row in rows])
        refused = [f"{one.gpu}: {one.why_not}" for one in self.told if not one.fits]
        before, after = [self.run, *([self.note] if self.note else [])], [*refused, *self._closing()]
        before, after = ([wrapped(line, columns) for line in each] for each in (before, after))
        return [*before, "", *table, "", *after]

    def _closing(self) -> list[str]:
        smallest, cheapest = self.smallest, self.cheapest
        said = f"the smallest that fits: {smallest.gpu}" if smallest else "the run fits on none of these"
        money = f"; the cheapest: {cheapest.gpu}" if cheapest else "; for the cost: --price H100=2.50,L4=0.80"
        return [
            f"{said}{money if smallest else ''}",
            f"Times and costs are estimates and may be off by {estimate.OFF_BY:g}x.",
        ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _row(one: Told) -> tuple[str, ...]:
    memory = f"{one.memory_gb:.0f} GB"
    if not one.fits:
        return (one.gpu, memory, "no", "", "", "", "", "")
    cost = "" if one.dollars is None else f"~ ${one.dollars:.2f}"
    fits = "in 4 bits" if one.in_4bit else "yes"
    time, step = estimate.told_time(one.minutes * 60), f"~ {one.step_seconds:.1f} s"
    return (one.gpu, memory, fits, f"{one.planned_gb:.0f} GB", one.engine, step, f"~ {time}", cost)


def plans(settings: Settings, wanted: Sequence[str], prices: Sequence[str]) -> Plans:
    """The run on each machine that is `wanted`, such as `2xH100`; by default on usual ones.

    `prices` in US dollars per GPU and hour: `2.5` for all, or `H100=2.5`. Raises `InvalidRun` with every fault.
    """
    faults: list[str] = []
    machines = []
    for word in split_commas(",".join(wanted)) or gpus.USUAL:
        try:
            machines.append(gpus.wanted(word))
        except InvalidRun as refusal:
            faults += refusal.faults
    try:
        per_hour = read_prices(prices)
    except InvalidRun as refusal:
        raise InvalidRun(*faults, *refusal.faults) from refusal
    if faults:
        raise InvalidRun(*faults)
    config, note = _config(settings)
    steps = _steps(settings)
    told = [on_machine(settings, config, number, kind, steps, per_hour) for number, kind in machines]
    run = (
        f"{settings.model}: {steps} steps of {settings.completions_per_step} completions of at most "
        f"{settings.max_completion_length} tokens, and at most {settings.eval_rows} held-out rows before and after"
    )
    return Plans(told, run, note)


def read_prices(words: Sequence[str]) -> dict[str, float]:
    """`("H100=2.5", "0.8")` as `{"H100": 2.5, "": 0.8}`: by kind of GPU, and for all others."""
    found, faults = {}, []
    for word in split_commas(",".join(words)):
        name, _, price = word.rpartition("=")
        try:
            found[gpus.wanted(name)[1].name if name else ""] = _positive(price)
        except (ValueError, InvalidRun):
            faults.append(
                f"--price {word}: no price of a known GPU was read; allowed: US dollars per GPU and hour, such as 2.5, "
                "or H100=2.5,L4=0.8"
            )
    if faults:
        raise InvalidRun(*faults)
    return found


def _positive(text: str) -> float:
    value = float(text.strip().removeprefix("$"))
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _config(settings: Settings) -> tuple[Mapping[str, Any], str]:
    """The model's config.json, and a note where it is not the model's own that was read."""
    try:
        return model.config_of(base_model.fetch(settings.model, settings.model_revision, weights=False)), ""
    except InvalidRun:
        if config := known_models.config(settings.model):
            return config, "config.json could not be read; using the built-in shape of this model"
        raise


def _steps(settings: Settings) -> int:
    if settings.max_steps > 0:
        return global_batch.planned_steps(settings, 0)
    rows = training_rows.rows_of(settings)
    if rows is None:
        raise InvalidRun(
            "GRPO_MAX_STEPS: -1 was given, and the rows that epochs are counted by cannot be read: `grpo-job check` "
            "says why; allowed here: a number of steps"
        )
    return global_batch.planned_steps(settings, len(rows.train))


def on_machine(
    settings: Settings,
    config: Mapping[str, Any],
    number: int,
    kind: gpus.Kind,
    steps: int,
    per_hour: Mapping[str, float],
) -> Told:
    """The run on `number` GPUs of one `kind`; `per_hour` as from `read_prices`."""
    name, memory = f"{number}x{kind.name}" if number > 1 else kind.name, number * kind.memory_mib * MIB / GB
    if kind.capability < LEAST_CAPABILITY:
        capability = ".".join(map(str, kind.capability))
        return Told(name, memory, False, why_not=f"compute capability {capability}; CUDA 13 of the lock needs 7.5")
    seen = unused(kind)
    try:
        places = layout(settings, {}, number)
        engine = choose.choose(settings, config, seen, places)
        plan = choose.plan(settings, config, seen, layout=places)
    except InvalidRun as refusal:
        return Told(name, memory, False, why_not=refusal.faults[0].splitlines()[0])
    share = global_batch.share(settings, places.world)
    share = share.model_copy(update={"eval_rows": -(-share.eval_rows // places.world)})
    guess = estimate.of_run(share, ModelShape.from_config(config), engine, seen, plan, steps)
    price = per_hour.get(kind.name, per_hour.get("", None))
    machine = price * number if price is not None else settings.price_per_hour
    dollars = None if machine is None else round(machine * guess.total / 3600, 2)
    step, minutes = round(guess.step, 3), round(guess.total / 60, 1)
    return Told(name, memory, True, engine, plan.load_in_4bit, plan.memory.total / GB, step, minutes, dollars)
