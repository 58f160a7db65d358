"""A process that Python's variables left without UTF-8 begins again with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grpo_job.runtime import launched

ENTRY = Path(__file__).parents[2] / "entrypoint.py"


def test_settings_and_paths_may_hold_any_character_in_a_locale_of_ascii(tmp_path: Path) -> None:
    given = {"GRPO_SYSTEM_PROMPT": "Grüße, 日本", "PYTHONUTF8": "0", "LC_ALL": "POSIX"}
    ended = subprocess.run(
        [sys.executable, str(ENTRY), "init", "aufträge.yaml"],
        cwd=tmp_path, env={**os.environ, **given}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert 'system_prompt: "Grüße, 日本"' in (tmp_path / "aufträge.yaml").read_text(encoding="utf-8")


def test_it_begins_again_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[dict[str, str]] = []
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    monkeypatch.setattr(os, "execve", lambda program, arguments, environment: began.append(environment))
    launched.restart_in_utf8({"PYTHONUTF8": "0", "A": "b"})
    launched.restart_in_utf8(began[0])
    assert began == [{"PYTHONUTF8": "1", "A": "b"}]
