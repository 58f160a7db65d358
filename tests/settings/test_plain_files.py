"""A file that a user named is read only if it can end."""

import os
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.plain_files import content_of
from grpo_job.settings.reader import resolve
from grpo_job.stores.client_variables import faults


def endless(folder: Path) -> list[str]:
    os.mkfifo(folder / "pipe")
    return [str(folder / "pipe"), "/dev/zero", "/dev/full"]


def test_a_device_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    for path in endless(tmp_path):
        with pytest.raises(OSError, match=r"a (device|pipe), not a file"):
            content_of(Path(path))
        with pytest.raises(InvalidRun, match=r"GRPO_EXAMPLE: .* a (device|pipe), not a file"):
            resolve({"GRPO_EXAMPLE": path})
        for name in ("HF_TOKEN_PATH", "AWS_CONFIG_FILE", "SSL_CERT_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
            found = faults({"HF_HOME": str(tmp_path), name: path})
            assert len(found) == 1
            assert found[0].startswith(f"{name}: ")


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(OSError, match="allowed: at most 67,108,864"):
        content_of(tmp_path / "large")


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(InvalidRun, match=r"GRPO_REWARD_OPTIONS: .*nested too deeply"):
        resolve({"GRPO_REWARD_OPTIONS": "[" * 100_000})
