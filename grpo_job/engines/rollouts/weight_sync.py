"""How the adapter reaches vLLM: folded into weights of vLLM's own, or unfolded, through vLLM's LoRA kernels.

Completions for training come as the plan's `rollout_weights` says; what is reported is measured with `unfolded=True`.
"""

from collections.abc import Hashable
from typing import Any

import torch

from grpo_job.engines.interface import Adapter
from grpo_job.engines.rollouts.adapter_slot import AdapterSlot, Unservable, wrapped
from grpo_job.engines.rollouts.fold import KeptShare, base_weight, constants, fold
from grpo_job.engines.rollouts.load_places import load
from grpo_job.engines.rollouts.replay import Replayed
from grpo_job.engines.rollouts.rounding import key_of
from grpo_job.engines.rollouts.shared_weights import SharedWeights, UnfoldedWeights
from grpo_job.engines.trainer.adapter import ADAPTER
from grpo_job.planner.plan import Plan


def lora_layers(model: Any) -> list[Any]:
    """The adapted layers, in the model's order."""
    return list(_named_lora_layers(model).values())


def _named_lora_layers(model: Any) -> dict[str, Any]:
    """By their names in the checkpoint, without `.weight`."""
    named = ((name.removeprefix("base_model.model."), module) for name, module in model.named_modules())
    return {name: module for name, module in named if ADAPTER in (getattr(module, "lora_A", None) or ())}


def weight_sync(model: Any, plan: Plan, seed: int) -> "OwnWeights | SeparateWeights | SharedWeights | UnfoldedWeights":
    """How this model's adapter reaches `model.vllm_engine`; see `planner.plan`."""
    if plan.dequantizes:
        return SeparateWeights(model, model.vllm_engine, plan, seed)
    if plan.weight_sync == "copy":
        return OwnWeights(model, plan, seed)
    # Not beside Unsloth's own requests, which begin with the same number.
    wanted = plan.weight_sync == "lora" and not plan.load_in_4bit and not plan.standby
    slot = adapter_slot(model, model.vllm_engine)[0] if wanted else None
    return UnfoldedWeights(model.vllm_engine, slot) if slot else SharedWeights(model)


def adapter_slot(model: Any, llm: Any) -> tuple[AdapterSlot | None, str]:
    """The place for this model's adapter in vLLM's kernels; or None, and a sentence for the user."""
    try:
        return AdapterSlot(_model_runner(llm), _named_lora_layers(model)), ""
    except Unservable as why:
        return None, f"rollouts and evaluations fold the adapter into the 16-bit weights: {why}"


class FoldedWeights:
    """vLLM holds weights that training does not: the adapter is folded into them when it has changed.

    Each fold writes round(W + scale * B A) from training's W, so nothing has to be undone and
    no rounding adds up; writing W gives the base back. Subclasses know where to write.
    """

    held: Adapter | None

    def __init__(self, model: Any, llm: Any, plan: Plan, seed: int) -> None:
        """`seed` is that of the dither, if the plan's way is to round with one."""
        self.llm, self.stale = llm, True
        self.slot, note = adapter_slot(model, llm)
        self.notes = [note] if note else []
        self.unfolded = plan.rollout_weights == "lora"
        layers = _named_lora_layers(model)
        rounded = plan.rollout_weights == "rounded"
        self.keys = [key_of(seed, number) if rounded else None for number in range(len(layers))]
        self.kept = KeptShare(len(layers))

    def changed(self) -> None:
        """The adapter is no longer what vLLM holds."""
        self.stale = True
        if self.slot:
            self.slot.stale = True

    def serve(self, adapter: Adapter, *, unfolded: bool = False) -> Any:
        """Make vLLM answer with or without the adapter; returns the LoRA request to ask with, or None.

        `unfolded`: through vLLM's kernels over the untouched base, whatever the way of the rollouts, if vLLM can.
        RuntimeError if vLLM is in the middle of an answer.
        """
        in_slot = self.slot if adapter == "on" and (unfolded or self.unfolded) else None
        wrote = self._hold("off" if in_slot else adapter)
        if in_slot:
            wrote = in_slot.write() or wrote
        if wrote and not self.llm.reset_prefix_cache():
            self.held = None
            raise RuntimeError("vLLM still holds requests, so its cache of the old weights cannot be dropped")
        return in_slot and in_slot.request

    def _hold(self, adapter: Adapter) -> bool:
        """Write the weights with or without the adapter folded in, unless vLLM holds them; whether it did not."""
        if self.held == adapter and not (adapter == "on" and self.stale):
            return False
        self.kept.begin()
        # inference_mode: vLLM's tensors may be inference tensors, which nothing else may write to.
        with torch.inference_mode():
            self._write(adapter)
        self.held, self.stale = adapter, False
        return True

    def _folded(self, number: int, layer: Any, out: torch.Tensor | None = None) -> torch.Tensor:
        """The layer's weight with the adapter in it, and its part in `kept`."""
        folded = fold(layer, self.keys[number], out)
        if number in self.kept.layers:
            self.kept.add(layer, folded)
        return folded

    def _write(self, adapter: Adapter) -> None:
        raise NotImplementedError


