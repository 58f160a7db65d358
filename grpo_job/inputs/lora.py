"""A LoRA adapter as PEFT saves it: found in a folder, its shape read from the header of its weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from grpo_job.outcomes import InvalidRun
from grpo_job.run_folder.paths import WEIGHTS

CONFIG = "adapter_config.json"
NOT_PLAIN = (
    "use_dora", "use_rslora", "use_qalora", "lora_bias", "modules_to_save", "rank_pattern", "alpha_pattern",
    "trainable_token_indices", "layer_replication", "target_parameters", "arrow_config",
)  # fmt: skip
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
OF_PEFT = "base_model.model."  # what PEFT puts before the name of each layer


class Lora(NamedTuple):
    """One plain LoRA. `config` is PEFT's; `layers` are its layers with their (outputs, inputs)."""

    folder: Path
    config: Mapping[str, Any]
    rank: int
    alpha: int
    layers: Mapping[str, tuple[int, int]]

    @property
    def modules(self) -> tuple[str, ...]:
        """The last part of each layer's name, each once: `("k_proj", "q_proj")`."""
        return tuple(sorted({name.rpartition(".")[2] for name in self.layers}))

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS


def folder_in(path: Path) -> Path:
    """The adapter's folder in `path`: itself, or that of a run. Raises `InvalidRun` if there are no such weights."""
    found = next((place for place in (path, path / "adapter") if (place / WEIGHTS).is_file()), None)
    if found is None:
        raise InvalidRun(
            f"{path}: there is no {WEIGHTS}; allowed: an adapter's folder, a run folder, or a published tree"
        )
    return found


def config_in(folder: Path) -> dict[str, Any]:
    """PEFT's configuration of a plain LoRA. Raises `InvalidRun` if it is unreadable, or of another kind of adapter."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        odd = [name for name in NOT_PLAIN if config.get(name)]
        kind, bias = config.get("peft_type", "LORA"), config.get("bias", "none")
    except (OSError, ValueError, AttributeError) as error:
        raise InvalidRun(f"{path} cannot be read ({error}); allowed: an adapter as PEFT saves it") from error
    odd += [f"peft_type {kind}"] if kind != "LORA" else []
    odd += [f"bias {bias}"] if bias != "none" else []
    if odd:
        raise InvalidRun(f"{folder}: only plain LoRA adapters are used; this one has {', '.join(odd)}")
    return dict(config)


def read(folder: Path) -> Lora:
    """The adapter in this folder. Raises `InvalidRun` unless it is one plain LoRA, whole, in safetensors."""
    config, shapes = config_in(folder), _shapes(folder / WEIGHTS)
    layers = {name.removesuffix(DOWN) for name in shapes if name.endswith(DOWN)}
    further = sorted(shapes.keys() - {layer + matrix for layer in layers for matrix in (DOWN, UP)})
    alone = sorted(layer for layer in layers if layer + UP not in shapes)
    if further or alone or not layers:
        odd = ", ".join((further or alone or ["no LoRA matrices"])[:3])
        raise InvalidRun(f"{folder / WEIGHTS}: it holds {odd}; allowed: pairs of LoRA matrices and nothing else")
    ranks = {shapes[layer + DOWN][0] for layer in layers} | {shapes[layer + UP][1] for layer in layers}
    if len(ranks) != 1:
        raise InvalidRun(f"{folder / WEIGHTS}: its LoRA matrices have the ranks {sorted(ranks)}; allowed: one")
    sizes = {layer.removeprefix(OF_PEFT): (shapes[layer + UP][0], shapes[layer + DOWN][1]) for layer in sorted(layers)}
    return Lora(folder, config, ranks.pop(), _alpha(folder, config), sizes)


def _alpha(folder: Path, config: Mapping[str, Any]) -> int:
    alpha = config.get("lora_alpha")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or alpha < 1 or alpha != int(alpha):
        raise InvalidRun(f"{folder / CONFIG}: lora_alpha is {alpha!r}; allowed: a whole number from 1")
    return int(alpha)


def _shapes(weights: Path) -> dict[str, list[int]]:
    """Tensor -> shape, of matrices only."""
    try:
        with safe_open(weights, "np") as file:
            shapes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InvalidRun(
            f"{weights} is no whole safetensors file ({error}); allowed: an adapter as PEFT saves it"
        ) from error
    if odd := [name for name, shape in shapes.items() if len(shape) != 2]:
        raise InvalidRun(f"{weights}: it holds {', '.join(odd[:3])}; allowed: pairs of LoRA matrices and nothing else")
    return shapes
