"""The GPU's way to round with a dither: one pass over memory. Imported only where there is a GPU, for it needs Triton.

`rounding.py` has the same arithmetic in plain torch.
"""

import triton
import triton.language as tl

BLOCK = 4096


@triton.jit(do_not_specialize=["key"])  # type: ignore[untyped-decorator, unused-ignore]
def dither_kernel(value, out, count, key, DROPPED: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """`value` is fp32 and `out` 16-bit, both contiguous with `count` entries; the hash is `rounding._hash`."""
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = index < count
    x = index.to(tl.uint32) * 0x9E3779B1 + key.to(tl.uint32)
    x = (x ^ (x >> 16)) * 0x85EBCA6B
    x = (x ^ (x >> 13)) * 0xC2B2AE35
    dither = (x ^ (x >> 16)) & ((1 << DROPPED) - 1)
    bits = tl.load(value + index, mask=inside, other=0.0).to(tl.uint32, bitcast=True) + dither
    rounded = ((bits >> DROPPED) << DROPPED).to(tl.float32, bitcast=True)
    tl.store(out + index, rounded.to(out.dtype.element_ty), mask=inside)


def launch(value, out, key: int, dropped: int) -> None:  # type: ignore[no-untyped-def]
    """Round all of `value` into `out`."""
    count = value.numel()
    dither_kernel[(triton.cdiv(count, BLOCK),)](value, out, count, key, dropped, BLOCK)
