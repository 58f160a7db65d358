"""`grpo-job plan`: which GPU, how long, how much."""

import json
from pathlib import Path
from typing import Any

import pytest

from grpo_job.inputs import sample
from grpo_job.outcomes import InvalidRun
from grpo_job.phases import tell_plans
from grpo_job.planner import gpus, known_models
from grpo_job.planner.shapes import ModelShape
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings
from tests.planner.test_plan import CONFIGS


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the shape of a 3B model, without weights."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((sample.MODEL / name).read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["Qwen2ForCausalLM"], **CONFIGS["3B"]}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def settings(model: Path, **given: Any) -> Settings:
    return resolve({"GRPO_MODEL": str(model), **{f"GRPO_{name.upper()}": str(value) for name, value in given.items()}})[
        0
    ]


def told(model: Path, *wanted: str, price: tuple[str, ...] = (), **given: Any) -> dict[str, tell_plans.Told]:
    return {one.gpu: one for one in tell_plans.plans(settings(model, **given), wanted, price).told}


def test_a_larger_gpu_is_faster_and_dollars_follow_from_minutes(model: Path) -> None:
    found = told(model, "L40S", "H100", "H200", price=("H100=2.4", "1.2"))
    assert all(one.fits for one in found.values())
    assert found["L40S"].minutes > found["H100"].minutes > found["H200"].minutes
    assert found["H100"].dollars == pytest.approx(found["H100"].minutes / 60 * 2.4, abs=0.02)
    assert found["H200"].dollars == pytest.approx(found["H200"].minutes / 60 * 1.2, abs=0.02)


def test_the_table_fits_a_narrow_terminal(model: Path) -> None:
    found = tell_plans.plans(settings(model), ["H100", "L4"], ["2.5"])
    wide, narrow = found.lines(80), found.lines(60)
    assert max(map(len, "\n".join(narrow[1:]).splitlines())) <= 60
    assert ["engine" in "\n".join(lines) for lines in (wide, narrow)] == [True, False]
    assert [line.split()[-1] for line in narrow if line.startswith("L4")] == [
        line.split()[-1] for line in wide if line.startswith("L4")
    ]


def test_without_a_price_there_are_no_dollars_and_that_of_the_settings_counts(model: Path) -> None:
    assert told(model, "H100")["H100"].dollars is None
    assert told(model, "H100", price_per_hour=2.4) == told(model, "H100", price=("2.4",), price_per_hour=9)


def test_several_gpus_are_faster_and_each_is_paid(model: Path) -> None:
    found = told(model, "H100", "2xH100", price=("2.4",), engine="trl")
    assert found["2xH100"].minutes < found["H100"].minutes
    assert found["2xH100"].dollars == pytest.approx(found["2xH100"].minutes / 60 * 4.8, abs=0.05)


def test_a_gpu_that_is_too_small_or_too_old_says_why(model: Path) -> None:
    (model / "config.json").write_text(json.dumps(CONFIGS["14B"]))
    found = told(model, "T4", "V100-32GB", load_in_4bit=False)
    assert not found["T4"].fits
    assert "billion parameters need at least" in found["T4"].why_not
    assert found["V100-32GB"].why_not == "compute capability 7.0; CUDA 13 of the lock needs 7.5"


def test_the_smallest_that_fits_is_named_and_estimates_are_called_so(model: Path) -> None:
    plans = tell_plans.plans(settings(model, load_in_4bit=False), ("H200", "V100-32GB", "L40S"), ("H200=3", "L40S=9"))
    lines = plans.lines()
    assert lines[-2:] == [
        "the smallest that fits: L40S; the cheapest: H200",
        "Times and costs are estimates and may be off by 2x.",
    ]
    assert next(line for line in lines if line.startswith("H200 ")).count("~") == 3
    found = json.loads(plans.as_json())
    assert (found["smallest"], found["cheapest"], found["off_by"]) == ("L40S", "H200", 2.0)


def test_every_fault_is_told_at_once(model: Path) -> None:
    with pytest.raises(InvalidRun) as refusal:
        tell_plans.plans(settings(model), ("H100", "Z9", "0xL4"), ("H100=no", "Z9=2", "-1"))
    told = [fault.partition(":")[0] for fault in refusal.value.faults]
    assert told == ["--gpu Z9", "--gpu 0xL4", "--price H100=no", "--price Z9=2", "--price -1"]


def test_a_known_model_is_planned_where_its_config_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InvalidRun("GRPO_MODEL: no network here")

    monkeypatch.setattr("grpo_job.inputs.base_model.fetch", refuse)
    plans = tell_plans.plans(resolve({}).settings, ("H100",), ())
    assert plans.told[0].fits
    assert plans.note.startswith("config.json could not be read")
    with pytest.raises(InvalidRun, match="no network"):
        tell_plans.plans(resolve({"GRPO_MODEL": "me/mine"}).settings, ("H100",), ())


@pytest.mark.parametrize(
    ("name", "billions"),
    [("unsloth/Qwen2.5-3B-Instruct", 3.09), ("Qwen/Qwen3-8B", 8.19), ("meta-llama/Meta-Llama-3.1-8B-Instruct", 8.03),
     ("HuggingFaceTB/SmolLM2-135M-Instruct", 0.135), ("mistralai/Mistral-7B-Instruct-v0.3", 7.25),
     ("unsloth/Qwen2.5-7B-Instruct-bnb-4bit", 7.62), ("Qwen/Qwen2.5-0.5B", 0.494), ("meta-llama/Llama-3.2-3B", 3.21),
     ("Qwen/Qwen3-4B-Instruct-2507", 4.02), ("HuggingFaceTB/SmolLM2-1.7B", 1.71), ("Qwen/Qwen2.5-32B", 32.8)],
)  # fmt: skip
def test_a_known_model_has_the_parameters_of_its_card(name: str, billions: float) -> None:
    config = known_models.config(name)
    assert config is not None
    assert ModelShape.from_config(config).parameters / 1e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize("kind", gpus.KINDS, ids=lambda kind: kind.name)
def test_a_gpu_is_known_by_its_own_name_in_any_spelling(kind: gpus.Kind) -> None:
    for name in (kind.name, kind.name.lower(), f"NVIDIA {kind.name}", kind.name.replace("-", " "), f"4x{kind.name}"):
        assert gpus.wanted(name)[1] == kind
    assert gpus.speed(f"NVIDIA {kind.name}") == kind


@pytest.mark.parametrize("word", ["", "x", "H", "100", "H1000", "GTX1080", "2x", "H100,L4", "99xH100", "A100-20GB"])
def test_another_gpu_is_refused(word: str) -> None:
    with pytest.raises(InvalidRun, match="no such GPU is known; allowed: T4"):
        gpus.wanted(word)


@pytest.mark.parametrize(
    ("told", "kind"),
    [("Tesla T4", "T4"), ("NVIDIA A10G", "A10"), ("NVIDIA A100-SXM4-40GB", "A100-40GB"), ("NVIDIA L40S", "L40S"),
     ("NVIDIA A100 80GB PCIe", "A100-80GB"), ("NVIDIA H100 80GB HBM3", "H100"), ("NVIDIA H100 NVL", "H100"),
     ("NVIDIA RTX A6000", "A6000"), ("NVIDIA GeForce RTX 3090", "RTX3090"), ("NVIDIA Something", "")],
)  # fmt: skip
def test_a_driver_name_is_known(told: str, kind: str) -> None:
    assert gpus.speed(told).name == kind
