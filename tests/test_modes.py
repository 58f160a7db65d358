"""What the job writes is its user's and its group's, whatever the umask of who starts it."""

import subprocess
import sys
from pathlib import Path

import pytest

from grpo_job.run_folder.files import share_as_folder

CODE = """
import os, sys
from grpo_job.cli import main
os.umask(int(sys.argv[1], 8))
main(["report", "--help"], standalone_mode=False)
print(f"umask {os.umask(0):03o}")
"""


@pytest.mark.parametrize(("given", "kept"), [("000", "027"), ("022", "027"), ("077", "077")])
def test_files_get_0640_and_folders_0750_or_less(given: str, kept: str) -> None:
    told = subprocess.run([sys.executable, "-c", CODE, given], capture_output=True, text=True, check=True).stdout
    assert f"umask {kept}" in told


def test_weights_are_the_groups_too_where_their_folder_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    (tmp_path / "adapter_model.safetensors").touch(mode=0o600)
    share_as_folder(tmp_path)
    assert (tmp_path / "adapter_model.safetensors").stat().st_mode & 0o777 == 0o640
