"""Models of the families that people fine-tune: taken, planned or refused, as `docs/models.md` says."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from grpo_job.outcomes import InvalidRun
from grpo_job.planner.candidates import Work
from grpo_job.planner.plan import plan
from grpo_job.planner.shapes import GB, Gpu, ModelShape
from grpo_job.planner.wishes import Wishes
from grpo_job.run_folder.files import read_json, read_jsonl
from tests.engines import families
from tests.faults import runs
from tests.faults.hooks import WithoutReport

PAGE = Path(__file__).parents[2] / "docs/models.md"
DENSE = [family for family in families.FAMILIES if family != "mixtral"]
REWARD = "def by_length(completion):\n    return float(len(completion) % 7)\n"


@pytest.mark.slow
@pytest.mark.parametrize("family", DENSE)
def test_a_model_of_the_family_is_trained_loaded_back_and_measured(family: str, tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text(REWARD)
    settings = {
        "GRPO_MODEL": str(families.make(family, tmp_path / "model")),
        "GRPO_LORA_TARGET_MODULES": families.targets(family),
        "GRPO_REWARDS": f"{tmp_path / 'reward.py'}::by_length:1",
        "GRPO_MAX_STEPS": "3", "GRPO_HEALTH": "off", "GRPO_BETA": "0.04",
    }  # fmt: skip
    attempt = runs.start(tmp_path / "run", settings, hooks=[WithoutReport()])
    assert attempt.wait() == 0, attempt.said()[-3000:]
    folder = tmp_path / "run" / runs.RUN_ID
    rows = read_jsonl(folder / "metrics.jsonl")
    assert len(rows) == 3
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert rows[-1]["kl"] > 0
    assert read_json(folder / "summary.json")["accuracy"]["rows"] == 4


@pytest.mark.parametrize("family", DENSE)
def test_the_planner_counts_the_weights_of_the_family(family: str, tmp_path: Path) -> None:
    folder = families.make(family, tmp_path / "model")
    with safe_open(folder / "model.safetensors", "pt") as saved:
        weights = sum(saved.get_tensor(name).numel() for name in saved.keys())  # noqa: SIM118 -- no mapping
    shape = ModelShape.from_config(json.loads((folder / "config.json").read_text()))
    assert shape.parameters == pytest.approx(weights, rel=0.01)
    longest = shape.window if shape.window and shape.all_windowed else 256
    made = plan(Gpu("24 GB", 24 * GB, (8, 9)), shape, Work(longest, longest // 2, longest // 2, 8, 8, 8, 250), Wishes())
    assert made.training_graphs is not shape.layers_differ


def test_a_mixture_of_experts_is_refused_by_name(tmp_path: Path) -> None:
    folder = families.make("mixtral", tmp_path / "model")
    with pytest.raises(InvalidRun, match="num_local_experts=4: a mixture of experts; allowed: dense decoders"):
        ModelShape.from_config(json.loads((folder / "config.json").read_text()))


def test_the_page_says_what_is_taken_planned_and_refused() -> None:
    lines = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    rows = {name.strip().strip("`"): [cell.strip() for cell in cells] for name, *cells in lines}
    assert list(rows) == list(families.FAMILIES)
    for family, (cpu, planned, _, layers) in rows.items():
        dense = family in DENSE
        assert (cpu, planned) == (("trained", "planned") if dense else ("refused", "refused"))
        assert (f"`{families.targets(family)}`" == layers) is (family in families.FUSED)
