"""A run folder as the job leaves it, made of seeded numbers: what reports are built from in tests."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from grpo_job.evaluation.measure import RIGHT, Measure
from grpo_job.evaluation.verdict import judge
from grpo_job.run_folder.files import write_json, write_jsonl
from grpo_job.run_folder.paths import RunFolder

SECRET = "hf_" + "Secret0123456789Secret"
HOME = "/home/someone/outputs"


def write_run(
    path: Path,
    *,
    seed: int = 0,
    steps: int = 40,
    rows: int = 300,
    accuracy: tuple[float, float] = (0.36, 0.83),
    golds: bool = True,
    model: str = "sample",
    gpu: bool = False,
    learning_rate: float = 1e-3,
) -> Path:
    """A finished run of `steps` steps whose held-out accuracy goes from one share to the other."""
    random = np.random.default_rng(seed)
    folder = RunFolder(path).open()
    before, after = (_answers(seed, rows, share) for share in accuracy)
    if not golds:
        before, after = ([{**record, "gold": ""} for record in side] for side in (before, after))
    judged = judge(before, after, Measure(RIGHT) if golds else Measure("reward format_tags", (("format_tags", 1.0),)))
    write_json(folder.settings, _settings(path.name, model, steps, learning_rate))
    write_json(folder.environment, _environment(model, gpu))
    write_jsonl(folder.metrics, _metrics(random, steps, accuracy, gpu))
    write_jsonl(folder.completions, _completions(random, steps))
    write_jsonl(folder.before, before)
    write_jsonl(folder.after, after)
    write_json(folder.verdict, judged)
    write_json(folder.summary, _summary(path.name, steps, judged, 0.58 * steps, gpu))
    _write_checkpoint(folder, steps)
    _write_adapter(folder, model)
    return path


def _settings(name: str, model: str, steps: int, learning_rate: float) -> dict[str, Any]:
    settings = {
        "recipe": "smoke", "engine": "auto", "model": model, "model_revision": None, "lora_rank": 16, "lora_alpha": 32,
        "dataset": "sample" if model == "sample" else "openai/gsm8k", "eval_split": "test", "system_prompt": "",
        "dataset_config": None if model == "sample" else "main", "dataset_split": "train", "dataset_revision": None,
        "rewards": [["correct", 2.0], ["format_tags", 0.5]], "learning_rate": learning_rate, "max_steps": steps,
        "num_generations": 8, "per_device_train_batch_size": 64, "gradient_accumulation_steps": 1,
        "max_completion_length": 64, "temperature": 1.0, "seed": 42, "run_id": name, "output_dir": HOME,
        "report_to": [], "publish_to": ["hf://someone/adapter", "file:///srv/models/out"],
        "grpo_config": {"epsilon_high": 0.28},
    }  # fmt: skip
    origins = dict.fromkeys(settings, "recipe smoke") | {
        "max_steps": "environment",
        "seed": "default",
        "run_id": "command line",
    }
    return {"settings": settings, "from": {**origins, "epsilon_high": "environment"}}


def _environment(model: str, gpu: bool) -> dict[str, Any]:
    h200 = {
        "name": "NVIDIA H200", "uuid": "GPU-1", "memory_mib": 143771, "used_mib": 4, "driver": "580.95.05",
        "capability": [9, 0],
    }  # fmt: skip
    return {
        "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
        "versions": {
            "python": "3.11.7",
            "torch": "2.13.0",
            "transformers": "5.17.0",
            "trl": "1.15.0",
            "peft": "0.21.2",
        },
        "gpus": [h200] if gpu else [],
        "engine": "unsloth" if gpu else "trl",
        "model": {"name": model, "commit": None if model == "sample" else "3f2a" * 10},
        "dataset": {
            "name": "sample" if model == "sample" else "openai/gsm8k",
            "commit": None if model == "sample" else "e53f" * 10,
            "train": {"read": 2000, "kept": 1990, "duplicate": 10, "in_training": 0},
            "held_out": {"read": 302, "kept": 300, "duplicate": 0, "in_training": 2},
        },
    }


def _metrics(random: np.random.Generator, steps: int, accuracy: tuple[float, float], gpu: bool) -> list[dict[str, Any]]:
    """TRL's names; the reward follows the accuracy, the lengths fall, and every value has noise."""
    rows, tokens = [], 0.0
    for step in range(1, steps + 1):
        done = step / steps
        correct, tags = (
            accuracy[0] + (accuracy[1] - accuracy[0]) * done + random.normal(0, 0.06),
            min(1.0, 0.9 + 0.1 * done + random.normal(0, 0.02)),
        )
        tokens += 64 * (46 + 27 + random.normal(0, 1))
        generation = 0.31 + random.normal(0, 0.02)
        rows.append({
            "step": step, "loss": random.normal(0, 0.02), "grad_norm": abs(random.normal(0.6, 0.2)),
            "learning_rate": 1e-3 * (1 - done), "num_tokens": tokens,
            "completions/mean_length": 27 - 3 * done + random.normal(0, 0.6),
            "completions/clipped_ratio": max(0.0, random.normal(0.01, 0.01)),
            "rewards/correct/mean": correct, "rewards/correct/std": 0.45, "rewards/format_tags/mean": tags,
            "rewards/format_tags/std": 0.2, "reward": 2 * correct + 0.5 * tags, "reward_std": 0.8 - 0.45 * done,
            "frac_reward_zero_std": min(1.0, max(0.0, 0.15 + 0.4 * done + random.normal(0, 0.08))),
            "entropy": 0.42 - 0.2 * done + random.normal(0, 0.02), "step_time": generation + 0.27,
            "time/generation": generation, "time/rewards": 0.012, "time/loss": 0.11, "epoch": step * 8 / 2000,
            **({"gpu_memory_gib": 48.0 + done} if gpu else {}),
        })  # fmt: skip
    return rows


