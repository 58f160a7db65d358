"""Dynamic sampling on the engine of the CPU: what is learned from, what is told, what a resume ends with."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import pytest

from grpo_job.engines.trainer.adapter import is_saved_in
from grpo_job.engines.trainer.sampler import RowStream
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.inputs import base_model
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.settings.reader import resolve

pytestmark = pytest.mark.slow

ROWS = [{"prompt": [{"role": "user", "content": f"What is {n} + 2?"}], "answer": str(n)} for n in range(12)]
GROUP, PROMPTS = 4, 3
SETTINGS = {
    "GRPO_RECIPE": "smoke",
    "GRPO_MAX_STEPS": "4",
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": str(GROUP * PROMPTS),
    "GRPO_NUM_GENERATIONS": str(GROUP),
    "GRPO_MAX_COMPLETION_LENGTH": "12",
    "GRPO_LEARNING_RATE": "1e-2",
}


def even_rows_pay(completions: Sequence[Any], answer: Sequence[str], log_extra: Any, **_: Any) -> list[float]:
    """The completions of odd rows earn the same, those of even rows each another reward."""
    paid = [0.5 if int(row) % 2 else float(place % GROUP) for place, row in enumerate(answer)]
    log_extra("paid", paid)
    return paid


class Listener:
    """Asks for a checkpoint after each step, and remembers what each step told."""

    def __init__(self) -> None:
        self.told, self.completions = list[dict[str, float]](), list[list[dict[str, Any]]]()

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.told.append({name: value for name, value in metrics.items() if "time" not in name})

    def on_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        self.completions.append(rows)

    def measure(self, step: int) -> dict[str, float]:
        return {}

    def should_save(self, step: int) -> bool:
        return True

    def should_stop(self, step: int) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def engine(folder: Path, rows: Sequence[dict[str, Any]] = ROWS, **settings: str) -> PlainTrl:
    resolved = resolve({**SETTINGS, **settings}).settings
    return PlainTrl(resolved, base_model.fetch("sample", None), rows, [(even_rows_pay, 1.0)], folder)


def trained(
    folder: Path, start: Path | None = None, rows: Sequence[dict[str, Any]] = ROWS, **settings: str
) -> tuple[PlainTrl, Listener]:
    made, listener = engine(folder, rows, **settings), Listener()
    made.train(listener, start)  # type: ignore[arg-type]
    return made, listener


BOTH = {"GRPO_DYNAMIC_SAMPLING": "2", "GRPO_SKIP_SOLVED": "1"}
Whole = tuple[Path, PlainTrl, Listener]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A folder with the checkpoints of each of 4 steps with both settings, the engine after them, what was told."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, *trained(folder, **BOTH)


def groups_of(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    return [list(group) for _, group in groupby(rows, lambda row: json.dumps(row["prompt"]))]


def test_fresh_prompts_take_the_places_of_groups_without_spread(whole: Whole) -> None:
    for told, rows in zip(whole[2].told, whole[2].completions, strict=True):
        groups = groups_of(rows)
        assert {len(group) for group in groups} == {GROUP}
        assert len({json.dumps(group[0]["prompt"]) for group in groups}) == len(groups), "no prompt twice"
        learned = [group for group in groups if any(row["advantage"] for row in group)]
        assert len(learned) == PROMPTS or told["dynamic/rounds"] == 2
        assert told["dynamic/completions"] == len(rows)
        assert told["dynamic/dropped"] == pytest.approx(1 - PROMPTS / len(groups))


def test_the_metrics_are_those_of_all_that_was_generated(tmp_path: Path) -> None:
    _, listener = trained(tmp_path, GRPO_DYNAMIC_SAMPLING="2")
    for told, rows in zip(listener.told, listener.completions, strict=True):
        paid = [row["rewards"]["even_rows_pay"] for row in rows]
        assert told["reward"] == told["rewards/even_rows_pay/mean"] == pytest.approx(sum(paid) / len(paid))
        flat = [len({row["rewards"]["even_rows_pay"] for row in group}) == 1 for group in groups_of(rows)]
        assert told["frac_reward_zero_std"] == pytest.approx(sum(flat) / len(flat))
    assert max(told["dynamic/rounds"] for told in listener.told) > 0


def test_what_a_reward_logs_stands_beside_its_completion_also_where_that_is_not_learned_from(whole: Whole) -> None:
    for row in chain.from_iterable(whole[2].completions):
        assert row["extra"] == {"paid": row["rewards"]["even_rows_pay"]}


def test_a_run_that_is_cut_ends_with_the_bytes_of_a_whole_one(whole: Whole, tmp_path: Path) -> None:
    folder, made, listener = whole
    made.save_adapter(tmp_path / "whole")
    for step in (1, 3):
        again, told = trained(tmp_path / str(step), folder / f"checkpoint-{step}", **BOTH)
        assert told.told == listener.told[step:]
        assert told.completions == listener.completions[step:]
        assert is_saved_in(again.model, tmp_path / "whole" / WEIGHTS)


def test_a_row_without_spread_misses_its_next_pass(tmp_path: Path) -> None:
    _, listener = trained(tmp_path, GRPO_SKIP_SOLVED="3", GRPO_MAX_STEPS="12")
    asked = Counter(group[0]["prompt"][0]["content"] for rows in listener.completions for group in groups_of(rows))
    odd, even = ([asked[ROWS[n]["prompt"][0]["content"]] for n in range(first, 12, 2)] for first in (1, 0))
    assert sum(odd) < sum(even) / 2
    assert sum(told["dynamic/left_out"] for told in listener.told) > 0
    assert {told["dynamic/rounds"] for told in listener.told} == {0}


def test_what_a_row_that_is_left_out_earned_stays_in_the_mean_reward(tmp_path: Path) -> None:
    _, listener = trained(tmp_path, GRPO_SKIP_SOLVED="1", GRPO_MAX_STEPS="8")
    place = next(place for place, told in enumerate(listener.told) if told["dynamic/left_out"])
    told, rows = listener.told[place], listener.completions[place]
    paid = [row["rewards"]["even_rows_pay"] for row in rows] + [0.5] * int(GROUP * told["dynamic/left_out"])
    assert told["reward"] == pytest.approx(sum(paid) / len(paid))


@pytest.mark.parametrize("option", [{}, {"GRPO_NUM_ITERATIONS": "2"}, {"GRPO_BETA": "0.04"}])
def test_where_every_group_has_spread_nothing_changes(option: dict[str, str], tmp_path: Path) -> None:
    rows = [row for row in ROWS if not int(row["answer"]) % 2]
    plain, one = trained(tmp_path / "0", rows=rows, **option)
    plain.save_adapter(tmp_path / "plain")
    dynamic, other = trained(tmp_path / "2", rows=rows, GRPO_DYNAMIC_SAMPLING="2", **option)
    assert is_saved_in(dynamic.model, tmp_path / "plain" / WEIGHTS)
    own = [{name: told[name] for name in told if "dynamic" not in name} for told in other.told]
    assert own == [dict(told, epoch=mine["epoch"]) for told, mine in zip(one.told, own, strict=True)]


def test_its_rows_are_those_of_the_stream(tmp_path: Path) -> None:
    trainer = engine(tmp_path, **BOTH).trainer
    taken = [row for _ in range(4) for row in trainer.dynamic._take(trainer, 3, [])]
    stream = RowStream(12, chunk=3, group=1, repeats=1, length=12, shuffle=True, seed=trainer.args.seed)
    assert taken == list(stream)
