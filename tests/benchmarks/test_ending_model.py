"""A model of random weights that ends its answers at drawn lengths."""

import statistics

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from benchmarks.ending_model import make_it_end

END, TOKENS, LIMIT, MEAN = 3, 8, 50, 10


def prompts(number: int) -> dict[str, torch.Tensor]:
    """Of a few of the vocabulary's tokens, as every benchmark's are; half of them padded."""
    mask = torch.ones(number, TOKENS, dtype=torch.long)
    mask[::2, : TOKENS // 2] = 0
    return {"input_ids": torch.randint(4, 24, (number, TOKENS)), "attention_mask": mask}


@pytest.mark.parametrize(("tied", "weights_std"), [(True, 0.02), (False, 0.02), (True, 0.1)])
def test_completions_end_at_geometric_lengths_with_the_mean(tied: bool, weights_std: float) -> None:
    """With larger weights the model has a taste of its own: what it says is unlike random tokens."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=500, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=tied, eos_token_id=END, pad_token_id=0,
        initializer_range=weights_std,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    make_it_end(model, prompts(200), END, mean=MEAN)
    drawn = model.generate(
        **prompts(300), do_sample=True, max_new_tokens=LIMIT, top_k=0, eos_token_id=END, pad_token_id=0
    )
    lengths = [row.tolist().index(END) + 1 if END in row else LIMIT for row in drawn[:, TOKENS:]]
    assert statistics.mean(lengths) == pytest.approx(MEAN, rel=0.15)
    assert statistics.stdev(lengths) == pytest.approx(MEAN, rel=0.2)
    assert max(lengths) == LIMIT


def test_a_mean_that_no_weight_gives_is_refused() -> None:
    config = Qwen2Config(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1
    )
    model = Qwen2ForCausalLM(config)
    with pytest.raises(ValueError, match="a mean of 1 tokens cannot be reached"):
        make_it_end(model, prompts(2), END, mean=1)
