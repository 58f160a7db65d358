"""The four trackers behind one interface. Each package is imported when its tracker is opened."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from grpo_job.run_folder.files import write_text

PROJECT = "grpo-job"


class TrackerRun(NamedTuple):
    """The run, for a tracker: `identity` is the same in all attempts, `resumed_from` is the last step done."""

    name: str
    identity: str
    folder: Path
    settings: Mapping[str, Any]
    resumed_from: int


class Tracker(Protocol):
    """One open tracker run; `done` is the last step of earlier attempts that it holds, -1 for none."""

    done: int

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of one step."""

    def keep(self, report: Path) -> None:
        """Attach a file."""

    def close(self) -> None:
        """Send what is buffered."""


class TensorBoard:
    """Event files as torch's SummaryWriter writes them, without torch."""

    def __init__(self, run: TrackerRun) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder = run.folder / "tensorboard"
        self.done = min(self._last_step(folder), run.resumed_from)
        self.writer = EventFileWriter(str(folder))
        if self.done >= 0:  # readers drop later steps that an earlier attempt wrote
            start = SessionLog(status=SessionLog.START)
            self.writer.add_event(Event(step=self.done + 1, session_log=start))

    @staticmethod
    def _last_step(folder: Path) -> int:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        if not folder.is_dir():
            return -1
        events = EventAccumulator(str(folder)).Reload()
        return max((events.Scalars(tag)[-1].step for tag in events.Tags()["scalars"]), default=-1)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in metrics.items()]
        self.writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=values)))
        self.writer.flush()

    def keep(self, report: Path) -> None:
        """TensorBoard holds no files."""

    def close(self) -> None:
        self.writer.close()


class MLflow:
    """The run with our tag, on the server of MLFLOW_TRACKING_URI or in a file of the run folder."""

    TAG = "grpo_job_run"
    LONGEST_VALUE = 500

    def __init__(self, run: TrackerRun) -> None:
        import mlflow

        if not mlflow.is_tracking_uri_set():
            mlflow.set_tracking_uri(f"sqlite:///{run.folder / 'mlflow.db'}")
            if mlflow.get_experiment_by_name(PROJECT) is None:  # else its files go to the current folder
                mlflow.create_experiment(PROJECT, (run.folder / "mlflow").as_uri())
            mlflow.set_experiment(PROJECT)
        found = mlflow.search_runs(
            filter_string=f"tags.{self.TAG} = '{run.identity}'", output_format="list", search_all_experiments=True
        )
        self.mlflow, self.done = mlflow, -1
        if found:
            mlflow.start_run(run_id=found[0].info.run_id)
            self.done = self._last_step(found[0])
        else:
            mlflow.start_run(run_name=run.name, tags={self.TAG: run.identity})
            mlflow.log_params({k: str(v)[: self.LONGEST_VALUE] for k, v in run.settings.items()})

    def _last_step(self, found: Any) -> int:
        client = self.mlflow.MlflowClient()
        steps = [
            point.step
            for name in ("loss", "reward")
            if name in found.data.metrics
            for point in client.get_metric_history(found.info.run_id, name)
        ]
        return max(steps, default=-1)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.mlflow.log_metrics(dict(metrics), step=step)

    def keep(self, report: Path) -> None:
        self.mlflow.log_artifact(str(report))

    def close(self) -> None:
        self.mlflow.end_run()


class Wandb:
    """The run with our identity, online, or with WANDB_MODE=offline in parts that `wandb sync` merges."""

    def __init__(self, run: TrackerRun) -> None:
        import wandb

        self.run = wandb.init(
            id=run.identity,
            name=run.name,
            resume="allow",
            config=dict(run.settings),
            project=wandb.setup().settings.project or PROJECT,
        )
        # Offline, wandb does not know its earlier parts, and a killed part loses its end. So a part that was closed
        # records its last step here; after any other, the new part starts from step 1.
        self.closed_at = run.folder / "wandb_closed_at"
        self.done = self.run.step - 1
        if self.run.offline and self.closed_at.is_file():
            self.done = int(self.closed_at.read_text(encoding="utf-8"))
        self.closed_at.unlink(missing_ok=True)
        self.last = self.done

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.run.log(dict(metrics), step=step)
        self.last = step

    def keep(self, report: Path) -> None:
        self.run.save(str(report), base_path=str(report.parent), policy="now")

    def close(self) -> None:
        self.run.finish()
        write_text(self.closed_at, str(self.last))


class Trackio:
    """The run of this name and identity in the project, resumed if it exists."""

    def __init__(self, run: TrackerRun) -> None:
        import trackio

        self.trackio = trackio
        name = f"{run.name}-{run.identity}"
        opened = trackio.init(project=PROJECT, name=name, resume="allow", config=dict(run.settings), embed=False)
        self.done = opened._next_step - 1  # there is no public API for the last step

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.trackio.log(dict(metrics), step=step)

    def keep(self, report: Path) -> None:
        self.trackio.log_artifact(report, name=report.stem, type="report")

    def close(self) -> None:
        self.trackio.finish()


TRACKERS: dict[str, Callable[[TrackerRun], Tracker]] = {
    "tensorboard": TensorBoard, "mlflow": MLflow, "wandb": Wandb, "trackio": Trackio,
}  # fmt: skip
