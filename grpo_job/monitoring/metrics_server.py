"""What machines see of a running job: Prometheus metrics on a port, and the ending in a container's message file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grpo_job.outcomes import InvalidRun, Outcome

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

MESSAGE_BYTES = 4096  # a kubelet keeps no more
PREFIX = "grpo_job_"

# Name of the gauge -> what it means, and where the trainer's metrics have it.
GAUGES = {
    "reward": ("mean reward of the last step", "reward"),
    "reward_spread": ("standard deviation of rewards within groups", "reward_std"),
    "groups_without_spread": ("share of groups that gave no gradient", "frac_reward_zero_std"),
    "loss": ("loss", "loss"),
    "gradient_norm": ("norm of the gradient before clipping", "grad_norm"),
    "entropy": ("mean entropy of a token", "entropy"),
    "answers_alike": (
        "how alike the answers of different prompts are; 0 as the right ones, 1 all the same",
        "answers_alike",
    ),
    "divergence": ("divergence from the base in nats a token", "kl"),
    "completion_tokens": ("mean length of a completion", "completions/mean_length"),
    "completions_clipped": ("share of completions that were cut", "completions/clipped_ratio"),
    "step_seconds": ("seconds of the last step", "time/step"),
    "gpu_memory_peak_bytes": ("most memory that the process held on the GPU", "gpu_memory_gib"),
}
UNITS = {"gpu_memory_peak_bytes": 2**30}


class MetricsServer:
    """Gauges that are scraped while the run goes on. Without a port nothing is opened."""

    def __init__(self, port: int | None, run_id: str) -> None:
        """Raises `InvalidRun` where the port is taken."""
        self._gauges: dict[str, Any] = {}
        self._tokens: float | None = None  # read and written until the step before
        if port is None:
            return
        from prometheus_client import CollectorRegistry, Gauge, start_http_server

        self.registry: CollectorRegistry = CollectorRegistry()
        told = {name: meaning for name, (meaning, _) in GAUGES.items()} | {
            "step": "optimizer steps done",
            "steps_planned": "optimizer steps planned",
            "tokens_per_second": "tokens of prompts and completions a second in the last step",
            "seconds": "seconds of all attempts",
            "cost_usd": "cost of all attempts in US dollars",
            "accuracy": "mean of what `measure` names on the held-out rows",
            "accuracy_set_apart": "the same on the training rows that GRPO_EVAL_STEPS evaluates on",
            "healthy": "1 until a finding of health says otherwise",
        }
        self._run_id = run_id
        self._gauges = {
            name: Gauge(PREFIX + name, meaning, ["run_id"], registry=self.registry) for name, meaning in told.items()
        }
        self._measure = Gauge(PREFIX + "measure", "1 for what is measured", ["run_id", "name"], registry=self.registry)
        self.set(healthy=1)
        try:
            self._server, self._thread = start_http_server(port, registry=self.registry)
        except OSError as error:
            raise InvalidRun(
                f"GRPO_METRICS_PORT: {port} was given; it cannot be opened: {error.strerror}; allowed: a free port"
            ) from error

    def set(self, **values: float | None) -> None:
        """Values by the gauges' own names; None is not told. What was never set is not scraped."""
        for name, value in values.items():
            if self._gauges and value is not None:
                self._gauges[name].labels(self._run_id).set(value)

    def name_measure(self, name: str) -> None:
        """What `accuracy` is the mean of, as the label `name` of a gauge of its own."""
        if self._gauges:
            self._measure.labels(self._run_id, name).set(1)

    def step(self, step: int, planned: int, metrics: Mapping[str, float]) -> None:
        """A step was done."""
        known = {
            name: metrics[key] * UNITS.get(name, 1)
            for name, (_, key) in GAUGES.items()
            if isinstance(metrics.get(key), int | float)
        }
        self.set(step=step, steps_planned=planned, tokens_per_second=self._speed(step, metrics), **known)

    def _speed(self, step: int, metrics: Mapping[str, float]) -> float | None:
        """Tokens a second of this step, from the trainer's count of all of them; None where that is not known."""
        before = 0.0 if step == 1 else self._tokens
        self._tokens, seconds = metrics.get("num_tokens"), metrics.get("time/step")
        if before is None or self._tokens is None or not seconds:
            return None
        return (self._tokens - before) / seconds

    def close(self) -> None:
        """Gives the port back."""
        if self._gauges:
            self._server.shutdown()
            self._server.server_close()
            self._gauges = {}


@contextmanager
def served(port: int | None, run_id: str) -> Iterator[MetricsServer]:
    """Within: what the run tells can be scraped. Raises `InvalidRun` where the port is taken."""
    signs = MetricsServer(port, run_id)
    try:
        yield signs
    finally:
        signs.close()


def leave_message(ending: Outcome, path: str) -> bool:
    """Write how the run ended where the container's platform looks for it; whether it could be written.

    Only into a file that is there, as a kubelet makes it, or into a folder of the user's own: a file made in /dev
    on a developer's machine tells nobody anything.
    """
    file = Path(path).expanduser()
    if file.parent == Path("/dev") and not file.exists():
        return False
    text = f"{ending.kind} (exit {ending.code}): {ending.reason}".encode()
    try:
        file.write_bytes(text[:MESSAGE_BYTES].decode(errors="ignore").encode())
    except OSError:  # a platform without such a file, or a read-only one: the summary has it too
        return False
    return True
