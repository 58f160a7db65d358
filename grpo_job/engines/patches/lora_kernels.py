"""vLLM's LoRA kernels, compiled for any number of tokens: 9 in place of 30, and none in the middle of a run.

Triton compiles a kernel again for a number that is 1, and for one that 16 divides. These two kernels are given the
number of tokens, from which they only compute how many blocks there are: the compiled code is as good without.
"""

import importlib
from collections.abc import Iterator
from typing import Any

# Of vLLM 0.26: each kernel's module and name, the number of tokens, and the distance between slices: tokens x rank.
KERNELS = (
    ("vllm.lora.ops.triton_ops.lora_shrink_op", "_lora_shrink_kernel", "M", "output_d0_stride"),
    ("vllm.lora.ops.triton_ops.lora_expand_op", "_lora_expand_kernel", "M", "input_d0_stride"),
)
ALIGNED = 16


def compile_for_any_tokens(rank: int) -> None:
    """Before the kernels' first use. Without these kernels, or where they look different, nothing is done.

    `rank`: what vLLM reserves room for. If 16 divides it, the distance is aligned for any number of tokens.
    """
    for module, kernel, tokens, distance in KERNELS:
        for parameter in _parameters(module, kernel):
            if parameter.name == tokens or (parameter.name == distance and rank % ALIGNED):
                parameter.do_not_specialize = True


def _parameters(module: str, kernel: str) -> Iterator[Any]:
    try:
        compiled = getattr(importlib.import_module(module), kernel, None)
    except ImportError:
        return
    if not getattr(compiled, "device_caches", True):  # read at the first use, and not again
        yield from getattr(compiled, "params", ())
