"""The plain-torch stand-in agrees with TRL's Triton kernel, interpreted, in value and gradient."""

import json
import os
import subprocess
import sys

import pytest

COMPARE = """
import json, sys, torch
from trl.trainer.utils import _ChunkedLogProbFunction as kernel
from grpo_job.engines.patches.cpu_log_probs import PlainLogProbs

torch.manual_seed(0)
outputs = ("entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
worst = {}
for softcap, scale, temperature, bias in ((None, 1.0, 1.0, False), (None, 1.0, 0.7, True), (5.0, 0.5, 1.3, True)):
    hidden, weight = torch.randn(7, 16), torch.randn(50, 16)
    offset = torch.randn(50) if bias else None
    targets = torch.randint(0, 50, (7,))
    found = []
    for function in (kernel, PlainLogProbs):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        values = function.apply(h, w, offset, targets, temperature, 32, softcap, scale, outputs)
        (values[0].sum() + 0.3 * values[1].sum()).backward()
        found.append([*(value.detach().float() for value in values), h.grad, w.grad])
    names = ("log_probs", *outputs, "hidden gradient", "weight gradient")
    for name, one, other in zip(names, *found):
        worst[name] = max(worst.get(name, 0.0), (one - other).abs().max().item())
json.dump(worst, sys.stdout)
"""


@pytest.fixture(scope="module")
def differences() -> dict[str, float]:
    """The largest absolute difference of each output; in a process of its own, because Triton asks at import."""
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    run = subprocess.run([sys.executable, "-c", COMPARE], env=environment, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


@pytest.mark.slow
def test_log_probabilities_and_statistics_equal_the_kernels(differences: dict[str, float]) -> None:
    values = {name: worst for name, worst in differences.items() if "gradient" not in name}
    assert len(values) == 5
    assert all(worst < 1e-5 for worst in values.values()), values


@pytest.mark.slow
def test_gradients_equal_the_kernels(differences: dict[str, float]) -> None:
    assert differences["hidden gradient"] < 1e-5
    assert differences["weight gradient"] < 1e-5
