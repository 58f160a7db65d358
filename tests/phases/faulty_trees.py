"""Published trees with one fault each, made as by somebody who also mends the manifest and the records."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from grpo_job.inputs import sample
from grpo_job.run_folder.files import read_json, sha256, write_json
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.stores.trees import MANIFEST, manifest_of

CONFIG = "adapter_config.json"
Weights = dict[str, Any]


def planted(tree: Path, to: Path, plant: Callable[[Path], object], *, mended: bool = True) -> Path:
    """A copy of `tree` with the fault; `mended`: digests are those of the changed files."""
    shutil.copytree(tree, to)
    plant(to)
    if mended:
        summary = read_json(to / "run" / "summary.json")
        summary["adapter"]["sha256"] = sha256(to / WEIGHTS)
        write_json(to / "run" / "summary.json", summary)
        (to / MANIFEST).unlink()
        (to / MANIFEST).write_bytes(manifest_of(to, run_id="run"))
    return to


def changed(tree: Path, change: Callable[[Weights], Weights]) -> None:
    save_file(change(load_file(tree / WEIGHTS)), tree / WEIGHTS)


def config(tree: Path, **values: Any) -> None:
    write_json(tree / CONFIG, {**read_json(tree / CONFIG), **values})


def settings(tree: Path, **values: Any) -> None:
    told = read_json(tree / "run" / "settings.json")
    write_json(tree / "run" / "settings.json", {**told, "settings": {**told["settings"], **values}})


def zeroed(weights: Weights) -> Weights:
    return {name: value * ("lora_A" in name) for name, value in weights.items()}


def swapped(weights: Weights) -> Weights:
    """Layers 0 and 1 in each other's place."""
    other = {"layers.0.": "layers.1.", "layers.1.": "layers.0."}
    part = {name: next((key for key in other if key in name), "") for name in weights}
    return {name.replace(part[name], other.get(part[name], "")): value for name, value in weights.items()}


def without(module: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: value for name, value in weights.items() if module not in name}


def halved(tree: Path) -> None:
    config(tree, lora_alpha=read_json(tree / CONFIG)["lora_alpha"] // 2)


def halved_everywhere(tree: Path) -> None:
    halved(tree)
    settings(tree, lora_alpha=read_json(tree / CONFIG)["lora_alpha"])


def other_template(tree: Path) -> None:
    path = tree / "chat_template.jinja"
    path.write_text("{{ 'Answer briefly. ' }}" + path.read_text(encoding="utf-8"), encoding="utf-8")


def unused_module(tree: Path) -> None:
    """Its weights are there, but the configuration does not name it, so that PEFT leaves them out."""
    left = [name for name in read_json(tree / CONFIG)["target_modules"] if name != "v_proj"]
    config(tree, target_modules=left)
    settings(tree, lora_target_modules=left)


def truncated(tree: Path) -> None:
    content = (tree / WEIGHTS).read_bytes()
    (tree / WEIGHTS).write_bytes(content[: len(content) // 2])


def other_base(folder: Path, model: Path = sample.MODEL) -> Path:
    """A model with the weights of its first layer turned around."""
    base = Path(shutil.copytree(model, folder))
    weights = load_file(base / "model.safetensors")
    for name in [name for name in weights if "layers.0.mlp.up" in name]:
        weights[name] = weights[name].flip(0).contiguous()
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    return base


def false_claim(tree: Path) -> None:
    path = tree / "run" / "evaluation" / "evaluation.json"
    judged = json.loads(path.read_text(encoding="utf-8"))
    judged["primary"]["after"] += 0.04
    write_json(path, judged)
