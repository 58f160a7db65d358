"""Trainer events -> the listener that `job.py` hands in.

The engine knows no metrics file, checkpoints or health; it calls the listener at
step boundaries and does what it answers.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback

from grpo_job.engines.interface import Listener
from grpo_job.engines.ranks import ALONE, Decision, Ranks
from grpo_job.engines.trainer.endings import TRUNCATED
from grpo_job.engines.trainer.groups import forget


class ListeningCallback(TrainerCallback):
    """Calls `listener`, which is set before training begins."""

    listener: Listener
    answer: Callable[[Any], object]  # takes part in what rank 0 generates between two steps
    kept_share: Callable[[], float | None] = staticmethod(lambda: None)  # see `rollouts.fold.KeptShare`
    before_measuring: Callable[[], object] = staticmethod(lambda: None)  # generation must know that the weights changed

    def __init__(self, steps_per_buffer: int, ranks: Ranks = ALONE) -> None:
        """`steps_per_buffer`: optimizer steps that one batch of generated completions feeds."""
        self.steps_per_buffer, self.ranks = steps_per_buffer, ranks

    def attach(self, trainer: Any) -> None:
        """Look at this trainer's completions, and speak in place of its own printing."""
        self.trainer = trainer
        trainer.remove_callback(PrinterCallback)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The step's time begins."""
        self.began = time.perf_counter()
        self.listener.on_progress()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Gradients are summed and clipped: the optimizer's time begins."""
        self.clipped = time.perf_counter()

    def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A micro-step is done, and the step is not."""
        self.listener.on_progress()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save and stop only where no generated completions wait to be learned from: they are not saved."""
        step, last = state.global_step, state.global_step >= state.max_steps
        self.listener.on_progress()
        self._measure()
        if rows := self._completions():  # at each step, though few are logged: the next generation overwrites them
            self.listener.on_completions(step, rows)
        if step % self.steps_per_buffer and not last:
            return
        for reason in self.ranks.gather(self.listener.asked_to_stop()):
            if reason:
                self.listener.stop_too(reason)
        decided = self._decided(step, last)
        control.should_log = control.should_log or decided.log
        control.should_save, control.should_training_stop = decided.save, decided.stop or last

    def _decided(self, step: int, last: bool) -> Decision:
        """What rank 0 decides; on the way to it, it may ask the others to answer with it."""
        if self.ranks.number == 0:
            decision = self._decide(step, last)
            self.ranks.share(decision)
            return decision
        self.before_measuring()
        while not isinstance(word := self.ranks.share(None), Decision):
            self.answer(word)
        return word

    def _decide(self, step: int, last: bool) -> Decision:
        measured = self._ask_for_more(step)
        if last:
            return Decision(log=True, save=True, stop=True)
        stop = self.listener.should_stop(step)
        save = stop or self.listener.should_save(step)
        return Decision(log=measured or save, save=save, stop=stop)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        """Tell the step's metrics."""
        if "train_runtime" in logs:  # transformers' closing summary, not a step
            return
        self.listener.on_step(state.global_step, dict(logs))

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell where the trainer wrote its state."""
        self.ranks.barrier()  # each rank adds the state of its random numbers
        self.listener.on_save(state.global_step, Path(args.output_dir) / f"checkpoint-{state.global_step}")

    def _ask_for_more(self, step: int) -> bool:
        """Metrics that the listener adds to this step; whether there are any."""
        self.before_measuring()
        found = self.listener.measure(step)
        for name, value in found.items():
            self.trainer._metrics["train"][name].append(value)
        return bool(found)

    def _measure(self) -> None:
        """The whole step's seconds, and the most memory that this process ever held on the GPU."""
        metrics = self.trainer._metrics["train"]
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # the step is over when the GPU is
            metrics["gpu_memory_gib"].append(torch.cuda.max_memory_allocated() / 2**30)
        if (kept := self.kept_share()) is not None:
            metrics["weights/kept"].append(kept)
        now = time.perf_counter()
        parts = {**self.trainer.step_seconds(), "optimizer": now - self.clipped, "step": now - self.began}
        for part, seconds in parts.items():
            metrics[f"time/{part}"].append(seconds)

    def _completions(self) -> list[dict[str, Any]]:
        """The last generation, once: TRL keeps it in `_logs` until the next one."""
        logs = self.trainer._logs
        extra = {name: values for name, values in logs["extra"].items() if len(values) == len(logs["prompt"])}
        truncated = extra.pop(TRUNCATED, [])
        rows = [
            {
                "prompt": prompt,
                "completion": completion[0]["content"] if isinstance(completion, list) else completion,
                "truncated": truncated[index],
                "rewards": {name: _paid(values[index]) for name, values in logs["rewards"].items()},
                "advantage": logs["advantages"][index],
                **({"extra": {name: _as_json(values[index]) for name, values in extra.items()}} if extra else {}),
            }
            for index, (prompt, completion) in enumerate(zip(logs["prompt"], logs["completion"], strict=True))
        ]
        forget(logs)
        return rows


def _paid(reward: float) -> float | None:
    """None where the reward could not grade the completion, which TRL takes as NaN."""
    return None if math.isnan(reward) else reward


def _as_json(value: Any) -> Any:
    """What a reward gave to `log_extra`: a tensor, an object of its own or NaN as the text that Python prints."""
    plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if plain else str(value)
