"""What a run must share with the checkpoint that it resumes from, beside its settings."""

from pathlib import Path

import pytest

from grpo_job.run_folder.files import read_json
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


@pytest.mark.slow
def test_a_run_records_the_rate_of_auto_and_is_the_same_run_with_that_rate_given(tmp_path: Path) -> None:
    settings = {"GRPO_PROBE_PROMPTS": "0", "GRPO_HEALTH": "off", "GRPO_LEARNING_RATE": "auto"}
    stopped = runs.start(tmp_path, settings, hooks=(SignalAfterStep(2), WithoutReport()))
    assert stopped.wait() == 75, stopped.said()
    refused = runs.start(tmp_path, {**settings, "GRPO_LEARNING_RATE": "1e-3"}, hooks=(WithoutReport(),))
    assert refused.wait() == 2, refused.said()
    assert "learning_rate: 0.0004 -> 0.001" in refused.said()
    resumed = runs.start(tmp_path, {**settings, "GRPO_LEARNING_RATE": "4e-4"}, hooks=(WithoutReport(),))
    assert resumed.wait() == 0, resumed.said()
    assert read_json(tmp_path / runs.RUN_ID / "summary.json")["learning_rate"] == 4e-4
