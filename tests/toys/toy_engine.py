"""The file of a toy engine: TRL's trainer on a CPU, under a name of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpo_job.engines.interface import RewardFunctions
from grpo_job.engines.ranks import Ranks
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.inputs.base_model import BaseModel
from grpo_job.settings.schema import Settings


class ToyEngine(PlainTrl):
    """Says that it is built, so that a test can tell it from the engine it is made of."""

    def __init__(
        self,
        settings: Settings,
        base: BaseModel,
        rows: Sequence[dict[str, Any]],
        rewards: RewardFunctions,
        folder: Path,
        ranks: Ranks,
    ) -> None:
        super().__init__(settings, base, rows, rewards, folder, ranks)
        print("the toy engine is built")
