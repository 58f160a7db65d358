"""All that can be checked before a GPU is paid for. Needs no torch; every fault is found at once."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job import base_model, dataset, engines, machine, rewards
from grpo_job.chat import Chat
from grpo_job.engines.gpu_plan import Plan
from grpo_job.failures import Refused
from grpo_job.settings import Settings
from grpo_job.stores import open_store


class Checked(NamedTuple):
    """What the checks found out, for the run to go on with."""

    base: base_model.BaseModel
    engine: str
    rows: dataset.Rows
    rewards: list[rewards.Reward]
    gpus: list[machine.GpuSeen]
    plan: Plan | None


def check(settings: Settings, environment: Mapping[str, str]) -> Checked:
    """Check all parts. Raises `Refused` with every fault found."""
    faults: list[str] = []

    def attempt(step: Callable[[], Any]) -> Any:
        try:
            return step()
        except Refused as refusal:
            faults.extend(refusal.faults)
            return None

    gpus = machine.gpus(environment.get("CUDA_VISIBLE_DEVICES"))
    chosen = attempt(lambda: _rewards(settings))
    base = attempt(lambda: base_model.fetch(settings.model, settings.model_revision, weights=False))
    engine = base and attempt(lambda: engines.choose(settings, base.config(), len(gpus)))
    plan = engine and gpus and attempt(lambda: engines.plan(settings, base.config(), gpus[0]))
    rows = base and attempt(lambda: dataset.load(settings, _token_counter(base)))
    for uri in settings.publish_to:
        store = attempt(partial(open_store, uri, private=settings.publish_private, environment=environment))
        if store:
            attempt(store.check)
    if faults:
        raise Refused(*faults)
    return Checked(base, engine, rows, chosen, gpus, plan or None)


def _rewards(settings: Settings) -> list[rewards.Reward]:
    path = Path(settings.reward_path).expanduser() if settings.reward_path else None
    try:
        return rewards.load(settings.rewards, path)
    except Refused as refusal:
        raise Refused(*(f"GRPO_REWARDS: {fault}" for fault in refusal.faults)) from refusal


def _token_counter(base: base_model.BaseModel) -> Callable[..., list[int]]:
    chat = Chat(base.folder)
    if not chat.has_template():
        raise Refused(
            f"GRPO_MODEL: {base.name!r} was given; its tokenizer has no chat template: take an instruct model"
        )
    return chat.lengths
