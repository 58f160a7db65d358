"""What a run must share with the checkpoint that it resumes from, beside its settings."""

from pathlib import Path

import pytest

from tests.faults import runs
from tests.faults.hooks import SignalAfterStep, WithoutReport


@pytest.mark.slow
def test_another_chat_template_in_the_same_file_is_another_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text("{{ messages[-1].content }}\n")
    settings = {"GRPO_CHAT_TEMPLATE": str(file), "GRPO_PROBE_PROMPTS": "0", "GRPO_HEALTH": "off"}
    stopped = runs.start(tmp_path, settings, hooks=(SignalAfterStep(2), WithoutReport()))
    assert stopped.wait() == 75, stopped.said()
    file.write_text("{{ messages[-1].content }}?\n")
    refused = runs.start(tmp_path, settings, hooks=(WithoutReport(),))
    assert refused.wait() == 2, refused.said()
    assert "chat_template_sha256" in refused.said()