class OwnWeights(FoldedWeights):
    """vLLM keeps the tensors that Unsloth shared, training goes on with copies of them."""

    def __init__(self, model: Any, plan: Plan, seed: int) -> None:
        super().__init__(model, model.vllm_engine, plan, seed)
        self.held = "off"
        layers = lora_layers(model)
        _require_shared_storage(self.llm, layers)
        self.layers = [(layer, self._separate(layer)) for layer in layers]
        cure = "GRPO_ROLLOUT_WEIGHTS: set it to lora, which needs no fold"
        self._fold_all = Replayed(self._launch_folds, self._constants, self.layers[0][1].device, cure)

    @staticmethod
    def _separate(layer: Any) -> torch.Tensor:
        """Give the layer a weight of its own; return vLLM's."""
        served = layer.base_layer.weight.data
        layer.base_layer.weight = torch.nn.Parameter(served.clone(), requires_grad=False)
        return served

    def _write(self, adapter: Adapter) -> None:
        if adapter == "on":
            self.kept.sums = self._fold_all()
        else:
            for layer, served in self.layers:
                served.copy_(layer.base_layer.weight)

    def _launch_folds(self) -> torch.Tensor | None:
        """Fold each layer into vLLM's weight; returns the sums of `kept`."""
        self.kept.begin()
        for number, (layer, served) in enumerate(self.layers):
            self._folded(number, layer, out=served)
        return self.kept.sums

    def _constants(self) -> tuple[Hashable, ...]:
        # Training moves the LoRA when it makes its optimizer, and a state dict may be loaded in its place.
        return tuple((*constants(layer), served.data_ptr()) for layer, served in self.layers)


class SeparateWeights(FoldedWeights):
    """vLLM loaded the model by itself, under the names of the checkpoint.

    It loads training's base once more: that tells where each weight is, and of a base that training holds in 4 bits,
    vLLM gets what these amount to.
    """

    def __init__(self, model: Any, llm: Any, plan: Plan, seed: int) -> None:
        super().__init__(model, llm, plan, seed)
        layers, self.served = _named_lora_layers(model), _model_runner(llm).model
        deeper = wrapped(_model_runner(llm), layers)  # vLLM's LoRA layers hold the weight one level deeper
        names = [f"{name}{'.base_layer' * (name in deeper)}.weight" for name in layers]
        with torch.inference_mode():
            self.layers = [
                (name, layer, load(self.served, name, base_weight(layer)))
                for name, layer in zip(names, layers.values(), strict=True)
            ]
        self.held = "off"

    def _write(self, adapter: Adapter) -> None:
        for number, (name, layer, place) in enumerate(self.layers):
            weight = self._folded(number, layer, out=place) if adapter == "on" else base_weight(layer)
            if place is None:
                self.served.load_weights([(name, weight)])
            elif adapter == "off":
                place.copy_(weight)


def _model_runner(llm: Any) -> Any:
    """What holds the module that vLLM answers with, in this process."""
    return llm.llm_engine.model_executor.driver_worker.model_runner


def _require_shared_storage(llm: Any, layers: list[Any]) -> None:
    """A fold into tensors that vLLM does not read would sample from the base for ever, without an error."""
    storages = {weight.untyped_storage().data_ptr() for weight in _model_runner(llm).model.parameters()}
    strangers = sum(layer.base_layer.weight.untyped_storage().data_ptr() not in storages for layer in layers)
    if strangers or not layers:
        raise RuntimeError(f"{strangers} of {len(layers)} adapted layers do not share their weights with vLLM")
