"""How the adapter reaches vLLM: folded into weights of vLLM's own, or as a LoRA request."""

import tempfile
from typing import Any

import torch

from grpo_job.engines.interface import Adapter
from grpo_job.engines.trainer.adapter import ADAPTER
from grpo_job.engines.trainer.fsdp import gathered
from grpo_job.planner.plan import Plan


def lora_layers(model: Any) -> list[Any]:
    """The adapted layers, in the model's order."""
    return [module for module in model.modules() if _is_lora(module)]


def _is_lora(module: Any) -> bool:
    return ADAPTER in (getattr(module, "lora_A", None) or ())


def weight_sync(model: Any, plan: Plan) -> "OwnWeights | SharedWeights":
    """How this model's adapter reaches vLLM; see `gpu_plan`."""
    return OwnWeights(model) if plan.weight_sync == "copy" else SharedWeights(model)


class FoldedWeights:
    """vLLM holds weights that training does not: the adapter is folded into them when it has changed.

    Each fold writes round(W + scale * B A) from training's W, so nothing has to be undone and
    no rounding adds up; writing W gives the base back. Subclasses know where to write.
    """

    llm: Any
    held: Adapter | None
    stale = True

    def changed(self) -> None:
        """The adapter is no longer what vLLM holds."""
        self.stale = True

    def serve(self, adapter: Adapter) -> None:
        """Make vLLM answer with or without the adapter; None stands for "no LoRA request".

        RuntimeError where vLLM is in the middle of an answer.
        """
        if self.held == adapter and not (adapter == "on" and self.stale):
            return
        # inference_mode: vLLM's tensors may be inference tensors, which nothing else may write to.
        with torch.inference_mode():
            self._write(adapter)
        if not self.llm.reset_prefix_cache():
            raise RuntimeError("vLLM still holds requests, so its cache of the old weights cannot be dropped")
        self.held, self.stale = adapter, False

    def _write(self, adapter: Adapter) -> None:
        raise NotImplementedError


class OwnWeights(FoldedWeights):
    """vLLM keeps the tensors that Unsloth shared, training goes on with copies of them."""

    def __init__(self, model: Any) -> None:
        self.llm = model.vllm_engine
        self.held = "off"
        layers = lora_layers(model)
        _require_shared_storage(self.llm, layers)
        self.layers = [(layer, self._separate(layer)) for layer in layers]

    @staticmethod
    def _separate(layer: Any) -> torch.Tensor:
        """Give the layer a weight of its own; return vLLM's."""
        served = layer.base_layer.weight.data
        layer.base_layer.weight = torch.nn.Parameter(served.clone(), requires_grad=False)
        return served

    def _write(self, adapter: Adapter) -> None:
        for layer, served in self.layers:
            if adapter == "on":
                _fold(layer, out=served)
            else:
                served.copy_(layer.base_layer.weight)


class SeparateWeights(FoldedWeights):
    """vLLM loaded the model by itself; each fold is handed over under the names of the checkpoint."""

    def __init__(self, model: Any, llm: Any) -> None:
        self.llm = llm
        self.layers = [(_name_in_checkpoint(name), layer) for name, layer in model.named_modules() if _is_lora(layer)]
        # vLLM loaded 16 bits; of a base that training holds in 4, it is given what these amount to.
        self.held = None if any(_is_quantized(layer) for _, layer in self.layers) else "off"

    def _write(self, adapter: Adapter) -> None:
        served = _served_model(self.llm)
        for name, layer in self.layers:
            served.load_weights([(name, _fold(layer) if adapter == "on" else _base_weight(layer))])


def _name_in_checkpoint(module: str) -> str:
    return f"{module.removeprefix('base_model.model.')}.weight"


def _served_model(llm: Any) -> Any:
    """The module that vLLM answers with, in this process."""
    return llm.llm_engine.model_executor.driver_worker.model_runner.model


def _require_shared_storage(llm: Any, layers: list[Any]) -> None:
    """A fold into tensors that vLLM does not read would sample from the base for ever, without an error."""
    storages = {weight.untyped_storage().data_ptr() for weight in _served_model(llm).parameters()}
    strangers = sum(layer.base_layer.weight.untyped_storage().data_ptr() not in storages for layer in layers)
    if strangers or not layers:
        raise RuntimeError(f"{strangers} of {len(layers)} adapted layers do not share their weights with vLLM")


def _fold(layer: Any, out: torch.Tensor | None = None) -> torch.Tensor:
    """round(W + scale * B A), from the 16-bit values that the training forward multiplies with.

    W is [out, in], B [out, rank], A [rank, in], scale is alpha / rank: LoRA, arXiv:2106.09685, section 4.1.
    The product and the sum are fp32 inside one kernel, so there is one rounding, and W is read once.
    """
    weight = _base_weight(layer)
    down, up = layer.lora_A[ADAPTER].weight.to(weight.dtype), layer.lora_B[ADAPTER].weight.to(weight.dtype)
    return torch.addmm(weight, up, down, alpha=layer.scaling[ADAPTER], out=out)


def _is_quantized(layer: Any) -> bool:
    return hasattr(layer.base_layer.weight, "quant_state")


def _base_weight(layer: Any) -> torch.Tensor:
    """In 16 bits, also of a base that training holds in 4; whole, also of one that several GPUs share."""
    weight = layer.base_layer.weight
    if not _is_quantized(layer):
        return gathered(weight.data)
    from bitsandbytes.functional import dequantize_4bit

    return dequantize_4bit(weight.data, weight.quant_state)


class SharedWeights:
    """vLLM reads training's weights; the adapter comes as a LoRA request.

    Unsloth decides what such a request does: LoRA kernels, or with UNSLOTH_VLLM_MERGED_ROLLOUT a fold
    into the shared weights for the length of one call, undone bit for bit.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        # Unsloth writes the adapter's config there once; the tensors travel in memory.
        self.folder = tempfile.mkdtemp(prefix="grpo_job_lora_")

    def changed(self) -> None:
        """Every call takes the adapter as it is."""

    def serve(self, adapter: Adapter) -> Any:
        """The LoRA request that vLLM answers with; None: the base alone."""
        return self.model.load_lora(self.folder, load_tensors=True) if adapter == "on" else None
