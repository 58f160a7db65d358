"""The embedded model and rows, for runs without network and GPU.

A Qwen2-shaped model of 0.7 million parameters with its own tokenizer, and generated arithmetic word problems. The model
uses the requested format but often skips the last step of a problem, so that GRPO can improve it within a minute.
`tools/sample/make_model.py` makes both. No held-out row, nor the same problem in other words, is in `train.jsonl` or in
the pretraining data.
"""

from pathlib import Path

MODEL = Path(__file__).parent / "model"
TRAIN = Path(__file__).parent / "train.jsonl"
HELD_OUT = Path(__file__).parent / "held_out.jsonl"
