"""Replaces groups with zero reward std, which give no gradient, by fresh prompts (dynamic sampling).

DAPO, section 3.2 (arXiv:2503.14476), with a bound on the rounds. Rows come from the stream of seeded permutations that
`RowStream` gives too. How far a run is in it, and which rows are left out, depends on rewards: the checkpoint has it.
"""

import json
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job.engines.trainer import groups
from grpo_job.engines.trainer.groups import Group, has_spread
from grpo_job.engines.trainer.sampler import permutation
from grpo_job.settings.schema import Settings

STATE = "dynamic_sampling.json"


class LeftOut(NamedTuple):
    """A row that misses its next `turns`, and what each reward paid it on average when it was last asked."""

    turns: int
    paid: list[float]


class DynamicSampling:
    """Which rows a generation asks, and which of their groups are learned from."""

    def __init__(self, settings: Settings) -> None:
        self.rounds, self.turns = settings.dynamic_sampling, settings.skip_solved
        self.position = 0  # in the stream of rows
        self.left_out: dict[int, LeftOut] = {}

    @property
    def is_on(self) -> bool:
        """Whether anything differs from TRL's own trainer."""
        return bool(self.rounds or self.turns)

    def save(self, folder: Path) -> None:
        """Write the state into a checkpoint."""
        state = {"position": self.position, "left_out": sorted(self.left_out.items())}
        (folder / STATE).write_text(json.dumps(state), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Continue from the state in a checkpoint."""
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        self.position, self.left_out = state["position"], {row: LeftOut(*one) for row, one in state["left_out"]}

    def generate_and_score(self, trainer: Any, score: Any) -> Any:
        """What `score`, TRL's own method, returns for the groups that were chosen. All ranks choose alike.

        Groups without spread are among them only where the rounds did not find enough others.
        """
        groups.forget(trainer._logs)
        passed_over: list[LeftOut] = []
        rounds = self._rounds(trainer, passed_over)
        generated = [group for one in rounds for group in one]
        flat = [group for group in generated if not has_spread(group, trainer)]
        if self.turns:
            self.left_out |= {one.row: LeftOut(self.turns, one.rewards.nanmean(dim=0).tolist()) for one in flat}
        ordered = [*(group for group in generated if has_spread(group, trainer)), *flat]
        kept, dropped = ordered[: len(rounds[0])], ordered[len(rounds[0]) :]
        with groups.handed_to(trainer, kept) as rows:
            scored = score(rows)
        groups.tell_rewards(trainer, generated, [one.paid for one in passed_over])
        groups.tell_lengths(trainer, [len(one) for one in rounds])
        groups.log_dropped(trainer, dropped)
        metrics = trainer._metrics["train"]
        metrics["dynamic/rounds"].append(len(rounds) - 1)
        metrics["dynamic/completions"].append(len(generated) * trainer.num_generations)
        metrics["dynamic/dropped"].append(len(dropped) / len(generated))
        metrics["dynamic/left_out"].append(len(passed_over))
        return scored

    def _rounds(self, trainer: Any, passed_over: list[LeftOut]) -> list[list[Group]]:
        """The groups of a whole generation, and of each further round, which asks as many as have no spread yet."""
        wanted, ranks = trainer.args.generation_batch_size // trainer.num_generations, trainer.accelerator.num_processes
        rounds = [groups.asked(trainer, self._take(trainer, wanted, passed_over))]
        for _ in range(self.rounds):
            generated = [group for one in rounds for group in one]
            missing = wanted - sum(has_spread(group, trainer) for group in generated)
            asked = {group.row for group in generated}
            for_each = min(-(-missing // ranks), (len(trainer.train_dataset) - len(asked)) // ranks)
            if for_each <= 0:
                break
            trainer.callback.listener.on_progress()
            rounds.append(groups.asked(trainer, self._take(trainer, for_each * ranks, passed_over, asked)))
        return rounds

    def _take(
        self, trainer: Any, number: int, passed_over: list[LeftOut], asked: Collection[int] = frozenset()
    ) -> list[int]:
        """The next `number` different rows of the stream that are neither asked nor left out."""
        taken: list[int] = []
        stream = self._stream(trainer)
        while len(taken) < number:
            row = next(stream)
            self.position += 1
            if one := self.left_out.pop(row, None):
                passed_over.append(one)
                if one.turns > 1:
                    self.left_out[row] = one._replace(turns=one.turns - 1)
            elif row not in asked and row not in taken:
                taken.append(row)
        return taken

    def _stream(self, trainer: Any) -> Iterator[int]:
        """Rows from `position` on."""
        rows, shuffle, seed = len(trainer.train_dataset), trainer.shuffle_dataset, trainer.args.seed
        passes, place = divmod(self.position, rows)
        for number in count(passes):
            yield from permutation(rows, number, shuffle=shuffle, seed=seed)[place:]
            place = 0
