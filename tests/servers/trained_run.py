"""A run folder as a trained run leaves it, small, with all that must not be published beside the rest."""

import json
import random
from pathlib import Path

PUBLISHED = {
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "manifest.json",
    "run/completions.jsonl",
    "run/environment.json",
    "run/evaluation/after.jsonl",
    "run/evaluation/evaluation.json",
    "run/metrics.jsonl",
    "run/plots/reward.png",
    "run/report.html",
    "run/settings.json",
    "run/summary.json",
    "tokenizer.json",
}


def make_run(folder: Path, *, seed: int = 0) -> Path:
    dice = random.Random(seed)
    files = {
        "adapter/README.md": b"---\nlicense: mit\n---\n# Adapter\n![reward](run/plots/reward.png)\n",
        "adapter/adapter_config.json": b'{"base_model_name_or_path": "owner/base", "r": 16}\n',
        "adapter/adapter_model.safetensors": dice.randbytes(2_000_000),
        "adapter/tokenizer.json": b'{"vocab": {"/tmp": 1, "a\\r": 2}}\r\n',
        "adapter/training_args.bin": b"pickle",
        "adapter/.cache/token": b"secret",
        "adapter/optimizer.pt": b"pickle",
        "checkpoints/step-000010/adapter_model.safetensors": b"weights",
        "checkpoints/step-000010/optimizer.pt": b"pickle",
        "completions.jsonl": b'{"prompt": "1+1?", "completion": "2"}\n' * 20,
        "environment.json": json.dumps({"executable": f"{folder.resolve()}/bin/python"}).encode(),
        "evaluation/after.jsonl": b'{"answer": "2"}\n',
        "evaluation/evaluation.json": b'{"accuracy": 0.5}\n',
        "evaluation/state.pkl": b"pickle",
        "heartbeat": b"",
        "lease.json": b"{}",
        "metrics.jsonl": b'{"step": 1, "reward": 0.5}\n' * 10,
        "plots/reward.png": dice.randbytes(20_000),
        "report.html": f"<p>{folder.resolve()}/plots</p>".encode(),
        "settings.json": json.dumps(
            {"settings": {"output_dir": str(folder.resolve().parent), "model": "owner/base"}}
        ).encode(),
        "summary.json": json.dumps(SUMMARY).encode(),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


SUMMARY = {
    "run_id": "run",
    "ending": {"code": 3, "kind": "unpublished", "reason": "the Hub was down"},
    "steps": {"done": 10, "planned": 10, "lost_to_resume": 0},
    "accuracy": {"before": 0.25, "after": 0.5, "rows": 100, "verdict": "better", "p_value": 0.01},
    "seconds": {"train": 10.0, "publish": 3.0, "total": 20.0},
    "cost": {"currency": "USD", "total": 0.2, "train": 0.1, "publish": 0.03},
    "published": [],
    "attempts": 1,
}
