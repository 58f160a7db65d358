"""The weights without loading them: names from the index, or from the header of a safetensors file."""

import re
from pathlib import Path

from safetensors import SafetensorError, safe_open

from grpo_job.inputs.base_model import BaseModel
from grpo_job.settings.plain_files import read_object

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"[\w-][\w.-]*\.safetensors")
HUB_SECONDS = 10
# Layers that a LoRA of this job cannot stand on: tables and scales, not products of matrices.
NO_LINEAR = ("embed", "norm", "wte", "wpe", "rotary")


def fault(base: BaseModel) -> str | None:
    """Why the weights are not whole, or None. On the Hub only what its list of files tells."""
    try:
        shards = _shards_of(base)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its {INDEX} cannot be read ({type(error).__name__}: {error})"
    if odd := sorted(name for name in shards if not SHARD.fullmatch(name)):
        return f"its {INDEX} names {odd[0]!r}, which is no safetensors file beside it"
    there = set(base.files) or {path.name for path in base.folder.glob("*.safetensors")}
    if not shards and WHOLE not in there:
        return f"it holds neither {WHOLE} nor {INDEX}, by which transformers finds weights"
    if missing := sorted(shards - there):
        return f"of its weights {', '.join(missing[:3])} is missing"
    for path in sorted(base.folder.glob("*.safetensors")):
        try:
            _shapes_in(path)
        except (OSError, SafetensorError) as error:
            return f"{path.name} is no whole safetensors file ({error})"
    return None


def layers(base: BaseModel) -> set[str]:
    """The last part of the name of each layer that holds a matrix; empty where that cannot be read.

    `model.layers.0.self_attn.q_proj.weight` is the layer `q_proj`.
    """
    try:
        index = base.folder / INDEX
        names = list(read_object(index)["weight_map"] if index.is_file() else shapes(base))
    except Exception:  # files or answers of others: without names there is only this one check less
        return set()
    found = {name.split(".")[-2] for name in names if name.endswith(".weight") and name.count(".") > 1}
    return {name for name in found if not any(part in name for part in NO_LINEAR)}


def shapes(base: BaseModel) -> dict[str, list[int]]:
    """Tensor -> shape from the headers of the files, here or on the Hub; empty where they cannot be read."""
    try:
        local = sorted(base.folder.glob("*.safetensors"))
        if local:
            return {name: shape for path in local for name, shape in _shapes_in(path).items()}
        return _shapes_on_hub(base)
    except Exception:  # as in `layers`
        return {}


def _shapes_in(path: Path) -> dict[str, list[int]]:
    """Raises `SafetensorError` unless the file is as long as its header says."""
    with safe_open(path, "np") as file:
        return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def _shapes_on_hub(base: BaseModel) -> dict[str, list[int]]:
    from huggingface_hub import HfApi

    found: dict[str, list[int]] = {}
    for file in sorted(_shards_of(base)) or [WHOLE]:
        header = HfApi().parse_safetensors_file_metadata(base.name, file, revision=base.commit, timeout=HUB_SECONDS)
        found |= {name: list(tensor.shape) for name, tensor in header.tensors.items()}
    return found


def _shards_of(base: BaseModel) -> set[str]:
    """The files that the index names."""
    index = base.folder / INDEX
    return set(map(str, read_object(index)["weight_map"].values())) if index.is_file() else set()
