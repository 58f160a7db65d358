"""What the trainer's own files of a checkpoint must be before any of them is loaded for good. Runs nothing of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.trainer_pt_utils import safe_globals

from grpo_job.run_folder.paths import WEIGHTS

STATE = "trainer_state.json"
PICKLED = (".bin", ".pt", ".pth")


def fault_of(folder: Path, step: int, model: Any) -> str | None:
    """Why training cannot resume `model` from the checkpoint of `step`, or None."""
    return next(_faults(folder, step, model), None)


def _faults(folder: Path, step: int, model: Any) -> Iterator[str]:
    if (fault := _fault_of_weights(folder / WEIGHTS, model)) is not None:
        yield fault
    for path in sorted(folder.iterdir()):
        if path.suffix in PICKLED and not _holds_only_tensors(path):
            yield f"{path.name} holds more than tensors and numbers, or is damaged; nothing of it was run"
    try:
        done = json.loads((folder / STATE).read_text(encoding="utf-8"))["global_step"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        done = None
    if done != step:
        yield f"its {STATE} is not that of step {step}"


def _fault_of_weights(weights: Path, model: Any) -> str | None:
    try:
        found = load_file(weights)
    except (OSError, SafetensorError, ValueError) as error:
        return f"{weights.name} is no whole safetensors file ({error})"
    ours = get_peft_model_state_dict(model, save_embedding_layers=False)
    if {name: weight.shape for name, weight in found.items()} != {name: weight.shape for name, weight in ours.items()}:
        return f"{weights.name} holds other layers or shapes than this run's adapter"
    if not all(bool(weight.isfinite().all()) for weight in found.values()):
        return f"{weights.name} holds weights that are no finite numbers"
    return None


def _holds_only_tensors(path: Path) -> bool:
    """As PyTorch's loader for weights sees it, which builds tensors and plain values and calls nothing else."""
    try:
        with safe_globals():
            torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # of a file that anybody may have written, whatever the loader raises
        return False
    return True
