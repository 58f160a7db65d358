"""The base for training shared by the GPUs of a machine: each holds a part of each layer (FSDP).

A layer's weights are gathered before it computes and dropped after it; the base is frozen, so that is all. The LoRA
stays whole on each GPU, and its gradients are averaged by DDP. PyTorch's `fully_shard`, arXiv:2304.11277.
"""

from typing import Any

import accelerate.accelerator
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from grpo_job.outcomes import InvalidRun


def shard_layers(model: Any, device: torch.device, shards: int) -> None:
    """Leave on `device` this rank's part of each layer of a PeftModel, and all that is in no layer.

    `shards` ranks of one machine, neighbours in number, share a layer. All ranks call it together, before accelerate
    prepares the model. Raises `InvalidRun` where the model's class does not say what its layers are.
    """
    mesh = init_device_mesh(device.type, (dist.get_world_size() // shards, shards), mesh_dim_names=("copy", "part"))
    layers = _layers(model)
    frozen = {weight for layer in layers for weight in layer.parameters() if not weight.requires_grad}
    whole = set(model.parameters()) - frozen
    for tensor in (*whole, *model.buffers()):
        tensor.data = tensor.data.to(device)
    for layer in layers:
        fully_shard(layer, mesh=mesh["part"], ignored_params=whole)
    fully_shard(model, mesh=mesh["part"], ignored_params=set(model.parameters()))
    _leave_to_ddp_what_is_whole(model)


def gathered(weight: torch.Tensor) -> torch.Tensor:
    """A weight as a whole; all ranks that share it ask for it together."""
    return weight.full_tensor() if isinstance(weight, DTensor) else weight


def _layers(model: Any) -> list[Any]:
    base = model.get_base_model()
    names = set(base._no_split_modules or ())
    if found := [module for module in base.modules() if type(module).__name__ in names]:
        return found
    raise InvalidRun(
        f"GRPO_SHARD_BASE: {type(base).__name__} does not name its layers, so it cannot be cut; allowed: false"
    )


def _leave_to_ddp_what_is_whole(model: Any) -> None:
    sharded = [name for name, weight in model.named_parameters() if isinstance(weight, DTensor)]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, sharded)
    accelerate.accelerator.model_has_dtensor = lambda model: False  # it would refuse DDP, which touches none of them
