"""What every contestant is measured with: the same rows, the same reward, the same clock, one JSON schema.

Imports nothing heavy at the top: a contestant's first import is part of what is measured, and
Unsloth wants to be the first.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

SYSTEM_PROMPT = "\nRespond in the following format:\n<reasoning>\n...\n</reasoning>\n<answer>\n...\n</answer>\n"
TARGET_MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
GENERATIONS = 4

# The tutorial's training values; what differs between contestants stands in their own files.
TRAINING: dict[str, Any] = {
    "learning_rate": 5e-6, "adam_beta1": 0.9, "adam_beta2": 0.99, "weight_decay": 0.1, "warmup_steps": 0.1,
    "lr_scheduler_type": "cosine", "optim": "adamw_8bit", "max_grad_norm": 0.1, "logging_steps": 1,
    "gradient_accumulation_steps": 1, "num_generations": GENERATIONS, "save_steps": 250, "report_to": "none",
}  # fmt: skip
LONGEST = 200  # tokens of a completion; those of a model of random weights all have as many
SEQUENCE, PROMPT = 1024, 256  # tokens: a row as the tutorial has it, and a prompt

CACHES = (
    "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "CUDA_CACHE_PATH", "VLLM_CACHE_ROOT", "UNSLOTH_COMPILE_LOCATION",
    "UNSLOTH_MEGA_CACHE_DIR",
)  # fmt: skip


def arguments(contestant: str) -> argparse.ArgumentParser:
    """The command line that all contestants share."""
    parser = argparse.ArgumentParser(description=f"Time {contestant}: the first step, then each step.")
    parser.add_argument("model", help="folder of the model")
    parser.add_argument("rows", type=Path, help="GSM8K train.jsonl")
    parser.add_argument("steps", type=int)
    parser.add_argument("--completions", type=int, default=4, help="completions a step, a multiple of 4")
    parser.add_argument("--longest", type=int, default=LONGEST, help="tokens of a completion, at most")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--caches", type=Path, help="folder for compile caches; the run is cold when it is empty")
    return parser


def training(options: argparse.Namespace) -> dict[str, Any]:
    """The tutorial's training values, with completions as long as was asked for."""
    return {**TRAINING, "max_completion_length": options.longest}


def sequence(options: argparse.Namespace) -> int:
    """Tokens of the longest row."""
    return max(SEQUENCE, PROMPT + options.longest)


def use_caches(folder: Path | None) -> bool | None:
    """Point every compile cache below `folder`; whether it was empty. Before the first heavy import.

    Bytecode is no such cache: installers and the image leave it, `python -m compileall` on a machine without.
    """
    if folder is None:
        return None
    cold = not folder.exists() or not any(folder.iterdir())
    for name in CACHES:
        os.environ[name] = str(folder.resolve() / name.lower())
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return cold


def since_start() -> float:
    """Seconds since the process began, interpreter included."""
    return time.time() - psutil.Process().create_time()


def dataset(path: Path) -> Any:
    """GSM8K as the tutorial asks it: system message and question; the answer behind the last ####."""
    from datasets import Dataset

    records = [json.loads(line) for line in path.read_text().splitlines()]
    return Dataset.from_list(
        [
            {
                "prompt": [
                    {"role": "system", "content": SYSTEM_PROMPT},
                    {"role": "user", "content": record["question"]},
                ],
                "answer": record["answer"].split("####")[-1].strip(),
            }
            for record in records
        ]
    )


def distinct_characters(completion: str, answer: str) -> float:
    """A reward that varies between completions of a random model, so that every step has a gradient."""
    return len(set(completion)) / 100


class DistinctCharacters:
    """The same for TRL. Counts the generated tokens on the way. `__name__` is what TRL logs it under."""

    __name__ = "distinct_characters"

    def __init__(self) -> None:
        self.tokens: list[int] = []

    def __call__(self, completions: list[Any], completion_ids: list[list[int]], **_: Any) -> list[float]:
        self.tokens.append(sum(len(ids) for ids in completion_ids))
        return [distinct_characters(completion[0]["content"], "") for completion in completions]


