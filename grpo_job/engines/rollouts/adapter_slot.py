"""The adapter in vLLM's own LoRA kernels, unfolded: the tensors are copied to where the kernels read them.

vLLM loads a new adapter from a file at each change. Here it is told of one adapter, once, and its place on the GPU,
which the CUDA graphs read, takes the new values.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from grpo_job.engines.trainer.adapter import ADAPTER

ADAPTER_ID = 1  # vLLM's number of it, from 1
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM 0.26 reserves room for (`MaxLoRARanks`)


class Unservable(Exception):
    """vLLM cannot apply this adapter by its LoRA kernels; the text says why."""


def lora_arguments(rank: int) -> dict[str, Any]:
    """vLLM's arguments for one adapter of this rank.

    >>> lora_arguments(24)
    {'enable_lora': True, 'max_loras': 1, 'max_lora_rank': 32}
    >>> lora_arguments(1000)
    {'enable_lora': False}
    """
    room = next((most for most in RANKS if most >= rank), None)
    return {"enable_lora": True, "max_loras": 1, "max_lora_rank": room} if room else {"enable_lora": False}


class AdapterSlot:
    """vLLM's one place for an adapter. `request` is what a call to vLLM brings to be answered with it."""

    stale = True

    def __init__(self, runner: Any, layers: Mapping[str, Any]) -> None:
        """`runner` is vLLM's model runner; `layers` are the adapted ones by their names in the checkpoint.

        Raises `Unservable` if vLLM has LoRA switched off, or has no LoRA layer for one of them.
        """
        if missing := sorted(set(layers) - wrapped(runner, layers)):
            count = f"{len(missing)} of {len(layers)} adapted layers"
            raise Unservable(f"vLLM has no LoRA kernels for {count}, such as {missing[0]}")
        from vllm.lora.request import LoRARequest

        worker, manager = runner.lora_manager, runner.lora_manager._adapter_manager
        named = {_name_in_vllm(runner.model, name): layer for name, layer in layers.items()}
        packs = [
            (module, [named.get(part) for part in _parts(manager, name)]) for name, module in manager.modules.items()
        ]
        self.packs = [(module, parts) for module, parts in packs if any(part is not None for part in parts)]
        self.request = LoRARequest("adapter", ADAPTER_ID, "in memory")
        with torch.inference_mode():  # in which vLLM made its tensors
            worker.add_dummy_lora(self.request, rank=1)
            manager.activate_adapter(ADAPTER_ID)
        self.place = manager.lora_index_to_id.index(ADAPTER_ID)

    def write(self) -> bool:
        """Copy the adapter if it has changed; whether it had. B takes the scale in, as vLLM wants it."""
        if not self.stale:
            return False
        with torch.inference_mode():
            for module, parts in self.packs:
                down = [None if part is None else part.lora_A[ADAPTER].weight for part in parts]
                up = [None if part is None else part.lora_B[ADAPTER].weight * part.scaling[ADAPTER] for part in parts]
                packed = len(parts) > 1
                module.set_lora(self.place, down if packed else down[0], up if packed else up[0])
        self.stale = False
        return True


def wrapped(runner: Any, names: Iterable[str]) -> set[str]:
    """Those of the layers, named as in the checkpoint, that are LoRA layers in vLLM."""
    worker = getattr(runner, "lora_manager", None)
    if worker is None:
        return set()
    manager = worker._adapter_manager
    there = {part for name in manager.modules for part in _parts(manager, name)}
    return {name for name in names if _name_in_vllm(runner.model, name) in there}


def _parts(manager: Any, name: str) -> list[str]:
    """The layers of the checkpoint, under vLLM's names, that vLLM packs into the module of this name."""
    return manager.packed_modules.get(name) or [name]


def _name_in_vllm(served: Any, name: str) -> str:
    """vLLM renames the modules of some models; what it packs together comes later."""
    mapper = getattr(served, "hf_to_vllm_mapper", None)
    return (mapper and mapper.get_unstacked_mapper()._map_name(name)) or name