def _answers(seed: int, rows: int, share: float) -> list[dict[str, Any]]:
    """The same questions in every run; a higher share is right where a lower one was, but for a few slips."""
    random, answers = np.random.default_rng(99), []
    slips = np.random.default_rng(seed).random(rows)
    for number, slip in enumerate(slips):
        a, b, drawn = int(random.integers(3, 60)), int(random.integers(2, 40)), random.random()
        right = bool(drawn < share) != bool(slip < 0.03 and number % 2 and share > 0.5)
        given = a + b if right else a
        completion = f"<reasoning>\n{a} + {b} = {a + b}\n</reasoning>\n<answer>\n{given}\n</answer>"
        answers.append({
            "question": f"Mia has {a} shells and finds {b} more on day {number}. How many shells does Mia have now?",
            "gold": str(a + b), "completion": completion + (" <script>alert('x')</script>" if number == 0 else ""),
            "answer": str(given),
            "correct": right, "correct_lenient": right or bool(slip > 0.97), "format": bool(slip < 0.9 + 0.1 * share),
            "rewards": {"correct": float(right), "format_tags": 1.0},
        })  # fmt: skip
    return answers


def _completions(random: np.random.Generator, steps: int) -> list[dict[str, Any]]:
    rows = []
    for step in range(1, steps + 1):
        for number in range(4):
            prompt = [{"role": "user", "content": f"What is {number} + {step}?"}]
            right = float(random.random() < 0.5)
            given = number + step if right else number
            rows.append({
                "step": step, "prompt": prompt, "completion": f"<answer>\n{given}\n</answer>",
                "rewards": {"correct": right, "format_tags": 1.0}, "advantage": right - 0.5,
            })  # fmt: skip
    return rows


def _summary(name: str, steps: int, judged: dict[str, Any], train: float, gpu: bool) -> dict[str, Any]:
    seconds = {
        "check": 0.812, "download": 0.0, "load": 2.31, "first_step": 9.244, "train": train, "evaluate": 7.43,
        "save": 0.6, "publish": 0.021, "total": train + 11.2,
    }  # fmt: skip
    cost = {"currency": "USD", "total": 1.0412, "load": 0.0689, "train": 0.7095, "evaluate": 0.2206} if gpu else None
    return {
        "run_id": name,
        "ending": {"code": 0, "kind": "finished", "reason": "trained, evaluated, published and verified"},
        "steps": {"done": steps, "planned": steps, "lost_to_resume": 0},
        "accuracy": {
            **{key: judged["primary"][key] for key in ("before", "after", "rows", "p_value")},
            "verdict": judged["verdict"],
            "measure": judged["measure"]["name"],
            "share": True,
        },
        "format": {key: judged["format"][key] for key in ("before", "after")},
        "cost": cost,
        "before_publishing": {"seconds": train + 11.179, "cost": cost and 1.0399},
        "adapter": {"path": f"{HOME}/{name}/adapter", "sha256": "ab" * 32},
        "published": [{"uri": "hf://someone/adapter", "revision": "9d1c" * 10, "verified": True}],
        "fruitless_attempts": 0,
        "samples": [{"prompt": "How many r's are in strawberry?", "before": "There are two.", "after": "Three."}],
        "seconds": seconds,
        "attempts": 1,
    }


def _write_checkpoint(folder: RunFolder, step: int) -> None:
    files = {"adapter_model.safetensors": {"sha256": "00" * 32, "bytes": 1_480_000}}
    write_json(
        folder.checkpoints / f"step-{step:06d}" / "manifest.json", {"step": step, "identity": {}, "files": files}
    )


def _write_adapter(folder: RunFolder, model: str) -> None:
    folder.adapter.mkdir()
    config = {"base_model_name_or_path": model, "r": 16, "lora_alpha": 32, "peft_type": "LORA"}
    (folder.adapter / "adapter_config.json").write_text(json.dumps(config))