class Watch:
    """Phases, steps and memory of one contestant."""

    def __init__(self, contestant: str, options: argparse.Namespace, cold: bool | None) -> None:
        self.contestant, self.options, self.cold = contestant, options, cold
        self.reward = DistinctCharacters()
        self.phases: dict[str, float] = {}
        self.marked = 0.0
        self.steps: list[float] = []
        self.first_step_done: float | None = None
        self.used = PeakUsed()

    def phase_done(self, name: str) -> None:
        now = since_start()
        self.phases[name] = round(now - self.marked, 2)
        self.marked = now

    def step_done(self, seconds: float) -> None:
        if self.first_step_done is None:
            self.phase_done("first_step")
            self.first_step_done = self.marked
        else:
            self.steps.append(seconds)
        print(f"{self.contestant} step {len(self.steps) + 1}: {seconds:.3f} s", flush=True)

    def callback(self) -> Any:
        """A trainer callback that times whole steps, generation included."""
        from transformers import TrainerCallback

        watch = self

        class StepClock(TrainerCallback):
            began = 0.0

            def on_step_begin(self, *_: Any, **__: Any) -> None:
                self.began = time.perf_counter()

            def on_step_end(self, *_: Any, **__: Any) -> None:
                import torch

                torch.cuda.synchronize()  # the step is over when the GPU is
                watch.step_done(time.perf_counter() - self.began)

        return StepClock()

    def result(self) -> dict[str, Any]:
        """The schema that `table.py` reads."""
        import torch

        median = statistics.median(self.steps)
        tokens = statistics.mean(self.reward.tokens[1:])
        return {
            "contestant": self.contestant,
            "model": self.options.model,
            "cold": self.cold,
            "completions": self.options.completions,
            "longest": self.options.longest,
            "steps": len(self.steps) + 1,
            "first_step_done_s": round(self.first_step_done or 0.0, 1),
            "step_s_median": round(median, 4),
            "step_s": [round(step, 4) for step in self.steps],
            "completions_per_s": round(self.options.completions / median, 2),
            "tokens_per_s": round(tokens / median, 1),
            "peak_torch_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2),
            "peak_used_gb": self.used.gigabytes(),
            "phases": self.phases,
            **machine(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python", *sys.argv]),
        }

    def finish(self) -> None:
        """Write the JSON and end the process: vLLM's threads would hold it."""
        result = self.result()
        self.options.out.parent.mkdir(parents=True, exist_ok=True)
        self.options.out.write_text(json.dumps(result, indent=1) + "\n")
        print(json.dumps({name: value for name, value in result.items() if name != "step_s"}), flush=True)
        sys.stderr.flush()
        os._exit(0)


class PeakUsed:
    """The most memory in use on the GPU, as nvidia-smi counts it, looked at five times a second."""

    def __init__(self) -> None:
        self.peak = 0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        handle = _nvml_handle()
        while True:
            self.peak = max(self.peak, pynvml.nvmlDeviceGetMemoryInfo(handle).used)
            time.sleep(0.2)

    def gigabytes(self) -> float:
        return round(self.peak / 1e9, 2)


def _nvml_handle() -> Any:
    """The first GPU that this process may see."""
    import pynvml

    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    if first.startswith(("GPU-", "MIG-")):
        return pynvml.nvmlDeviceGetHandleByUUID(first)
    return pynvml.nvmlDeviceGetHandleByIndex(int(first or 0))


def machine() -> dict[str, Any]:
    """GPU, driver, versions and commit."""
    import pynvml

    pynvml.nvmlInit()
    handle = _nvml_handle()
    return {
        "gpu": _text(pynvml.nvmlDeviceGetName(handle)),
        "gpu_uuid": _text(pynvml.nvmlDeviceGetUUID(handle)),
        "driver": _text(pynvml.nvmlSystemGetDriverVersion()),
        "commit": commit(),
    }


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def commit() -> str:
    """BENCHMARK_COMMIT where it is set, for a copy without its history; else the commit of this tree."""
    if named := os.environ.get("BENCHMARK_COMMIT"):
        return named
    git = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return git.stdout.strip() or "unknown"
