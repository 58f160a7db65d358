"""Where vLLM keeps a weight that it loads, so that later values are written straight there.

`load_weights` looks up all parameters at each call, which for each layer of each step takes longer than the copy.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


def load(served: Any, name: str, weight: torch.Tensor) -> torch.Tensor | None:
    """Have vLLM's model load a weight; the part of its parameters that holds it from now on.

    None if that is not one part of this shape and type: several GPUs share a weight (tensor parallelism).
    Raises `RuntimeError` if vLLM took nothing from it: it would sample from the base for ever, without an error.
    """
    with _Copies() as copies:
        served.load_weights([(name, weight)])
    if not copies.targets:
        raise RuntimeError(f"vLLM has no place for the weight {name}")
    place, *others = copies.targets
    return None if others or place.shape != weight.shape or place.dtype != weight.dtype else place


class _Copies(TorchDispatchMode):
    """Notes what is copied to while it is active: whatever its model calls before, vLLM copies in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[torch.Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.copy_.default:
            self.targets.append(args[0].as_subclass(torch.Tensor))  # not vLLM's kind of parameter
        return func(*args, **(kwargs or {}))
