"""What a command fetched to a temporary folder goes when the command ends."""

import os
import subprocess
import sys
from pathlib import Path

from grpo_job.inputs.lora import CONFIG
from grpo_job.run_folder.paths import WEIGHTS

ROOT = Path(__file__).parents[2]


def test_a_check_leaves_nothing_of_the_adapter_that_it_fetched(tmp_path: Path) -> None:
    adapter, temporary = tmp_path / "adapter", tmp_path / "temporary"
    for folder in (adapter, temporary):
        folder.mkdir()
    for name in (CONFIG, WEIGHTS):
        (adapter / name).write_text("{}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRPO_")}
    given = {
        "GRPO_RECIPE": "smoke",
        "GRPO_OUTPUT_DIR": str(tmp_path),
        "GRPO_ADAPTER": f"file://{adapter}",
        "TMPDIR": str(temporary),
    }
    command = [sys.executable, str(ROOT / "entrypoint.py"), "check"]
    ended = subprocess.run(command, env={**kept, **given}, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "GRPO_ADAPTER" in ended.stdout + ended.stderr
    assert list(temporary.iterdir()) == []
