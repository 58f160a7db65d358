"""The commands that rank 0 broadcasts and the other ranks receive. Imports no torch.

Rank 0 runs `job.py`; the others, in `worker.py`, load and train when it says so.
The words between them are the classes here. How they travel is in `engines/process_group.py`, as what in
`engines/words.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from grpo_job.outcomes import Outcome

if TYPE_CHECKING:
    from grpo_job.planner.plan import Plan


class Load(NamedTuple):
    """Build the engine, as rank 0 does now; the rows are shared after it."""

    engine: str
    plan: Plan | None
    model_commit: str | None
    start: Path | None  # the start adapter's weights, in the run folder
    shape: dict[str, Any]  # the settings that are the start adapter's


class Train(NamedTuple):
    """Train, from the checkpoint in this folder where there is one."""

    resume_from: Path | None


class Answer(NamedTuple):
    """Answer prompts together; which and how is shared after it."""


class LoadAdapter(NamedTuple):
    """Go on with the LoRA weights of this file."""

    weights: Path


class TakeRows(NamedTuple):
    """Train on other rows, of which the longest prompt has so many tokens; they are shared behind it."""

    longest: int


class Asked(NamedTuple):
    """Shared: prompts for all ranks together, and the options of `Engine.generate`."""

    prompts: Any
    options: dict[str, Any]


class Decision(NamedTuple):
    """Shared: what is done after a step, on all ranks alike."""

    log: bool
    save: bool
    stop: bool


class Process(NamedTuple):
    """Which process a rank is, with a random number that no other attempt has."""

    host: str
    pid: int
    created: float
    nonce: str


Command = Load | Train | Answer | LoadAdapter | TakeRows | Outcome


class Ranks(Protocol):
    """This process and the others of its run."""

    number: int
    count: int

    def broadcast(self, word: Command) -> None:
        """From rank 0 to all others. Raises `Interrupted` where one of them was asked to stop."""

    def share(self, value: Any) -> Any:
        """Rank 0's `value`, on every rank; all call it together."""

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, on every rank; all call it together."""

    def barrier(self) -> None:
        """Wait for all."""

    def lost(self, wait: float = 0.0) -> Outcome | None:
        """How another rank ended before its time, where one did; looked for so many seconds. From any thread."""

    def end(self, ending: Outcome) -> bool:
        """Rank 0 sends how the run ended. Returns whether all others have heard it; on another rank, whether it has."""


class OneProcess:
    """A run that has no other process."""

    number, count = 0, 1

    def broadcast(self, word: Command) -> None:
        """Nobody listens."""

    def share(self, value: Any) -> Any:
        return value

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def barrier(self) -> None:
        """Nobody to wait for."""

    def lost(self, wait: float = 0.0) -> Outcome | None:
        return None

    def end(self, ending: Outcome) -> bool:
        return True


ALONE = OneProcess()
