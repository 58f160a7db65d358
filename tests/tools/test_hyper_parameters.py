"""docs/hyper-parameters.md tells nothing that was not measured: each share is one of LEARNING.md."""

import re
from pathlib import Path

from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import known_names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hyper-parameters.md").read_text(encoding="utf-8")
MEASURED = (ROOT / "benchmarks" / "LEARNING.md").read_text(encoding="utf-8")


def test_every_share_was_measured() -> None:
    shares = re.findall(r"\d+\.\d(?= %|, | and | to )", PAGE)
    assert len(shares) > 15
    assert set(shares) <= set(re.findall(r"\d+\.\d", MEASURED))


def test_five_settings_are_chosen_and_all_that_it_names_exist() -> None:
    assert re.findall(r"^## (\d)\.", PAGE, re.MULTILINE) == list("12345")
    assert {name.lower() for name in re.findall(r"GRPO_(\w+)", PAGE)} <= set(known_names())


def test_the_defaults_that_it_tells_are_those_of_a_run() -> None:
    default = resolve({}).settings
    assert default.rewards == (("correct_anywhere", 1.0), ("correct", 1.0))
    assert (default.per_device_train_batch_size, default.num_generations) == (16 * 8, 8)
    assert (default.learning_rate, default.max_steps, default.lr_scheduler_type) == ("auto", 250, "linear")
