"""Five seeds of the smoke recipe: each must raise held-out accuracy by at least 20 points.

python -m tests.campaigns.learning COUNT [FIRST_SEED]
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEAST_RISE = 0.20
LEAST_ROWS = 200


def rise(seed: int, outputs: Path) -> tuple[float, float]:
    """Held-out accuracy before and after a whole run through the entrypoint."""
    variables = {
        "GRPO_RECIPE": "smoke",
        "GRPO_SEED": str(seed),
        "GRPO_RUN_ID": f"seed-{seed}",
        "GRPO_OUTPUT_DIR": str(outputs),
    }
    subprocess.run(
        [sys.executable, ROOT / "entrypoint.py"], env={**os.environ, **variables}, check=True, stdout=subprocess.DEVNULL
    )
    accuracy = json.loads((outputs / f"seed-{seed}" / "summary.json").read_text())["accuracy"]
    assert accuracy["rows"] >= LEAST_ROWS, accuracy
    return accuracy["before"], accuracy["after"]


def main(count: int, first_seed: int = 0) -> int:
    """Print a line a seed and a last one with the count; the number of seeds that did not rise enough."""
    good = 0
    with tempfile.TemporaryDirectory() as outputs:
        for seed in range(first_seed, first_seed + count):
            before, after = rise(seed, Path(outputs))
            good += after - before >= LEAST_RISE
            print(f"seed {seed}: {before:.1%} -> {after:.1%}", flush=True)
    print(f"learning: {good} of {count} seeds rose by at least {LEAST_RISE:.0%}")
    return count - good


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
