"""vLLM's LoRA kernels are compiled once for all numbers of tokens."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from grpo_job.engines.patches.lora_kernels import KERNELS, compile_for_any_tokens

NAMES = ("input_ptr", "M", "N", "K", "input_d0_stride", "output_d0_stride", "output_d1_stride")


def kernel(used: bool = False) -> Any:
    """As much of Triton's JITFunction as the patch looks at."""
    params = [SimpleNamespace(name=name, do_not_specialize=False) for name in NAMES]
    return SimpleNamespace(params=params, device_caches={0: "compiled"} if used else {})


def installed(monkeypatch: pytest.MonkeyPatch, **kernels: Any) -> None:
    for module, name, *_ in KERNELS:
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        if name in kernels:
            setattr(sys.modules[module], name, kernels[name])


def unspecialized(kernel: Any) -> set[str]:
    return {parameter.name for parameter in kernel.params if parameter.do_not_specialize}


@pytest.mark.parametrize(
    ("rank", "shrink", "expand"),
    [(8, {"M", "output_d0_stride"}, {"M", "input_d0_stride"}), (16, {"M"}, {"M"}), (64, {"M"}, {"M"})],
)
def test_what_follows_from_the_number_of_tokens_is_not_compiled_in(
    monkeypatch: pytest.MonkeyPatch, rank: int, shrink: set[str], expand: set[str]
) -> None:
    shrinks, expands = kernel(), kernel()
    installed(monkeypatch, _lora_shrink_kernel=shrinks, _lora_expand_kernel=expands)
    compile_for_any_tokens(rank)
    assert (unspecialized(shrinks), unspecialized(expands)) == (shrink, expand)


def test_a_kernel_that_was_used_already_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    used = kernel(used=True)
    installed(monkeypatch, _lora_shrink_kernel=used)
    compile_for_any_tokens(8)
    assert unspecialized(used) == set()


def test_kernels_that_look_different_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, _lora_shrink_kernel=lambda: None)
    compile_for_any_tokens(8)


def test_without_vllms_kernels_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, *_ in KERNELS:
        monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    compile_for_any_tokens(8)
