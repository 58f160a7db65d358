"""Real runs of SmolLM2-135M-Instruct on one GPU each, of which it is known what they learned."""

from pathlib import Path

import pytest

from grpo_job.monitoring.health import Health
from grpo_job.run_folder.files import read_jsonl
from grpo_job.settings.schema import Settings

HISTORIES = Path(__file__).parent / "histories"
TAGS = (("correct", 2.0), ("format_tags", 0.5), ("tag_count", 0.5))
ANYWHERE = (("correct_anywhere", 1.0),)

# run -> completions a step, its rewards, and the step of each finding that it deserves
KNOWN = {
    "gsm8k-1e-4-constant-answer": (128, TAGS, {"flat": 67, "format_only": 62, "gradient_jump": 95}),
    "sample-words-1e-4": (128, TAGS, {}),
    "sample-words-correct-anywhere": (128, ANYWHERE, {}),
    "sample-words-beta-resumed": (128, TAGS, {}),
    "sums-128-1e-4": (128, TAGS, {}),
    "sums-128-3e-5-beta": (128, TAGS, {}),
    "sums-64-default-5e-6": (
        64,
        TAGS,
        {"learned_nothing": 100, "dead_reward_correct": 100, "dead_reward_format_tags": 100},
    ),
    "sums-64-2e-5": (64, TAGS, {}),
    "sums-64-1e-4": (64, TAGS, {}),
    "sums-64-1e-4-trl": (64, TAGS, {}),
}


def test_every_history_is_known() -> None:
    assert {path.stem for path in HISTORIES.glob("*.jsonl")} == KNOWN.keys()


@pytest.mark.parametrize("name", KNOWN)
def test_health_says_of_a_real_run_what_was_true_of_it(name: str) -> None:
    completions, rewards, expected = KNOWN[name]
    health = Health(Settings(rewards=rewards, per_device_train_batch_size=completions, num_generations=8))
    found = [one for row in read_jsonl(HISTORIES / f"{name}.jsonl") for one in health.update(row)]
    assert {one.kind: one.step for one in found} == expected
    assert all(one.severity == "warn" for one in found)
