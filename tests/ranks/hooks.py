"""What is done inside each process of a run, which has its rank in the environment; of one process, rank 0."""

import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SignalAtStep:
    """The process of `rank` sends itself `number` as it begins `step`."""

    rank: int
    step: int
    number: int

    def __call__(self) -> None:
        _at_step(self.rank, self.step, lambda: os.kill(os.getpid(), self.number))


@dataclass(frozen=True)
class StopInLoad:
    """The process of `rank`, which is not 0, stands still before it has loaded its part."""

    rank: int

    def __call__(self) -> None:
        if int(os.environ.get("RANK", "0")) != self.rank:
            return
        from grpo_job import engines

        engines.build = lambda *_: os.kill(os.getpid(), signal.SIGSTOP)


@dataclass(frozen=True)
class FailAtStep:
    """On `rank`, `step` raises."""

    rank: int
    step: int
    said: str

    def __call__(self) -> None:
        _at_step(self.rank, self.step, self._fail)

    def _fail(self) -> None:
        raise RuntimeError(self.said)


def _at_step(rank: int, step: int, act: Callable[[], object]) -> None:
    """In the process of `rank`, `act` as it begins `step`."""
    if int(os.environ.get("RANK", "0")) != rank:
        return
    from grpo_job.engines.trainer.callback import ListeningCallback

    original = ListeningCallback.on_step_begin

    def begin(callback: Any, args: Any, state: Any, control: Any, **more: Any) -> None:
        original(callback, args, state, control, **more)
        if state.global_step + 1 == step:
            act()

    ListeningCallback.on_step_begin = begin  # type: ignore[method-assign]


@dataclass(frozen=True)
class ShortWatchdog:
    """Seconds in place of minutes without progress are a hang."""

    least_seconds: float

    def __call__(self) -> None:
        from grpo_job.monitoring import watchdog

        defaults = watchdog.Watchdog.__init__.__kwdefaults__
        assert defaults is not None
        # A look is work itself, which is not to be taken for the run's.
        defaults.update(least_seconds=self.least_seconds, tick_seconds=self.least_seconds / 10)


@dataclass(frozen=True)
class ScriptedCompletions:
    """The trainer's completions follow from prompt and place in the group alone, whichever process asks."""

    longest: int = 12

    def __call__(self) -> None:
        from trl import GRPOTrainer

        def generate(trainer: Any, prompt_ids: list[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
            seen: dict[tuple[int, ...], int] = {}
            completions = []
            for ids in map(tuple, prompt_ids):
                place = seen[ids] = seen.get(ids, -1) + 1
                dice = random.Random(f"{ids} {place}")
                tokens = [dice.choice(ids) for _ in range(dice.randint(3, self.longest))]
                completions.append([*tokens, trainer.eos_token_ids[0]])
            return completions, None

        GRPOTrainer._generate_single_turn = generate


@dataclass(frozen=True)
class WithDdp:
    """Gradients are averaged by accelerate's DDP in place of ours."""

    def __call__(self) -> None:
        from grpo_job.engines import trl_cpu

        trl_cpu.in_place_of_ddp = lambda trainer, ranks: None
