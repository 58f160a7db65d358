"""Twenty healthy runs of 15 steps on the sample: health must find nothing hopeless in any of them.

python -m tests.campaigns.health COUNT [FIRST_SEED]
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from grpo_job.monitoring.health import Finding, Health
from grpo_job.run_folder.files import read_jsonl
from grpo_job.settings.reader import resolve

ROOT = Path(__file__).resolve().parents[2]
STEPS = 15


def findings_of(seed: int, outputs: Path) -> tuple[int, list[Finding]]:
    """The exit code of a whole run through the entrypoint, and all that health says of its metrics."""
    variables = {
        "GRPO_RECIPE": "smoke",
        "GRPO_MAX_STEPS": str(STEPS),
        "GRPO_EVAL_ROWS": "50",
        "GRPO_SEED": str(seed),
        "GRPO_RUN_ID": f"seed-{seed}",
        "GRPO_OUTPUT_DIR": str(outputs),
    }
    command = [sys.executable, str(ROOT / "entrypoint.py")]
    code = subprocess.run(command, env={**os.environ, **variables}, check=False, stdout=subprocess.DEVNULL).returncode
    rows = read_jsonl(outputs / f"seed-{seed}" / "metrics.jsonl")
    assert len(rows) == STEPS or code, json.dumps(rows[-1:])
    health = Health(resolve(variables).settings)
    return code, [finding for row in rows for finding in health.update(row)]


def main(count: int, first_seed: int = 0) -> int:
    """Print a line a seed and a last one with the count; the number of runs that were stopped or would be."""
    stopped = 0
    with tempfile.TemporaryDirectory() as outputs:
        for seed in range(first_seed, first_seed + count):
            code, found = findings_of(seed, Path(outputs))
            stopped += code != 0 or any(finding.severity == "hopeless" for finding in found)
            told = ", ".join(f"{finding.severity} {finding.kind}" for finding in found) or "nothing"
            print(f"seed {seed}: exit {code}, found {told}", flush=True)
    print(f"health: {stopped} of {count} healthy runs of {STEPS} steps were stopped")
    return stopped


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
