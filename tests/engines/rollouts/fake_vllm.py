"""What the hand-over touches of vLLM 0.26, as plain tensors: packed linear layers, LoRA places, weight loading."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from grpo_job.engines.rollouts.weight_sync import lora_layers
from grpo_job.engines.trainer.adapter import ADAPTER, add_lora
from grpo_job.inputs import sample
from grpo_job.settings.schema import Settings

BF16 = torch.bfloat16
PACKED = {"qkv_proj": ["q_proj", "k_proj", "v_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}


def model_with_lora(std: float, dtype: torch.dtype = BF16) -> Any:
    """The embedded model in 16 bits under a LoRA whose second matrix has entries of this size."""
    torch.manual_seed(0)
    model = add_lora(AutoModelForCausalLM.from_pretrained(sample.MODEL, dtype=dtype), Settings())
    for layer in lora_layers(model):
        torch.nn.init.normal_(layer.lora_B[ADAPTER].weight.data, std=std)
    return model


class LoraLinear:
    """A LoRA layer of vLLM, which keeps what it is given; the place is filled as vLLM's `set_lora` does."""

    def __init__(self) -> None:
        self.held: dict[int, Any] = {}

    def set_lora(self, place: int, down: Any, up: Any) -> None:
        self.held[place] = (down, up)


class Manager:
    """`WorkerLoRAManager` and the `LoRAModelManager` below it."""

    def __init__(self, names: list[str]) -> None:
        self.modules = {name: LoraLinear() for name in names}
        packed = {name: PACKED.get(name.rpartition(".")[2], []) for name in names}
        self.packed_modules = {
            name: [f"{name.rpartition('.')[0]}.{part}" for part in parts] for name, parts in packed.items() if parts
        }
        self.lora_index_to_id: list[int | None] = [None]
        self._adapter_manager = self

    def add_dummy_lora(self, request: Any, rank: int) -> bool:
        return True

    def activate_adapter(self, number: int) -> bool:
        self.lora_index_to_id[0] = number
        return True


class Vllm:
    """`LLM` with the model that it serves; `held` has the weights under the names of the checkpoint."""

    def __init__(self, model: Any, *, lora: bool, left_out: str = "no such layer") -> None:
        self.trained, base = model, model.get_base_model()
        self.held = {name: weight.data for name, weight in base.named_parameters() if "lora_" not in name}
        names = {name.rpartition(".")[0] for name, _ in base.named_modules() if name.endswith("base_layer")}
        parts = {part: pack for pack, parts in PACKED.items() for part in parts}
        packed = {
            ".".join([*name.split(".")[:-1], parts.get(last := name.split(".")[-1], last)])
            for name in names
            if left_out not in name
        }
        runner = SimpleNamespace(model=self)
        if lora:
            runner.lora_manager = Manager(sorted(packed))
        worker = SimpleNamespace(model_runner=runner)
        self.llm_engine = SimpleNamespace(model_executor=SimpleNamespace(driver_worker=worker))
        self.runner, self.resets = runner, 0

    def reset_prefix_cache(self) -> bool:
        self.resets += 1
        return True

    def parameters(self) -> Any:
        return self.held.values()


class ByItself(Vllm):
    """A vLLM that loaded the model by itself: what it packs together is one parameter, and `load_weights` fills a part.

    `tensor_parallel`: it holds the first half of each part, the next GPU the other.
    """

    def __init__(
        self, model: Any, *, lora: bool, left_out: str = "no such layer", tensor_parallel: bool = False
    ) -> None:
        super().__init__(model, lora=lora, left_out=left_out)
        wrapped = {} if not lora else self.runner.lora_manager.modules
        self.parts: dict[str, torch.Tensor] = {}
        self.calls: list[str] = []
        for pack, parts in _packs(model).items():
            sizes = [layer.base_layer.weight.shape[0] // (2 if tensor_parallel else 1) for layer in parts.values()]
            with torch.inference_mode():
                parameter = torch.zeros(sum(sizes), next(iter(parts.values())).base_layer.weight.shape[1], dtype=BF16)
            suffix = ".base_layer.weight" if pack in wrapped else ".weight"
            views = parameter.split(sizes)
            self.parts.update({name + suffix: view for name, view in zip(parts, views, strict=True)})

    def load_weights(self, weights: list[tuple[str, torch.Tensor]]) -> None:
        for name, weight in weights:
            self.calls.append(name)
            part = self.parts[name]
            part.data.copy_(weight.narrow(0, 0, part.shape[0]))


def _packs(model: Any) -> dict[str, dict[str, Any]]:
    """The adapted layers by their names, in the order and under the name in which vLLM packs them."""
    into = {part: (pack, place) for pack, parts in PACKED.items() for place, part in enumerate(parts)}
    packs: dict[str, dict[int, tuple[str, Any]]] = {}
    for full, layer in model.named_modules():
        if ADAPTER in (getattr(layer, "lora_A", None) or ()):
            parent, _, last = (name := full.removeprefix("base_model.model.")).rpartition(".")
            pack, place = into.get(last, (last, 0))
            packs.setdefault(f"{parent}.{pack}", {})[place] = (name, layer)
    return {pack: dict(parts[place] for place in sorted(parts)) for pack, parts in packs.items()}


@pytest.fixture
def vllm_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """`from vllm.lora.request import LoRARequest` without vLLM."""
    module = ModuleType("vllm.lora.request")
    module.LoRARequest = lambda name, number, path: SimpleNamespace(name=name, number=number)  # type: ignore[attr-defined]
    for name in ("vllm", "vllm.lora"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "vllm.lora.request", module)
