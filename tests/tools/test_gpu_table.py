"""docs/which-gpu.md: its command is one that plans, its table is made without the network."""

import re
import shlex
from pathlib import Path

import pytest

from grpo_job.inputs import base_model
from grpo_job.outcomes import InvalidRun
from grpo_job.phases.tell_plans import read_prices
from grpo_job.planner import gpus
from tests.test_cli import Invoke, invoke
from tools import gpu_table

__all__ = ["invoke"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "which-gpu.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InvalidRun("GRPO_MODEL: no network here")

    monkeypatch.setattr(base_model, "fetch", refuse)


def test_the_command_of_the_page_plans(invoke: Invoke) -> None:
    variable, _, command, *arguments = shlex.split(PAGE.split("```")[1])
    name, _, value = variable.partition("=")
    code, printed, said = invoke(command, *arguments, "--offline", **{name: value})
    assert code == 0, said
    assert "the smallest that fits: " in printed


def test_every_price_is_of_a_gpu_that_is_known_and_stands_above_its_column() -> None:
    assert read_prices([f"{name}={price}" for name, price in gpu_table.PRICES.items()]) == gpu_table.PRICES
    assert {gpus.wanted(name)[1].name for name in gpu_table.MACHINES} == set(gpu_table.PRICES)
    assert "2xH100 ($5.00)" in gpu_table.header()


def test_each_row_names_a_cheapest_machine_and_what_does_not_fit() -> None:
    rows = {row[0]: row[1:] for row in gpu_table.rows()}
    assert all(any(cell.startswith("**") for cell in cells) for cells in rows.values())
    assert rows["Qwen2.5-32B-Instruct"][0] == "no"
    assert "†" in rows["Qwen2.5-7B-Instruct"][0]


def test_a_model_of_unknown_shape_is_an_error() -> None:
    with pytest.raises(LookupError, match="known_models"):
        gpu_table.row("me/other")


def test_estimates_are_called_so_and_what_was_measured_is_named() -> None:
    assert "**estimates**" in PAGE
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    (share,) = re.findall(r"reached (\d+) % of linear speed", PAGE)
    assert f"| strong | 2 | 128 | 3.10 s | 41.3 | {share}% |" in results
