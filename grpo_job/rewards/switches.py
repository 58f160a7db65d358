"""Keeps the switches that a reward sets in torch and numpy for itself, away from the training in the same process.

One that loads a model of its own calls `torch.set_grad_enabled(False)` or `set_default_device`: behind such a call
nothing can be trained. What is not loaded has no switches. Random number generators are shared, as in TRL.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class _Switch(NamedTuple):
    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    fresh: Any = None  # its value where the library has just been loaded, if that is the same on every machine


_of_rewards: dict[str, Any] = {}  # by name, those that are not as the run has them


@contextmanager
def apart() -> Iterator[None]:
    """Within, the switches are those that rewards left; afterwards those from before."""
    of_the_run = {switch.name: switch.read() for switch in _switches()}
    for switch in _switches():
        if switch.name in _of_rewards:
            switch.write(_of_rewards[switch.name])
    try:
        yield
    finally:
        for switch in _switches():
            before, now = of_the_run.get(switch.name, switch.fresh), switch.read()
            _of_rewards.pop(switch.name, None)
            if before not in (None, now):
                _of_rewards[switch.name] = now
                switch.write(before)


def _switches() -> Iterator[_Switch]:
    if torch := sys.modules.get("torch"):
        yield _Switch("gradients", torch.is_grad_enabled, torch.set_grad_enabled, True)
        yield _Switch("dtype", torch.get_default_dtype, torch.set_default_dtype, torch.float32)
        yield _Switch("device", torch.get_default_device, _set_device, torch.device("cpu"))
        yield _Switch(
            "deterministic", torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, False
        )
        yield _Switch("threads", torch.get_num_threads, torch.set_num_threads)
    if numpy := sys.modules.get("numpy"):
        yield _Switch("errors", numpy.geterr, lambda errors: numpy.seterr(**errors))


def _set_device(device: Any) -> None:
    """None is the CPU too, and without a mode that all of torch's functions go through."""
    sys.modules["torch"].set_default_device(None if device.type == "cpu" else device)
