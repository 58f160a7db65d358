"""The embedded model and rows: what a run uses with no network and no GPU.

A Qwen2-shaped model of some 0.7 million parameters with its own tokenizer, and generated arithmetic word
problems. The model answers in the asked format but is careless on purpose: it often skips the last step
of a problem, so that GRPO has something to improve within a minute. `tools/sample/make_model.py` makes all of it and
says how; `problems.py` writes the problems. No held-out row, nor an equal problem in other words, is in
`train.jsonl` or in what the model was trained on beforehand.
"""

from pathlib import Path

MODEL = Path(__file__).parent / "model"
TRAIN = Path(__file__).parent / "train.jsonl"
HELD_OUT = Path(__file__).parent / "held_out.jsonl"
