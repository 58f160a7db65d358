"""docs/from-a-notebook.md: its file is one that a run takes, and its table says what a refusal says."""

import re
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import known_names
from tools import notebook_table

PAGE = (Path(__file__).parents[2] / "docs" / "from-a-notebook.md").read_text(encoding="utf-8")
ARGUMENTS = sorted({name.strip("`") for _, name, _, _ in notebook_table.rows()})
REFUSED = sorted({*ARGUMENTS} - {*known_names(), *notebook_table.KNOWN_BETTER})


def test_the_file_of_the_page_is_read(tmp_path: Path) -> None:
    written = tmp_path / "job.yaml"
    written.write_text(PAGE.split("```yaml job.yaml\n")[1].split("```")[0])
    settings = resolve({"GRPO_CONFIG": str(written)}).settings
    assert [name for name, _ in settings.rewards] == [
        "./my_rewards.py::correctness_reward_func",
        "./my_rewards.py::int_reward_func",
    ]
    assert (settings.lora_rank, settings.completions_per_step, settings.learning_rate) == (32, 128, 5e-6)


@pytest.mark.parametrize("name", REFUSED)
def test_an_argument_that_is_no_setting_is_refused_with_what_the_table_names(name: str) -> None:
    with pytest.raises(InvalidRun) as refusal:
        resolve({f"GRPO_{name.upper()}": "1"})
    assert notebook_table.here(name).replace("`", "") in str(refusal.value)


def test_every_other_argument_keeps_its_name() -> None:
    kept = {name: notebook_table.here(name) for name in ARGUMENTS if name in known_names()}
    assert kept == {name: f"`GRPO_{name.upper()}`" for name in kept}
    assert len(kept) > 25


def test_what_nothing_is_known_of_is_an_error_and_no_empty_cell() -> None:
    with pytest.raises(LookupError):
        notebook_table.here("flux_capacitor")


def test_the_pages_that_it_sends_to_are_links() -> None:
    assert {"options.md", "hyper-parameters.md"} <= set(re.findall(r"\]\(([\w.-]+)\)", PAGE))
