"""Five seeds of the smoke recipe: each must raise held-out accuracy by at least 20 points, with p < 0.01.

python -m tests.campaigns.learning COUNT [FIRST_SEED]
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LEAST_RISE = 0.20
LEAST_ROWS = 200
LARGEST_P_VALUE = 0.01


def accuracy_of(seed: int, outputs: Path) -> dict[str, Any]:
    """Held-out accuracy of a whole run through the entrypoint, before and after, with the verdict."""
    variables = {
        "GRPO_RECIPE": "smoke",
        "GRPO_SEED": str(seed),
        "GRPO_RUN_ID": f"seed-{seed}",
        "GRPO_OUTPUT_DIR": str(outputs),
    }
    subprocess.run(
        [sys.executable, ROOT / "entrypoint.py"], env={**os.environ, **variables}, check=True, stdout=subprocess.DEVNULL
    )
    accuracy: dict[str, Any] = json.loads((outputs / f"seed-{seed}" / "summary.json").read_text())["accuracy"]
    assert accuracy["rows"] >= LEAST_ROWS, accuracy
    return accuracy


def learned(accuracy: dict[str, Any]) -> bool:
    rise = accuracy["after"] - accuracy["before"]
    return accuracy["verdict"] == "improved" and rise >= LEAST_RISE and accuracy["p_value"] < LARGEST_P_VALUE


def main(count: int, first_seed: int = 0) -> int:
    """Print a line a seed and a last one with the count; the number of seeds that did not rise enough."""
    good = 0
    with tempfile.TemporaryDirectory() as outputs:
        for seed in range(first_seed, first_seed + count):
            found = accuracy_of(seed, Path(outputs))
            good += learned(found)
            told = f"{found['before']:.1%} -> {found['after']:.1%}, {found['verdict']}, p = {found['p_value']:.2g}"
            print(f"seed {seed}: {told}", flush=True)
    print(f"learning: {good} of {count} seeds rose by at least {LEAST_RISE:.0%} with p < {LARGEST_P_VALUE}")
    return count - good


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
