"""Fixes Unsloth's loss, which computes log-probabilities twice and row by row, and logs no entropy."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

# Where the loss looks them up by name in each step. The second computes the logits again in backward.
LOG_PROBABILITIES = (
    "chunked_hidden_states_selective_log_softmax",
    "chunked_hidden_states_selective_log_softmax_recompute",
)


def is_on_policy(args: Any) -> bool:
    """Whether every completion is learned from by the very weights that wrote it."""
    aligned = args.gradient_accumulation_steps % (args.steps_per_generation * args.num_iterations) == 0
    return bool(aligned and args.num_iterations == 1 and args.beta == 0.0)


def score_by_micro_batches(trainer: Any) -> None:
    """Score a generation without gradients a micro-batch at a time; one piece, as its loss has, would be all rows."""
    score, args = trainer._get_per_token_logps_and_entropies, trainer.args

    def score_pieces(model: Any, input_ids: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        if torch.is_grad_enabled():
            return score(model, input_ids, *arguments, **options)
        kept = args.unsloth_grpo_mini_batch
        args.unsloth_grpo_mini_batch = -(-len(input_ids) // args.per_device_train_batch_size)
        try:
            return score(model, input_ids, *arguments, **options)
        finally:
            args.unsloth_grpo_mini_batch = kept

    trainer._get_per_token_logps_and_entropies = score_pieces


def score_by_tokens(most: int) -> None:
    """Compute log-probabilities of up to `most` tokens at once.

    Unsloth's chunks are as many as rows, or a multiple: for 128 answers of a dozen tokens it launches 128 times what
    one chunk needs. Memory is planned for chunks of long rows. Once a process, after Unsloth was imported.
    """
    from unsloth_zoo import rl_replacements

    for name in LOG_PROBABILITIES:
        setattr(rl_replacements, name, _by_tokens(getattr(rl_replacements, name), most))


def _by_tokens(score: Callable[..., Any], most: int) -> Callable[..., Any]:
    @wraps(score)  # Unsloth looks at the signature
    def in_long_chunks(hidden: Any, head: Any, index: torch.Tensor, chunks: int, *rest: Any, **options: Any) -> Any:
        return score(hidden, head, index, min(chunks, -(-index.numel() // most)), *rest, **options)

    return in_long_chunks


def spare_the_second_forward(trainer: Any) -> None:
    """Strictly on policy the old log-probabilities are the new ones, without their gradient.

    Unsloth's loss wants them as an argument: give it the new ones, and skip the forward that
    would compute them while generating. Raises `RuntimeError` if the trainer is not one that Unsloth patched.
    """
    score = trainer._get_per_token_logps_and_entropies

    def score_unless_generating(*arguments: Any, **options: Any) -> Any:
        if trainer.model.training and not torch.is_grad_enabled():
            return None, None, None
        return score(*arguments, **options)

    trainer._get_per_token_logps_and_entropies = score_unless_generating
    namespace = _generated_namespace(trainer)
    loss = namespace["grpo_compute_loss"]

    def loss_with_old(reference: Any, new: Any, old: Any, *arguments: Any, **options: Any) -> Any:
        return loss(reference, new, new.detach() if old is None else old, *arguments, **options)

    namespace["grpo_compute_loss"] = loss_with_old


def log_entropy(trainer: Any) -> None:
    """Log `entropy`, the mean over tokens in nats, as TRL's own loss does.

    Estimated without the logits: the tokens were drawn from the policy, so its entropy is the mean of -log p of theirs.
    Of several ranks, it is the mean of theirs, taken when the step is logged: one may compute its loss in more pieces.
    Raises `RuntimeError` if the trainer is not one that Unsloth patched.
    """
    namespace = _generated_namespace(trainer)
    loss = namespace["UnslothEfficientGRPO"]

    class Logged:
        @staticmethod
        def apply(new: Any, old: Any, reference: Any, sampling: Any, head: Any, ids: Any, mask: Any, *rest: Any) -> Any:
            drawn = mask.sum().clamp(min=1)
            trainer._metrics["train"]["entropy"].append(float(-(new.detach() * mask).sum() / drawn))
            return loss.apply(new, old, reference, sampling, head, ids, mask, *rest)

    namespace["UnslothEfficientGRPO"] = Logged
    if trainer.accelerator.num_processes > 1:
        _log_the_entropy_of_all_ranks(trainer)


def _log_the_entropy_of_all_ranks(trainer: Any) -> None:
    own_log = trainer.log

    def log(logs: dict[str, float], *arguments: Any) -> None:
        if "loss" in logs:  # otherwise transformers' closing summary
            metrics = trainer._metrics["train"]
            own = torch.tensor(metrics["entropy"], device=trainer.accelerator.device).mean()
            metrics["entropy"] = [float(trainer.accelerator.gather(own).nanmean())]
        own_log(logs, *arguments)

    trainer.log = log


def _generated_namespace(trainer: Any) -> dict[str, Any]:
    """The module that Unsloth wrote for its trainer, where the loss is looked up by name."""
    for kind in type(trainer).__mro__:
        namespace = getattr(vars(kind).get("compute_loss"), "__globals__", {})
        if "grpo_compute_loss" in namespace:
            found: dict[str, Any] = namespace
            return found
    raise RuntimeError("Unsloth's GRPO trainer has no loss of its own: it was not patched")
