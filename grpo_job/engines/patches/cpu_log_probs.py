"""TRL's chunked log-probability kernel in plain torch, for machines without a GPU.

TRL 1.15 computes the GRPO loss with a Triton kernel on every device; on CPU it fails. `install`
puts a class with the same signature in its place. A test holds it to the interpreted kernel in
value and gradient. It materialises the logits, so it is for small models.
"""

from typing import Any

import torch


class PlainLogProbs:
    """Drop-in for `trl.trainer.utils._ChunkedLogProbFunction`."""

    @staticmethod
    def apply(
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        temperature: float,
        chunk_size: int,
        softcap: float | None = None,
        logit_scale: float = 1.0,
        outputs: tuple[str, ...] = (),
    ) -> tuple[torch.Tensor, Any, Any, Any, Any]:
        """Statistics of each token's next-token distribution.

        `hidden` [N, H], `weight` [V, H], `bias` [V] or None, `targets` [N]. Returns log-probabilities [N]
        (natural logarithm) and, where `outputs` names them, entropy [N], log of the sum of squared
        probabilities [N], mean logit [N] and whether the target has the largest logit [N].
        """
        logits = torch.nn.functional.linear(hidden, weight, bias).float() * logit_scale
        if softcap is not None:
            logits = softcap * torch.tanh(logits / softcap)
        logits = logits / temperature
        log_probs = logits.log_softmax(-1)
        chosen = log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        entropy = -(log_probs.exp() * log_probs).sum(-1) if "entropy" in outputs else None
        with torch.no_grad():
            squares = (2 * log_probs).logsumexp(-1) if "log_sum_sq_probs" in outputs else None
            mean_logits = logits.mean(-1) if "mean_logits" in outputs else None
            is_top1 = logits.argmax(-1) == targets if "is_top1" in outputs else None
        return chosen, entropy, squares, mean_logits, is_top1


def install() -> None:
    """Make TRL use plain torch; call on CPU only, after TRL is imported."""
    import trl.trainer.utils

    trl.trainer.utils._ChunkedLogProbFunction = PlainLogProbs
