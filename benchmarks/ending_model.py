"""Makes a model of random weights end its answers, at lengths as drawn: an end is equally likely after each token.

A random model never ends by itself, so that every completion has the same length: no padding and no stragglers, which a
trained model has. Lengths become geometric: their mean as asked for, their std as large, and a tail up to the limit.

    python benchmarks/ending_model.py MODEL OUT --mean 200

One channel of the residual stream is held constant (no layer writes to it), and the end's row of the head reads it.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import torch

CHANNEL, HELD = 0, 1.0
ROWS, TOKENS, SEED = 32, 64, 0  # of the model's own texts on which the end's chance is set


def hold_channel(model: Any) -> None:
    """One channel has the same value behind every token and layer."""
    with torch.no_grad():
        model.get_input_embeddings().weight[:, CHANNEL] = HELD
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[CHANNEL] = 0
            layer.mlp.down_proj.weight[CHANNEL] = 0


def own_hidden(model: Any, end: int) -> torch.Tensor:
    """Last hidden states, (tokens, width), of what the model says by itself; random tokens are unlike it."""
    torch.manual_seed(SEED)
    start = torch.randint(0, model.config.vocab_size, (ROWS, TOKENS)).to(model.device)
    said = model.generate(
        start, attention_mask=torch.ones_like(start), do_sample=True, top_k=0, max_new_tokens=TOKENS,
        suppress_tokens=[end], pad_token_id=end,
    )  # fmt: skip
    with torch.inference_mode():
        hidden: torch.Tensor = model.model(said).last_hidden_state[:, TOKENS:].flatten(0, 1)
    return hidden


def make_it_end(model: Any, end: int, mean: float) -> None:
    """Set the end's row so that its chance is 1 / `mean` tokens. ValueError if no weight within 100 does."""
    hold_channel(model)
    hidden = own_hidden(model, end)
    with torch.inference_mode():
        logits = model.lm_head(hidden).float()
        own, held = logits[:, end].clone(), hidden[:, CHANNEL].float()
        logits[:, end] = -torch.inf
        others = logits.logsumexp(-1)

    def chance(weight: float) -> float:
        """The mean probability of the end's token, if its row of the head has so much more for the channel."""
        return float((own + weight * held - others).sigmoid().mean())

    low, high = -100.0, 100.0
    if not chance(low) < 1 / mean < chance(high):
        raise ValueError(f"a mean of {mean:g} tokens cannot be reached with this model")
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) < 1 / mean else (low, middle)
    with torch.no_grad():
        model.lm_head.weight[end, CHANNEL] += (low + high) / 2


def main() -> None:
    from transformers import AutoModelForCausalLM

    parser = argparse.ArgumentParser(description="Make a model of random weights end its answers.")
    parser.add_argument("model", type=Path, help="its folder")
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--mean", type=float, default=200.0, help="tokens of a completion, without a limit")
    options = parser.parse_args()
    where = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype="auto").to(where)
    make_it_end(model, model.generation_config.eos_token_id, options.mean)
    shutil.copytree(options.model, options.out, ignore=shutil.ignore_patterns("*.safetensors*"))
    model.save_pretrained(options.out)


if __name__ == "__main__":
    main()
