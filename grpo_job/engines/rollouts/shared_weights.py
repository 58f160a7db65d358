"""vLLM reads training's weights: how the adapter, which is not among them, reaches it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from grpo_job.engines.interface import Adapter
from grpo_job.engines.rollouts.adapter_slot import AdapterSlot
from grpo_job.run_folder import scratch

# Unsloth reads it at each request: "1" folds into the shared weights, "0" asks vLLM's LoRA kernels.
MERGED = "UNSLOTH_VLLM_MERGED_ROLLOUT"


class UnfoldedWeights:
    """vLLM reads training's weights, and the adapter through its LoRA kernels."""

    notes: tuple[str, ...] = ()
    kept = None

    def __init__(self, llm: Any, slot: AdapterSlot) -> None:
        self.llm, self.slot = llm, slot

    def changed(self) -> None:
        """The adapter is no longer what vLLM holds."""
        self.slot.stale = True

    def serve(self, adapter: Adapter, *, unfolded: bool = False) -> Any:
        """See `FoldedWeights.serve`."""
        if adapter == "off":
            return None
        if self.slot.write() and not self.llm.reset_prefix_cache():
            raise RuntimeError("vLLM still holds requests, so its cache of the old adapter cannot be dropped")
        return self.slot.request


class SharedWeights:
    """vLLM reads training's weights; the adapter comes as a LoRA request.

    Unsloth decides what such a request does: LoRA kernels, or with UNSLOTH_VLLM_MERGED_ROLLOUT a fold
    into the shared weights for the length of one call, undone bit for bit.
    """

    notes: tuple[str, ...] = ()
    kept = None

    def __init__(self, model: Any) -> None:
        self.model = model
        # Unsloth writes the adapter's config there once; the tensors travel in memory.
        self.folder = str(scratch.folder("lora"))

    def changed(self) -> None:
        """Every call takes the adapter as it is."""

    def serve(self, adapter: Adapter, *, unfolded: bool = False) -> Any:
        """See `FoldedWeights.serve`."""
        if adapter == "off":
            return None
        with _not_merged() if unfolded else nullcontext():
            return self.model.load_lora(self.folder, load_tensors=True)


@contextmanager
def _not_merged() -> Iterator[None]:
    """Within: Unsloth makes requests for vLLM's LoRA kernels."""
    before = os.environ[MERGED]
    os.environ[MERGED] = "0"
    try:
        yield
    finally:
        os.environ[MERGED] = before
