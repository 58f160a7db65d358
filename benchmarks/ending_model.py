"""Makes a model of random weights end its answers, at lengths as drawn: an end is equally likely after each token.

A random model never ends by itself, so that every completion has the same length: no padding and no stragglers, which a
trained model has. Lengths become geometric: their mean as asked for, their std as large, and a tail up to the limit.

    python benchmarks/ending_model.py MODEL ROWS OUT --mean 200

One channel of the residual stream is held constant (no layer writes to it), and the end's row of the head reads it. How
much, is set on what the model says to the prompts that the contestants ask: the chance depends on the text before.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import torch

CHANNEL, HELD = 0, 1.0
PROMPTS, TOKENS, SEED = 32, 128, 0  # of the model's own texts on which the end's chance is set


def hold_channel(model: Any) -> None:
    """One channel has the same value behind every token and layer."""
    with torch.no_grad():
        model.get_input_embeddings().weight[:, CHANNEL] = HELD
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[CHANNEL] = 0
            layer.mlp.down_proj.weight[CHANNEL] = 0


def own_hidden(model: Any, prompts: Any, end: int) -> torch.Tensor:
    """Last hidden states, (tokens, width), of what the model says to `prompts`, padded on the left."""
    torch.manual_seed(SEED)
    said = model.generate(
        **prompts, do_sample=True, top_k=0, max_new_tokens=TOKENS, suppress_tokens=[end], pad_token_id=end
    )
    mask = torch.nn.functional.pad(prompts["attention_mask"], (0, TOKENS), value=1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.inference_mode():
        hidden = model.model(said, attention_mask=mask, position_ids=positions).last_hidden_state
    own: torch.Tensor = hidden[:, -TOKENS - 1 : -1].flatten(0, 1)  # what each of its tokens was drawn by
    return own


def make_it_end(model: Any, prompts: Any, end: int, mean: float) -> None:
    """Set the end's row so that completions have `mean` tokens. ValueError if no weight within 100 does.

    `prompts`: `input_ids` and `attention_mask`, (prompts, tokens). Behind TOKENS the end counts as likely as before.
    """
    hold_channel(model)
    hidden = own_hidden(model, prompts, end)
    with torch.inference_mode():
        logits = model.lm_head(hidden).float()
        own, held = logits[:, end].clone(), hidden[:, CHANNEL].float()
        logits[:, end] = -torch.inf
        others = logits.logsumexp(-1)

    def length(weight: float) -> float:
        """Tokens of a completion on average, if the end's row of the head has so much more for the channel."""
        ends = (own + weight * held - others).sigmoid().view(-1, TOKENS)
        goes_on = (1 - ends).cumprod(1)
        return float((1 + goes_on[:, :-1].sum(1) + goes_on[:, -1] / ends.mean(1)).mean())

    low, high = -100.0, 100.0
    if not length(high) < mean < length(low):
        raise ValueError(f"a mean of {mean:g} tokens cannot be reached with this model")
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if length(middle) > mean else (low, middle)
    with torch.no_grad():
        model.lm_head.weight[end, CHANNEL] += (low + high) / 2


def main() -> None:
    import measure
    from transformers import AutoModelForCausalLM, AutoTokenizer

    parser = argparse.ArgumentParser(description="Make a model of random weights end its answers.")
    parser.add_argument("model", type=Path, help="its folder")
    parser.add_argument("rows", type=Path, help="GSM8K train.jsonl")
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--mean", type=float, default=200.0, help="tokens of a completion, without a limit")
    options = parser.parse_args()
    where = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype="auto").to(where)
    tokenizer = AutoTokenizer.from_pretrained(options.model, padding_side="left")
    asked = tokenizer.apply_chat_template(
        measure.dataset(options.rows)["prompt"][:PROMPTS], add_generation_prompt=True, padding=True,
        return_tensors="pt", return_dict=True,
    ).to(where)  # fmt: skip
    make_it_end(model, asked, model.generation_config.eos_token_id, options.mean)
    shutil.copytree(options.model, options.out, ignore=shutil.ignore_patterns("*.safetensors*"))
    model.save_pretrained(options.out)


if __name__ == "__main__":
    main()
