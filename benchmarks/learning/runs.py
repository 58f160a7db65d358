"""One run of the benchmark: who trains which yardstick with what, as a command and its environment."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from benchmarks.learning import rows

ROOT = Path(__file__).resolve().parents[2]
Contestant = Literal["job", "tutorial", "trl"]

# The tutorial neither probes nor stops by itself.
TUTORIAL = {"GRPO_RECIPE": "tutorial", "GRPO_PROBE_PROMPTS": "0", "GRPO_HEALTH": "warn"}
# Plain TRL asks no base whether it needs an example: it is given one.
TRL = {"GRPO_SYSTEM_PROMPT": rows.PROMPT, "GRPO_EXAMPLE": "off"}


class Run(BaseModel):
    """`name` says what was set, and is the same for all seeds; `recipe` is a name, or a JSON file of variables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    contestant: Contestant = "job"
    yardstick: rows.Name = "sums2"
    part: rows.Part = "choose"
    seed: int = 1
    recipe: str = "gsm8k"
    settings: dict[str, str] = {}
    timeout: float = 600.0  # seconds
    expected: float = 0.0  # seconds; a sweep with fewer left does not start the run

    @property
    def id(self) -> str:
        return f"{self.name}-{self.yardstick}-{self.seed}"


class Place(BaseModel):
    """Where a run happens: its model, its rows, its results, and the GPU and cores that are its own."""

    model_config = ConfigDict(frozen=True)

    model: str
    out: Path
    gsm8k: Path | None = None
    gpu: int | None = None  # None: the CPU
    cores: str | None = None  # as `taskset -c` takes them
    cache: Path | None = None


def environment(run: Run, place: Place) -> dict[str, str]:
    """The `GRPO_*` variables of the run. The plain TRL script reads model, rows, prompt, rewards and steps of them."""
    train, held_out = rows.write(run.yardstick, place.out / "rows", seed=run.seed, part=run.part, gsm8k=place.gsm8k)
    held = sum(1 for _ in held_out.open(encoding="utf-8"))
    return {
        "GRPO_MODEL": place.model, "GRPO_DATASET": str(train), "GRPO_EVAL_DATASET": str(held_out),
        "GRPO_EVAL_ROWS": str(held), "GRPO_SEED": str(run.seed), "GRPO_LORA_SEED": str(run.seed),
        "GRPO_SAMPLE_PROMPTS": "none", "GRPO_OUTPUT_DIR": str(place.out.resolve()), "GRPO_RUN_ID": run.id,
        **({"GRPO_CACHE_DIR": str(place.cache)} if place.cache else {}),
        **(TUTORIAL if run.contestant == "tutorial" else recipe(run.recipe)),
        **(TRL if run.contestant == "trl" else {}),
        **run.settings,
    }  # fmt: skip


def recipe(name: str) -> dict[str, str]:
    """The variables of a recipe, by its name or from a JSON file."""
    if name.endswith(".json"):
        given: dict[str, str] = json.loads(Path(name).read_text(encoding="utf-8"))
        return given
    return {"GRPO_RECIPE": name}


def start(run: Run, place: Place) -> subprocess.Popen[bytes]:
    """Start the run in a process group of its own; what it says goes to `out/ID.log`."""
    door = ["-m", "benchmarks.learning.plain_trl"] if run.contestant == "trl" else [str(ROOT / "entrypoint.py")]
    pinned = ["taskset", "-c", place.cores] if place.cores else []
    gpus = {} if place.gpu is None else {"CUDA_VISIBLE_DEVICES": str(place.gpu)}
    variables = {**inherited(os.environ), **environment(run, place), **gpus}
    with (place.out / f"{run.id}.log").open("wb") as log:
        return subprocess.Popen(
            [*pinned, sys.executable, *door], cwd=ROOT, env=variables, stdout=log, stderr=log, start_new_session=True
        )


def inherited(variables: Mapping[str, str]) -> dict[str, str]:
    """The shell's variables without its `GRPO_*`, which would change what is measured.

    >>> inherited({"HOME": "/root", "GRPO_SEED": "7", "GRPO_ALLOW_OTHER_VERSIONS": "true"})
    {'HOME': '/root', 'GRPO_ALLOW_OTHER_VERSIONS': 'true'}
    """
    kept = "GRPO_ALLOW_OTHER_VERSIONS"  # of the machine, not of the run
    return {name: value for name, value in variables.items() if name == kept or not name.startswith("GRPO_")}


def expand(told: dict[str, Any]) -> list[Run]:
    """The runs of a sweep: `{"defaults": {...}, "runs": [{"name": ..., "seeds": [1, 2], ...}, ...]}`.

    >>> [run.id for run in expand({"defaults": {"seed": 3}, "runs": [{"name": "a"}, {"name": "b", "seeds": [1, 2]}]})]
    ['a-sums2-3', 'b-sums2-1', 'b-sums2-2']
    """
    defaults = told.get("defaults", {})
    runs = []
    for each in told["runs"]:
        settings = {**defaults.get("settings", {}), **each.get("settings", {})}
        one = {**defaults, **each, "settings": settings}
        seeds = one.pop("seeds", [one.pop("seed", 1)])
        runs += [Run(**{**one, "seed": seed}) for seed in seeds]
    return runs


CONTESTANTS = get_args(Contestant)
