"""Groups of completions outside TRL's trainer: asked for, handed back to it, and told in its metrics and logs."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from statistics import fmean
from typing import Any, NamedTuple

import torch
from accelerate.utils import gather_object
from trl.trainer.utils import nanstd

ALIKE = 1e-6  # relative to the largest reward: sums that differ by less differ by rounding
SMALLEST = {"completions/min_length": min, "completions/min_terminated_length": min}
LARGEST = {"completions/max_length": max, "completions/max_terminated_length": max}


class Group(NamedTuple):
    """One row's prompt and completions as TRL's `_generate` returns them, a list entry a completion.

    `rewards`: [completions, reward functions] on the CPU, unweighted, NaN where a function returned None.
    `extra`: the columns that rewards gave to TRL's `log_extra`.
    """

    row: int
    prompts: list[Any]
    prompt_ids: list[list[int]]
    completion_ids: list[list[int]]
    completions: list[Any]
    log_probs: list[Any] | None
    extra: dict[str, list[Any]]
    rewards: torch.Tensor


def asked(trainer: Any, rows: Sequence[int]) -> list[Group]:
    """The groups of these rows from all ranks, in the order of the rows; each rank generates its part."""
    size, own = trainer.num_generations, [row for row in _share(trainer, rows) for _ in range(trainer.num_generations)]
    inputs = [trainer.train_dataset[row] for row in own]
    prompts = [row["prompt"] for row in inputs]
    prompt_ids, completion_ids, _, completions, log_probs, *_ = trainer._generate(prompts)
    rewards = trainer._calculate_rewards(inputs, prompts, completions, completion_ids).cpu()  # those of all ranks
    parts = (prompts, prompt_ids, completion_ids, completions, log_probs)
    extra = {name: values for name, values in trainer._pending_extra_logs.items() if len(values) == len(own)}
    trainer._pending_extra_logs.clear()
    found = gather_object(
        [
            [*(part and part[at : at + size] for part in parts), {name: extra[name][at : at + size] for name in extra}]
            for at in range(0, len(own), size)
        ]
    )
    return [Group(*one) for one in zip(rows, *zip(*found, strict=True), rewards.split(size), strict=True)]


def _share(trainer: Any, everything: Sequence[Any]) -> Sequence[Any]:
    """This rank's part of what all ranks have."""
    each, rank = len(everything) // trainer.accelerator.num_processes, trainer.accelerator.process_index
    return everything[rank * each : (rank + 1) * each]


def has_spread(group: Group, trainer: Any) -> bool:
    """Whether completions of the group get different advantages."""
    scored = group.rewards[~group.rewards.isnan().all(dim=1)]
    paid = scored * trainer.reward_weights.cpu()
    if not len(paid):
        return False
    if trainer.multi_objective_aggregation == "sum_then_normalize":
        paid = paid.nansum(dim=1, keepdim=True)
    low, high = paid.nan_to_num(torch.inf).amin(dim=0), paid.nan_to_num(-torch.inf).amax(dim=0)
    return bool((high - low > ALIKE * torch.maximum(low.abs(), high.abs())).any())


@contextmanager
def handed_to(trainer: Any, groups: Sequence[Group]) -> Iterator[list[dict[str, Any]]]:
    """Within, the trainer gets these groups where it would generate and score; yields this rank's rows for it."""
    own = _share(trainer, groups)

    def joined(part: str) -> list[Any]:
        return list(chain.from_iterable(getattr(group, part) for group in own))

    log_probs = joined("log_probs") if own[0].log_probs else None
    ids = joined("prompt_ids"), joined("completion_ids")
    nothing_more: tuple[Any, ...] = {}, None, []  # extra fields, images, those of tools
    rewards = torch.cat([group.rewards for group in groups]).to(trainer.accelerator.device)
    trainer._generate = lambda *_: (*ids, None, joined("completions"), log_probs, *nothing_more)
    trainer._calculate_rewards = lambda *_: rewards
    for name in dict.fromkeys(name for group in own for name in group.extra):
        trainer._pending_extra_logs[name] = list(chain.from_iterable(_extra(group, name) for group in own))
    try:
        yield [trainer.train_dataset[group.row] for group in own for _ in group.prompts]
    finally:
        del trainer._generate, trainer._calculate_rewards


def tell_rewards(trainer: Any, generated: Sequence[Group], earlier: Sequence[Sequence[float]]) -> None:
    """Replace TRL's metrics of the rewards, which are those of the groups it was given, by those of all `generated`.

    `earlier`: what each reward paid on average to the completions of a row that was left out.
    """
    metrics = trainer._metrics["train"]
    remembered = [torch.tensor([list(paid)] * trainer.num_generations) for paid in earlier]
    paid = torch.cat([*(group.rewards for group in generated), *remembered])
    total = (paid * trainer.reward_weights.cpu()).nansum(dim=1)
    total[paid.isnan().all(dim=1)] = torch.nan
    metrics["reward"][-1], metrics["reward_std"][-1] = total.nanmean().item(), nanstd(total).item()
    for name, values in zip(trainer.reward_func_names, paid.T, strict=True):
        metrics[f"rewards/{name}/mean"][-1] = values.nanmean().item()
        metrics[f"rewards/{name}/std"][-1] = nanstd(values).item()
    flat = [float(not has_spread(group, trainer)) for group in generated]
    metrics["frac_reward_zero_std"][-1] = fmean(flat)


def tell_lengths(trainer: Any, sizes: Sequence[int]) -> None:
    """Join what TRL measured of the completions of each round: `sizes` are the completions of each."""
    for name, values in trainer._metrics["train"].items():
        if name.startswith("completions/"):
            rounds = values[-len(sizes) :]
            extreme = (SMALLEST | LARGEST).get(name)
            values[-len(sizes) :] = [extreme(rounds) if extreme else fmean(rounds, sizes)]


def log_dropped(trainer: Any, groups: Sequence[Group]) -> None:
    """Add completions that are not learned from to those that the callback reads, with an advantage of 0."""
    logs = trainer._logs
    told = {"prompt": "prompts", "completion": "completions"}
    for name, part in told.items():
        logs[name] = deque([*logs[name], *chain.from_iterable(getattr(group, part) for group in groups)])
    for place, name in enumerate(trainer.reward_func_names):
        paid = chain.from_iterable(group.rewards[:, place].tolist() for group in groups)
        logs["rewards"][name] = deque([*logs["rewards"][name], *paid])
    for name in dict.fromkeys([*logs["extra"], *(name for group in groups for name in group.extra)]):
        values = logs["extra"][name] or [None] * len(logs["advantages"])
        logs["extra"][name] = deque([*values, *chain.from_iterable(_extra(group, name) for group in groups)])
    logs["advantages"] = deque([*logs["advantages"], *(0.0 for group in groups for _ in group.prompts)])


def _extra(group: Group, name: str) -> list[Any]:
    return group.extra.get(name, [None] * len(group.prompts))


def forget(logs: dict[str, Any]) -> None:
    """Clear the completions of the last generation."""
    for values in (logs["prompt"], logs["completion"], logs["advantages"], *logs["rewards"].values()):
        values.clear()
    logs["extra"].clear()
