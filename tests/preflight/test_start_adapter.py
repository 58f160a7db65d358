"""GRPO_ADAPTER is checked before anything is paid for: there, of this base, of its shape, and safe to read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grpo_job import preflight
from grpo_job.inputs import base_model
from grpo_job.outcomes import InvalidRun
from grpo_job.preflight.findings import Finding
from grpo_job.preflight.start import adopt
from grpo_job.settings.reader import resolve
from tests.preflight.adapters import CONFIG, MODULES, WEIGHTS, adapter, changed, layers
from tests.preflight.world import World

FIRST = "model.layers.0.self_attn.q_proj"


def findings(world: World, *, offline: bool = False) -> list[Finding]:
    resolved, start = adopt(resolve(world.environment), world.environment, offline=offline)
    return preflight.examine(resolved.settings, world.environment, offline=offline, start=start).findings


def faults(world: World) -> str:
    return "\n".join(found.sentence for found in findings(world) if found.status == "failed")


def test_rank_alpha_and_modules_are_taken_from_the_adapter_and_shown(world: World) -> None:
    modules = ("q_proj", "v_proj")
    world.set(ADAPTER=str(adapter(world.folder / "start", rank=6, sizes=layers(modules), lora_alpha=24)))
    resolved, start = adopt(resolve(world.environment), world.environment)
    assert start
    settings, origins = resolved
    assert (settings.lora_rank, settings.lora_alpha, settings.lora_target_modules) == (6, 24, modules)
    assert {origins[f"lora_{name}"] for name in ("rank", "alpha", "target_modules")} == {"GRPO_ADAPTER"}
    [told] = [found for found in findings(world) if found.name == "start adapter"]
    assert told.status == "passed"
    assert f"rank 6, alpha 24, target_modules q_proj,v_proj), SHA-256 {start.sha256[:12]}" in told.sentence
    assert faults(world) == ""


@pytest.mark.parametrize(
    ("setting", "given", "has"),
    [("LORA_RANK", "8", "4"), ("LORA_ALPHA", "16", "8"), ("LORA_TARGET_MODULES", "q_proj", ",".join(sorted(MODULES)))],
)
def test_a_shape_that_was_set_must_be_the_adapters(setting: str, given: str, has: str, world: World) -> None:
    world.set(ADAPTER=str(adapter(world.folder / "start")), **{setting: given})
    assert f"GRPO_{setting}: {given} was given, but" in faults(world)
    assert f"allowed: {has}, or unset it" in faults(world)
    world.set(**{setting: has})
    assert faults(world) == ""


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing there": (lambda folder: None, "there is no such folder"),
    "empty": (lambda folder: folder.mkdir(), "there is no adapter_model.safetensors; allowed"),
    "pickle": (
        lambda folder: (folder.mkdir(), (folder / "adapter_model.bin").write_bytes(b"\x80")),
        "adapter_model.bin can run code",
    ),
    "cut off": (
        lambda folder: (adapter(folder) / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-9]),
        "is no whole safetensors file",
    ),
    "no config": (lambda folder: (adapter(folder) / CONFIG).unlink(), "adapter_config.json cannot be read"),
    "odd config": (lambda folder: (adapter(folder) / CONFIG).write_text("[]"), "adapter_config.json cannot be read"),
    "alpha": (lambda folder: adapter(folder, lora_alpha=None), "lora_alpha is None"),
    "dora": (lambda folder: adapter(folder, use_dora=True), "only plain LoRA adapters are used; this one has use_dora"),
    "prompt tuning": (lambda folder: adapter(folder, peft_type="PROMPT_TUNING"), "peft_type PROMPT_TUNING"),
    "bias": (lambda folder: adapter(folder, bias="all"), "bias all"),
    "embeddings": (
        lambda folder: adapter(folder, more={"base_model.model.lm_head.weight": np.ones((2, 2), np.float32)}),
        "it holds base_model.model.lm_head.weight",
    ),
    "two ranks": (
        lambda folder: adapter(
            folder,
            more={
                f"base_model.model.{FIRST}.lora_{matrix}.weight": np.ones(shape, np.float32)
                for matrix, shape in (("A", (2, layers()[FIRST][1])), ("B", (layers()[FIRST][0], 2)))
            },
        ),
        "ranks [2, 4]",
    ),
    "other base": (
        lambda folder: adapter(folder, base_model_name_or_path="someone/else"),
        "it was trained on someone/else, not on GRPO_MODEL=sample; allowed: GRPO_MODEL=someone/else",
    ),
    "other width": (changed(lambda sizes: {name: (a + 1, b) for name, (a, b) in sizes.items()}), "it does not fit"),
    "deeper": (
        changed(lambda sizes: sizes | {FIRST.replace(".0.", ".99."): sizes[FIRST]}),
        "layers.99.self_attn.q_proj is no layer of the model",
    ),
    "a layer left out": (
        changed(lambda sizes: {name: size for name, size in sizes.items() if name != FIRST}),
        "it leaves out layers.0.self_attn.q_proj",
    ),
}


@pytest.mark.parametrize(("make", "why"), SPOILT.values(), ids=SPOILT)
def test_a_wrong_adapter_is_refused(make: Callable[[Path], object], why: str, world: World) -> None:
    make(world.folder / "start")
    world.set(ADAPTER=str(world.folder / "start"))
    assert why in faults(world)
    assert "GRPO_ADAPTER: " in faults(world)


def test_a_local_copy_of_the_base_may_have_any_name_and_is_told(world: World) -> None:
    world.model()
    world.set(ADAPTER=str(adapter(world.folder / "start", base_model_name_or_path="someone/else")))
    assert faults(world) == ""
    [told] = [found for found in findings(world) if found.status == "warned" and found.name == "start adapter"]
    assert "was trained on someone/else: look whether that is the model in" in told.sentence


def test_a_checkpoint_names_the_folder_of_its_base_wherever_that_was(world: World) -> None:
    world.hub_model()
    kept = base_model.fetch("alice/model", None, weights=False).folder.parts[-3:]
    for of, why in (("/".join(kept), ""), ("/".join(["models--alice--other", *kept[1:]]), "it was trained on /cache/")):
        start = adapter(world.folder / "start", base_model_name_or_path=f"/cache/{of}")
        world.set(ADAPTER=str(start))
        assert why in faults(world)
        assert bool(faults(world)) == bool(why)


def test_a_run_folder_or_its_address_will_do(world: World) -> None:
    adapter(world.folder / "run" / "adapter")
    for place in (world.folder / "run", f"file://{world.folder}/run"):
        world.set(ADAPTER=str(place))
        assert faults(world) == ""


def test_an_adapter_on_the_hub_is_read_there_and_another_revision_of_its_base_is_told(world: World) -> None:
    hub = world.hub_model()
    made = adapter(world.folder / "start", base_model_name_or_path="alice/model", revision="0" * 40)
    hub.add_repo("alice/start", {name: (made / name).read_bytes() for name in (CONFIG, WEIGHTS)})
    world.set(ADAPTER="hf://alice/start")
    assert faults(world) == ""
    assert any("set GRPO_MODEL_REVISION=" + "0" * 40 in found.sentence for found in findings(world))
    world.set(ADAPTER="hf://alice/missing")
    assert "GRPO_ADAPTER: 'hf://alice/missing' was given; " in faults(world)


def test_offline_an_address_is_skipped(world: World) -> None:
    world.set(ADAPTER="hf://alice/start")
    told = [found for found in findings(world, offline=True) if found.name == "start adapter"]
    assert [found.status for found in told] == ["skipped"]


def test_a_result_that_would_replace_its_start_is_refused() -> None:
    for start, to in (("hf://a/b", "hf://a/b@main"), ("/x/y", "file:///x/y/")):
        with pytest.raises(InvalidRun, match=f"GRPO_PUBLISH_TO: {to} is what GRPO_ADAPTER starts from"):
            resolve({"GRPO_ADAPTER": start, "GRPO_PUBLISH_TO": to})
    resolve({"GRPO_ADAPTER": "hf://a/b", "GRPO_PUBLISH_TO": "hf://a/b@next"})
    with pytest.raises(InvalidRun, match="GRPO_ADAPTER: 'gs://b' was given"):
        resolve({"GRPO_ADAPTER": "gs://b"})
