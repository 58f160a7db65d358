"""A process of the job's own finds the package where only its folder is there, as beside `entrypoint.py`."""

import subprocess
import sys
from pathlib import Path

from grpo_job.settings.own_process import finding_this_package

PROGRAM = "import grpo_job; print(grpo_job.__file__)"


def test_without_an_installed_package_its_folder_is_found_from_anywhere(tmp_path: Path) -> None:
    environment = finding_this_package({"PYTHONPATH": str(tmp_path)})
    bare = [sys.executable, "-P", "-S", "-c", PROGRAM]  # without site, no installed package is seen
    found = subprocess.run(bare, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.stdout.strip() == str(Path(__file__).parents[2] / "grpo_job" / "__init__.py"), found.stderr
    assert environment["PYTHONPATH"].endswith(str(tmp_path))
