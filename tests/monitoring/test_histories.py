"""Real runs of SmolLM2-135M-Instruct on one GPU each, of which it is known what they learned."""

from pathlib import Path

import pytest

from grpo_job.monitoring.health import Health
from grpo_job.run_folder.files import read_jsonl
from grpo_job.settings.schema import Settings

HISTORIES = Path(__file__).parent / "histories"
TAGS = (("correct", 2.0), ("format_tags", 0.5), ("tag_count", 0.5))
ANYWHERE = (("correct_anywhere", 1.0),)
DEFAULT = (("correct_anywhere", 1.0), ("correct", 1.0))

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
    # 9 to 96 % and 19 to 96 %, in no tags: half of what the default recipe could pay
    "sums-128-default-tags-unpaid-102": (128, DEFAULT, {}),
    "sums-128-default-tags-unpaid-104": (128, DEFAULT, {}),
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


def rows(name: str) -> list[dict[str, float]]:
    return read_jsonl(HISTORIES / f"{name}.jsonl")


def kinds(name: str, rewards: tuple[tuple[str, float], ...], change: dict[str, float]) -> set[str]:
    """The kinds of findings where some metrics are multiplied."""
    health = Health(Settings(rewards=rewards, per_device_train_batch_size=128, num_generations=8))
    changed = [{**row, **{key: row[key] * factor for key, factor in change.items()}} for row in rows(name)]
    return {one.kind for row in changed for one in health.update(row)}


@pytest.mark.parametrize("seed", [102, 104])
def test_solved_groups_of_a_run_without_tags_are_a_factor_of_one_and_a_half_from_being_flat(seed: int) -> None:
    assert "flat" not in kinds(f"sums-128-default-tags-unpaid-{seed}", DEFAULT, {"reward": 1 / 1.5})


def test_the_collapsed_run_is_flat_with_a_reward_of_one_and_a_half_times_less() -> None:
    collapsed = "gsm8k-1e-4-constant-answer"
    assert "flat" in kinds(collapsed, TAGS, {"reward": 1 / 1.5})
    assert "flat" in kinds(collapsed, TAGS, {"rewards/correct/mean": 0.0})
    assert "flat" in kinds(collapsed, TAGS, {"rewards/correct/mean": 1.5})


def test_a_reward_of_ones_own_that_never_pays_does_not_make_a_solved_run_flat() -> None:
    never = (("correct_anywhere", 1.0), ("./mine.py::bonus", 3.0))
    health = Health(Settings(rewards=never, per_device_train_batch_size=128, num_generations=8))
    seen = ({**row, "rewards/bonus/mean": 0.0} for row in rows("sums-128-default-tags-unpaid-102"))
    assert "flat" not in {one.kind for row in seen for one in health.update(row)}
