"""Where vLLM keeps what it loads, asked of models that load as vLLM's do."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from grpo_job.engines.rollouts.load_places import load


class Parameter(torch.nn.Parameter):
    """As vLLM's: what is made of it is again of its kind."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return super().__torch_function__(func, types, args, kwargs or {})


class Served:
    """Four rows of which a weight fills some."""

    def __init__(self, fill: Callable[[torch.Tensor, torch.Tensor], object], kind: Any = Parameter) -> None:
        with torch.inference_mode():
            self.parameter = kind(torch.zeros(4, 3, dtype=torch.bfloat16), requires_grad=False)
        self.fill = fill

    def load_weights(self, weights: list[tuple[str, torch.Tensor]]) -> None:
        for _, weight in weights:
            self.fill(self.parameter.data, weight)


WEIGHT = torch.arange(6.0).view(2, 3).bfloat16()


@pytest.mark.parametrize("kind", [Parameter, torch.nn.Parameter])
def test_what_is_written_to_the_place_is_what_vllm_reads(kind: Any) -> None:
    served = Served(lambda held, weight: held.narrow(0, 1, 2).copy_(weight), kind)
    with torch.inference_mode():
        place = load(served, "part", WEIGHT)
        assert type(place) is torch.Tensor
        assert torch.equal(served.parameter[1:3], WEIGHT)
        place.copy_(2 * WEIGHT)
        assert torch.equal(served.parameter[1:3], 2 * WEIGHT)
        assert not served.parameter[0].any()
        assert not served.parameter[3].any()


@pytest.mark.parametrize(
    "fill",
    [
        lambda held, weight: held.narrow(0, 1, 1).copy_(weight[:1]),
        lambda held, weight: [held.narrow(0, row, 1).copy_(weight[row : row + 1]) for row in (0, 1)],
    ],
    ids=["a share of it", "in two parts"],
)
def test_a_weight_without_one_place_of_its_shape_has_none(fill: Any) -> None:
    with torch.inference_mode():
        assert load(Served(fill), "part", WEIGHT) is None


def test_a_weight_that_vllm_does_not_take_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"no place for the weight model\.norm"):
        load(Served(lambda held, weight: None), "model.norm", WEIGHT)


def test_a_weight_of_another_type_has_no_place() -> None:
    served = Served(lambda held, weight: held.narrow(0, 1, 2).copy_(weight))
    with torch.inference_mode():
        assert load(served, "part", WEIGHT.float()) is None
        assert torch.equal(served.parameter[1:3], WEIGHT)
