"""For machines: Prometheus metrics of a running job on a port, and the outcome in a container's message file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grpo_job.outcomes import InvalidRun, Outcome
from grpo_job.settings.redaction.redactor import REDACTOR

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

MESSAGE_BYTES = 4096  # a kubelet keeps no more
PREFIX = "grpo_job_"
LOCAL = "127.0.0.1"

# Name of the gauge -> its meaning, and its key in the trainer's metrics.
GAUGES = {
    "reward": ("mean reward of the last step", "reward"),
    "reward_spread": ("std of the rewards within groups", "reward_std"),
    "groups_without_spread": ("share of groups with zero reward std", "frac_reward_zero_std"),
    "loss": ("loss", "loss"),
    "gradient_norm": ("norm of the gradient before clipping", "grad_norm"),
    "entropy": ("mean entropy per token", "entropy"),
    "answers_alike": (
        "how alike the answers of different prompts are; 0: as the right ones, 1: all the same",
        "answers_alike",
    ),
    "divergence": ("KL divergence from the base, nats per token", "kl"),
    "completion_tokens": ("mean completion length in tokens", "completions/mean_length"),
    "completions_clipped": ("share of truncated completions", "completions/clipped_ratio"),
    "step_seconds": ("seconds of the last step", "time/step"),
    "gpu_memory_peak_bytes": ("peak GPU memory of the process", "gpu_memory_gib"),
}
UNITS = {"gpu_memory_peak_bytes": 2**30}


class MetricsServer:
    """Prometheus gauges of a run. Without a port nothing is opened."""

    def __init__(self, port: int | None, run_id: str, address: str = LOCAL) -> None:
        """Raises `InvalidRun` if the port cannot be opened at the address."""
        self._gauges: dict[str, Any] = {}
        self._tokens: float | None = None  # total up to the previous step
        if port is None:
            return
        from prometheus_client import CollectorRegistry, Gauge, start_http_server

        self.registry: CollectorRegistry = CollectorRegistry()
        told = {name: meaning for name, (meaning, _) in GAUGES.items()} | {
            "step": "optimizer steps done",
            "steps_planned": "optimizer steps planned",
            "tokens_per_second": "tokens per second of prompts and completions in the last step",
            "seconds": "seconds of all attempts",
            "cost_usd": "cost of all attempts in US dollars",
            "accuracy": "mean of what `measure` names on the held-out rows",
            "accuracy_set_apart": "the same on the training rows that GRPO_EVAL_STEPS evaluates on",
            "healthy": "1 until the health checks find a problem",
        }
        self._run_id = run_id
        self._gauges = {
            name: Gauge(PREFIX + name, meaning, ["run_id"], registry=self.registry) for name, meaning in told.items()
        }
        self._measure = Gauge(PREFIX + "measure", "1 for what is measured", ["run_id", "name"], registry=self.registry)
        self.set(healthy=1)
        try:
            self._server, self._thread = start_http_server(port, address, registry=self.registry)
        except OSError as error:
            raise InvalidRun(
                f"GRPO_METRICS_PORT: {port} was given; it cannot be opened at GRPO_METRICS_ADDRESS={address}: "
                f"{error.strerror}; allowed: a free port at an address of this machine"
            ) from error

    def set(self, **values: float | None) -> None:
        """Set gauges by name; None is skipped. A gauge that was never set is not exported."""
        for name, value in values.items():
            if self._gauges and value is not None:
                self._gauges[name].labels(self._run_id).set(value)

    def name_measure(self, name: str) -> None:
        """What `accuracy` is the mean of, as the label `name` of a gauge of its own."""
        if self._gauges:
            self._measure.labels(self._run_id, name).set(1)

    def step(self, step: int, planned: int, metrics: Mapping[str, float]) -> None:
        known = {
            name: metrics[key] * UNITS.get(name, 1)
            for name, (_, key) in GAUGES.items()
            if isinstance(metrics.get(key), int | float)
        }
        self.set(step=step, steps_planned=planned, tokens_per_second=self._speed(step, metrics), **known)

    def _speed(self, step: int, metrics: Mapping[str, float]) -> float | None:
        """Tokens per second of this step, from the trainer's running total; None if that is unknown."""
        before = 0.0 if step == 1 else self._tokens
        self._tokens, seconds = metrics.get("num_tokens"), metrics.get("time/step")
        if before is None or self._tokens is None or not seconds:
            return None
        return (self._tokens - before) / seconds

    def close(self) -> None:
        """Close the port."""
        if self._gauges:
            self._server.shutdown()
            self._server.server_close()
            self._gauges = {}


def leave_message(ending: Outcome, path: str) -> bool:
    """Write the outcome to the file that the container's platform reads; whether it could be written.

    In /dev only if the file exists, as a kubelet creates it: nobody reads one that is created there.
    """
    file = Path(path).expanduser()
    if file.parent == Path("/dev") and not file.exists():
        return False
    text = REDACTOR.text(f"{ending.kind} (exit {ending.code}): {ending.reason}").encode()
    try:
        file.write_bytes(text[:MESSAGE_BYTES].decode(errors="ignore").encode())
    except OSError:  # no such file, or a read-only one: the summary has the outcome too
        return False
    return True
