"""A base whose layers two processes share, over gloo: the same losses, gradients and weights as a whole one."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from accelerate import Accelerator
from transformers import AutoModelForCausalLM

from grpo_job.engines.rollouts.fold import fold
from grpo_job.engines.rollouts.weight_sync import lora_layers
from grpo_job.engines.trainer import fsdp
from grpo_job.engines.trainer.adapter import add_lora
from grpo_job.engines.trainer.fsdp import shard_layers
from grpo_job.inputs import sample
from grpo_job.outcomes import InvalidRun
from grpo_job.settings.schema import Settings

CPU = torch.device("cpu")


def sample_with_lora() -> Any:
    """The embedded model under a LoRA that changes something."""
    torch.manual_seed(0)
    model = add_lora(AutoModelForCausalLM.from_pretrained(sample.MODEL, dtype=torch.float32), Settings())
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return model


def loss_of(model: Any, rows: slice) -> torch.Tensor:
    ids = torch.randint(0, 500, (4, 12), generator=torch.Generator().manual_seed(3))[rows]
    loss: torch.Tensor = model(input_ids=ids, labels=ids).loss
    return loss


def train_rank(rank: int, folder: str, recompute: bool) -> None:
    """Two micro-steps as the trainer takes them: accelerate wraps the model in DDP."""
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}
    os.environ.update({name: str(value) for name, value in place.items()})  # where accelerate looks
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model = sample_with_lora()
    if recompute:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    shard_layers(model, CPU, shards=2)
    wrapped = Accelerator(cpu=True).prepare(model)
    assert isinstance(wrapped, torch.nn.parallel.DistributedDataParallel)
    for _ in range(2):
        loss = loss_of(wrapped, slice(2 * rank, 2 * rank + 2))
        loss.backward()
    layers = lora_layers(model)
    with torch.inference_mode():
        folded = [fold(layer) for layer in layers]
    found = {
        "loss": loss.detach(),
        "gradients": {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad},
        "folded": folded,
        "held": sum(layer.base_layer.weight.to_local().numel() for layer in layers),
    }
    torch.save(found, f"{folder}/{rank}.pt")


def test_a_model_that_does_not_name_its_layers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = sample_with_lora()
    monkeypatch.setattr(model.get_base_model(), "_no_split_modules", None)
    with pytest.raises(
        InvalidRun, match="Qwen2ForCausalLM does not name its layers, so it cannot be cut; allowed: false"
    ):
        fsdp._layers(model)


@pytest.mark.slow
@pytest.mark.parametrize("recompute", [False, True], ids=["activations kept", "recomputed"])
def test_a_shared_base_gives_the_gradients_and_the_folded_weights_of_a_whole_one(
    recompute: bool, tmp_path: Path
) -> None:
    torch.multiprocessing.spawn(train_rank, (str(tmp_path), recompute), nprocs=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    whole = sample_with_lora()
    loss = loss_of(whole, slice(0, 4))
    (2 * loss).backward()
    assert sum(found["loss"] for found in ranks) / 2 == pytest.approx(loss.item(), abs=1e-5)
    for found in ranks:
        for name, weight in whole.named_parameters():
            if weight.requires_grad:
                assert torch.allclose(found["gradients"][name], weight.grad, atol=1e-5)
        for layer, folded in zip(lora_layers(whole), found["folded"], strict=True):
            assert torch.equal(folded, fold(layer))
    assert sum(found["held"] for found in ranks) == sum(layer.base_layer.weight.numel() for layer in lora_layers(whole))
