"""What the job writes is its user's and its group's, whatever the umask of who starts it."""

import subprocess
import sys

import pytest

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
