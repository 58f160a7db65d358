"""The gradients of an engine's micro-batches under each loss, and those of plain formulas.

`watch` records what an engine trains on; `reference` needs only transformers and peft. Formulas: GRPO arXiv:2402.03300,
DAPO arXiv:2503.14476, Dr. GRPO arXiv:2503.20783, CISPO arXiv:2506.13585; the KL and its weight arXiv:2512.02556.
"""

from typing import Any, NamedTuple

import torch

LOSSES = ("grpo", "dapo", "dr_grpo", "cispo")
LOW, HIGH, CAP = 0.2, 0.28, 5.0  # clips of the ratio, and CISPO's cap of it
Tensors = dict[str, torch.Tensor]


class Moment(NamedTuple):
    """One micro-batch: its tensors, the LoRA then, and by loss the gradient of the LoRA."""

    inputs: Tensors
    lora: Tensors
    gradients: dict[str, Tensors]


class Watched(NamedTuple):
    """All micro-batches of a training in order, and the gradient of each optimizer step with the loss that was set."""

    moments: list[Moment]
    steps: list[Tensors]


def watch(engine: Any) -> Watched:
    """Filled while the engine trains. Each loss is asked of each micro-batch; what is learned stays as it is."""
    trainer, watched = engine.trainer, Watched([], [])
    own, clipped = trainer.compute_loss, engine.callback.on_pre_optimizer_step

    def compute_loss(model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
        if not inputs:  # merged into another
            return own(model, inputs, *arguments, **options)

        def gradient(loss: str) -> Tensors:
            with _Loss(trainer, loss):
                trainer.accelerator.backward(own(model, inputs, *arguments, **options))
            return _taken(model)

        kept = {name: weight.grad.clone() for name, weight in _lora(model) if weight.grad is not None}
        _taken(model)
        found = {loss: gradient(loss) for loss in LOSSES}
        for name, weight in _lora(model):
            weight.grad = kept.get(name)
        tensors = {name: value.detach().cpu() for name, value in inputs.items() if isinstance(value, torch.Tensor)}
        watched.moments.append(Moment(tensors, {name: _copy(weight) for name, weight in _lora(model)}, found))
        return own(model, inputs, *arguments, **options)

    def on_pre_optimizer_step(*arguments: Any, **options: Any) -> None:
        watched.steps.append({name: _copy(weight.grad) for name, weight in _lora(trainer.model)})
        clipped(*arguments, **options)

    trainer.compute_loss, engine.callback.on_pre_optimizer_step = compute_loss, on_pre_optimizer_step
    return watched


def stir(model: Any) -> None:
    """Random second matrices of the LoRA: from zero, the policy would be its own reference."""
    generator = torch.Generator().manual_seed(11)
    for name, weight in _lora(model):
        if "lora_B" in name:
            weight.data.copy_(0.02 * torch.randn(weight.shape, generator=generator))


def reference(model: Any, moment: Moment, generated: Tensors, loss: str, *, beta: float, micro_steps: int) -> Tensors:
    """The gradient by the formulas. `model`: base and LoRA in fp32; `generated`: the LoRA of the rollouts."""
    with torch.no_grad():
        _put(model, generated)
        old = log_probs(model, moment.inputs)
        with model.disable_adapter():
            base = log_probs(model, moment.inputs)
    _put(model, moment.lora)
    model.zero_grad(set_to_none=True)
    new = log_probs(model, moment.inputs)
    _loss((new, old, base), moment.inputs, loss, beta=beta, micro_steps=micro_steps).backward()
    return _taken(model)


def log_probs(model: Any, inputs: Tensors) -> torch.Tensor:
    """[rows, tokens of the completion], at temperature 1."""
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
    places = (mask.cumsum(1) - 1).clamp(min=0)
    width = inputs["completion_ids"].shape[1]
    logits = model(input_ids=ids, attention_mask=mask, position_ids=places).logits[:, -width - 1 : -1]
    return logits.float().log_softmax(-1).gather(-1, ids[:, -width:].unsqueeze(-1)).squeeze(-1)


def _loss(
    scored: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    inputs: Tensors,
    loss: str,
    *,
    beta: float,
    micro_steps: int,
) -> torch.Tensor:
    """`scored`: log-probabilities of the new, the old and the reference policy."""
    new, old, base = scored
    mask, advantages = inputs["completion_mask"].float(), inputs["advantages"].unsqueeze(1)
    ratio = (new - old).exp()
    if loss == "cispo":
        token = -ratio.clamp(max=CAP).detach() * advantages * new
    else:
        token = -torch.minimum(ratio * advantages, ratio.clamp(1 - LOW, 1 + HIGH) * advantages)
    token = token + beta * ratio * ((base - new).exp() - (base - new) - 1)
    rows, longest = mask.shape[0], inputs["longest"]
    match loss:
        case "grpo":
            return ((token * mask).sum(1) / mask.sum(1)).sum() / (rows * micro_steps)
        case "dr_grpo":
            return (token * mask).sum() / (rows * longest * micro_steps)
        case _:
            return (token * mask).sum() / inputs["num_items_in_batch"]


def apart(one: Tensors, other: Tensors) -> tuple[float, float]:
    """Cosine of two gradients over all weights, and the ratio of their norms."""
    left, right = (torch.cat([found[name].flatten().double() for name in sorted(one)]) for found in (one, other))
    return float(torch.cosine_similarity(left, right, dim=0)), float(left.norm() / right.norm())


class _Loss:
    """The trainer with another loss, and the clips that belong to it."""

    def __init__(self, trainer: Any, loss: str) -> None:
        self.trainer, self.loss = trainer, loss

    def __enter__(self) -> None:
        trainer = self.trainer
        self.kept = trainer.loss_type, trainer.args.loss_type, trainer.epsilon_high
        trainer.loss_type = trainer.args.loss_type = self.loss
        trainer.epsilon_high = CAP if self.loss == "cispo" else HIGH

    def __exit__(self, *_: object) -> None:
        self.trainer.loss_type, self.trainer.args.loss_type, self.trainer.epsilon_high = self.kept


def _lora(model: Any) -> list[tuple[str, Any]]:
    return [(name, weight) for name, weight in model.named_parameters() if "lora_" in name]


def _put(model: Any, lora: Tensors) -> None:
    for name, weight in _lora(model):
        weight.data.copy_(lora[name])


def _taken(model: Any) -> Tensors:
    """The gradients, which the model has no more."""
    found = {name: _copy(weight.grad) for name, weight in _lora(model) if weight.grad is not None}
    for _, weight in _lora(model):
        weight.grad = None
    return found


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().float().cpu().clone()
