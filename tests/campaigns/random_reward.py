"""Real runs of the sample trained on a hash of the completion, which has nothing to do with right answers.

python -m tests.campaigns.random_reward COUNT [FIRST_SEED]

Says of how many the verdict is "improved", with its interval, and how accuracy went. It is no error rate: a random
reward still moves a model, to better answers or to worse.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

ROOT = Path(__file__).resolve().parents[2]
STEPS = 15  # at the smoke recipe's rate and batch, as in tests/campaigns/health.py
REWARD = '''
"""Pays by a hash."""

import zlib


def by_hash(completion: str) -> float:
    """1 for one half of all completions, 0 for the other."""
    return float(zlib.crc32(completion.encode()) % 2)
'''


def accuracy_of(seed: int, outputs: Path) -> dict[str, Any]:
    """Right answers before and after a whole run through the entrypoint, and the verdict about them."""
    reward = outputs / "by_hash.py"
    reward.write_text(REWARD)
    variables = {
        "GRPO_RECIPE": "smoke",
        "GRPO_REWARDS": f"{reward}::by_hash:1",
        "GRPO_MEASURE": "correct_anywhere",
        "GRPO_MAX_STEPS": str(STEPS),
        "GRPO_SEED": str(seed),
        "GRPO_LORA_SEED": str(seed),
        "GRPO_HEALTH": "warn",  # else such a reward is refused before anything is trained
        "GRPO_RUN_ID": f"seed-{seed}",
        "GRPO_OUTPUT_DIR": str(outputs),
    }
    command = [sys.executable, str(ROOT / "entrypoint.py")]
    subprocess.run(command, env={**os.environ, **variables}, check=True, stdout=subprocess.DEVNULL)
    accuracy: dict[str, Any] = json.loads((outputs / f"seed-{seed}" / "summary.json").read_text())["accuracy"]
    return accuracy


def main(count: int, first_seed: int = 0) -> int:
    """Print a line a run and a last one."""
    verdicts = []
    with tempfile.TemporaryDirectory() as outputs:
        for seed in range(first_seed, first_seed + count):
            found = accuracy_of(seed, Path(outputs))
            verdicts.append(found["verdict"])
            told = f"{found['before']:.1%} -> {found['after']:.1%} on {found['rows']} rows, {found['verdict']}"
            print(f"seed {seed}: {told}", flush=True)
    improved, worse = verdicts.count("improved"), verdicts.count("worse")
    low, high = binomtest(improved, count).proportion_ci()
    print(
        f"random reward: {improved} of {count} runs of {STEPS} steps improved (95% interval {low:.1%} to "
        f"{high:.1%}), {worse} worse, {verdicts.count('collapsed')} collapsed"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
