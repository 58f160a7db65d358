"""Compiled code is taken from folders that nobody else can write, and bytecode is kept where packages have none."""

import compileall
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grpo_job.runtime.compile_cache import open_cache

ROOT = Path(__file__).parents[2]


def test_a_folder_that_is_made_is_private_and_used_again(tmp_path: Path) -> None:
    folder = tmp_path / "shared/sm90-0"
    assert open_cache(folder) == (folder, None)
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "kernel.so").write_bytes(b"code")
    assert open_cache(folder) == (folder, None)


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_left_alone_and_told(mode: int, tmp_path: Path) -> None:
    folder = tmp_path / "sm90-0"
    folder.mkdir()
    folder.chmod(mode)
    (folder / "kernel.so").write_bytes(b"code")
    used, reason = open_cache(folder)
    assert used != folder
    assert list(used.iterdir()) == []
    assert used.stat().st_mode & 0o077 == 0
    assert reason is not None
    assert str(folder) in reason
    assert f"{mode:04o}" in reason
    assert (folder / "kernel.so").exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "sm90-0").symlink_to("elsewhere")
    used, reason = open_cache(tmp_path / "sm90-0")
    assert used.resolve() != (tmp_path / "elsewhere").resolve()
    assert "link" in str(reason)


def test_a_folder_of_another_user_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = open_cache(tmp_path / "sm90-0")
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    used, reason = open_cache(folder)
    assert used != folder
    assert str(stranger) in str(reason)


IMPORT = """
import sys
from pathlib import Path
from grpo_job.runtime.compile_cache import keep_bytecode
keep_bytecode(Path(sys.argv[1]))
import torch, other
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A PyTorch and another module without bytecode."""
    folder = tmp_path / "packages"
    (folder / "torch").mkdir(parents=True)
    (folder / "torch/__init__.py").touch()
    (folder / "other.py").touch()
    return folder


def import_both(installed: Path, kept: Path, **environment: str) -> list[str]:
    """What a process that is told to write no bytecode keeps of the two."""
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": f"{installed}:{ROOT}", **environment}
    subprocess.run([sys.executable, "-c", IMPORT, kept], env=variables, check=True)
    return sorted(f"{file.parent.name}/{file.name.split('.')[0]}" for file in kept.rglob("*.pyc"))


def test_of_packages_without_bytecode_it_is_kept_in_the_cache(installed: Path, tmp_path: Path) -> None:
    assert import_both(installed, tmp_path / "kept") == ["packages/other", "torch/__init__"]
    assert not list(installed.rglob("*.pyc"))


def test_packages_that_have_bytecode_are_taken_as_they_are(installed: Path, tmp_path: Path) -> None:
    compileall.compile_dir(installed, quiet=2)
    assert import_both(installed, tmp_path / "kept") == []


def test_a_place_for_bytecode_that_the_user_gave_stays(installed: Path, tmp_path: Path) -> None:
    assert import_both(installed, tmp_path / "kept", PYTHONPYCACHEPREFIX=str(tmp_path / "theirs")) == []
