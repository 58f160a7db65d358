"""Make the embedded rows, tokenizer and model: `python -m tools.sample.make_model OUT_FOLDER`.

Writes `train.jsonl`, `held_out.jsonl` and `model/`, which are in `grpo_job/inputs/sample`. Downloads nothing: the text
is from `problems.py`, the tokenizer is trained on it, and the weights start at random. Takes about five minutes on one
core; the same seed gives the same files on the same machine and versions.

The supervised phase uses questions and answers from `lessons.py`, without held-out problems.
"""

import argparse
import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from tools.sample import lessons
from tools.sample.problems import Row, write_row_files

SEED = 20  # of the first weights

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TAGS = ("<reasoning>", "</reasoning>", "<answer>", "</answer>")
VOCABULARY = 576  # a multiple of 64, specials and tags included
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)

HEAD_SIZE = 64  # the smallest that the attention kernels of GPUs take
HEADS = 2
LAYERS = 3
INITIAL_SPREAD = 0.04  # Qwen2's own 0.02 is for wide layers: here the sums are learnt far more slowly from it

BATCH = 32
TRAINING_STEPS = lessons.COUNT // BATCH
PEAK_LEARNING_RATE, LAST_LEARNING_RATE = 3e-3, 1.5e-4  # GRPO fails to improve a model that was not decayed
IGNORED = -100  # the label that the loss passes over


def make_tokenizer(rows: list[Row]) -> Qwen2Tokenizer:
    """Qwen2's byte-level BPE with split digits and merges learned from the rows."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer, bpe.decoder = normalizers.NFC(), decoders.ByteLevel()
    bpe.pre_tokenizer = Qwen2Tokenizer(vocab={}, merges=[])._tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len((END_OF_TEXT, TURN_START, TURN_END, *TAGS)),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(
        (text for row in rows for text in ("user", row["question"], "assistant", row["answer"])), trainer
    )
    learnt = json.loads(bpe.to_str())["model"]
    return _dress(learnt["vocab"], [tuple(pair) for pair in learnt["merges"]])


def _dress(vocab: dict[str, int], merges: list[tuple[str, str]]) -> Qwen2Tokenizer:
    """The tokenizer with its special tokens, tags and chat template."""
    tokenizer = Qwen2Tokenizer(
        vocab=vocab,
        merges=merges,
        unk_token=None,
        pad_token=END_OF_TEXT,
        eos_token=TURN_END,
        additional_special_tokens=[TURN_START],
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
    # Not special, so that they stay in decoded text.
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model(tokenizer: Qwen2Tokenizer) -> Qwen2ForCausalLM:
    """A Qwen2 with 0.7 million random parameters."""
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=HEADS * HEAD_SIZE,
        intermediate_size=384,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=INITIAL_SPREAD,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return Qwen2ForCausalLM(config)


def encode(tokenizer: Qwen2Tokenizer, question: str, answered: str) -> tuple[list[int], list[int]]:
    """Token ids of a complete chat and its labels; user messages are masked."""
    chat = [{"role": "user", "content": question}]
    asked = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    said = tokenizer.encode(answered + TURN_END)
    return asked + said, [IGNORED] * len(asked) + said


def batches(tokenizer: Qwen2Tokenizer, rng: random.Random) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches of fresh lessons, padded on the right."""
    source = lessons.lessons(rng)
    while True:
        pairs = [encode(tokenizer, question, answered) for question, answered in islice(source, BATCH)]
        width = max(len(ids) for ids, _ in pairs)
        yield {
            "input_ids": _padded([ids for ids, _ in pairs], tokenizer.pad_token_id, width),
            "labels": _padded([labels for _, labels in pairs], IGNORED, width),
            "attention_mask": _padded([[1] * len(ids) for ids, _ in pairs], 0, width),
        }


def _padded(lists: list[list[int]], filler: int, width: int) -> torch.Tensor:
    return torch.tensor([[*row, *[filler] * (width - len(row))] for row in lists])


def train(model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer, rng: random.Random) -> None:
    """The supervised phase: next-token loss on the answers, with a linear learning-rate schedule."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    model.train()
    for step, batch in enumerate(islice(batches(tokenizer, rng), TRAINING_STEPS)):
        optimizer.param_groups[0]["lr"] = learning_rate(step)
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 100 == 0:
            print(f"step {step:5} loss {loss.item():.4f}", flush=True)
    model.eval()


def learning_rate(step: int) -> float:
    """Warmup over the first 100 steps, then linear decay."""
    done = step / TRAINING_STEPS
    falling = PEAK_LEARNING_RATE + (LAST_LEARNING_RATE - PEAK_LEARNING_RATE) * done
    return falling * min(1.0, (step + 1) / 100)


def save(model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer, folder: Path) -> None:
    """Save bf16 weights, with greedy generation as the default and world-readable files."""
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors writes for the owner only; a container runs as somebody else


def make(folder: Path) -> None:
    """Rows, tokenizer and model, in this order and from one seed."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # fixed summation order, so that the same seed gives the same weights
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(write_row_files(folder))
    model = make_model(tokenizer)
    train(model, tokenizer, random.Random(lessons.SEED))
    save(model, tokenizer, folder / "model")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the embedded rows, tokenizer and model.")
    parser.add_argument("folder", type=Path, help="where train.jsonl, held_out.jsonl and model/ are written")
    make(parser.parse_args().folder)
