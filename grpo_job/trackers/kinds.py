"""The four trackers behind one shape. Their packages are imported here, where one is opened."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

PROJECT = "grpo-job"


class TrackerRun(NamedTuple):
    """What a tracker needs to know of the run: `identity` is the same in all attempts, `resumed_from` the last step."""

    name: str
    identity: str
    folder: Path
    settings: Mapping[str, Any]
    resumed_from: int


class Tracker(Protocol):
    """One open tracker run."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """The metrics of one step."""

    def keep(self, report: Path) -> None:
        """A file to lay beside the metrics."""

    def close(self) -> None:
        """Send what still waits."""


def opened(name: str, run: TrackerRun) -> Tracker:
    """The tracker of this name, at this run. Raises whatever its package raises."""
    match name:
        case "tensorboard":
            return TensorBoard(run)
        case "mlflow":
            return MLflow(run)
        case "wandb":
            return Wandb(run)
        case _:
            return Trackio(run)


class TensorBoard:
    """Event files as torch's SummaryWriter writes them, without torch."""

    def __init__(self, run: TrackerRun) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.writer = EventFileWriter(str(run.folder / "tensorboard"))
        if run.resumed_from:  # readers forget what an earlier attempt wrote from this step on
            start = SessionLog(status=SessionLog.START)
            self.writer.add_event(Event(step=run.resumed_from + 1, session_log=start))

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
            if mlflow.get_experiment_by_name(PROJECT) is None:  # else its files land in the current folder
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
        """MLflow would hold a step twice that is done again."""
        if step > self.done or any(name.startswith("final/") for name in metrics):
            self.mlflow.log_metrics(dict(metrics), step=step)

    def keep(self, report: Path) -> None:
        self.mlflow.log_artifact(str(report))

    def close(self) -> None:
        self.mlflow.end_run()


class Wandb:
    """The run with our identity, online or, with WANDB_MODE=offline, in parts that `wandb sync` puts together."""

    def __init__(self, run: TrackerRun) -> None:
        import wandb

        self.wandb = wandb
        self.run = wandb.init(
            id=run.identity,
            name=run.name,
            resume="allow",
            config=dict(run.settings),
            project=wandb.setup().settings.project or PROJECT,
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """A step that is there already is left as it is."""
        self.run.log(dict(metrics), step=step)

    def keep(self, report: Path) -> None:
        self.run.save(str(report), base_path=str(report.parent), policy="now")

    def close(self) -> None:
        self.run.finish()


class Trackio:
    """The run of this name and identity in the project, resumed where it is there."""

    def __init__(self, run: TrackerRun) -> None:
        import trackio

        self.trackio = trackio
        name = f"{run.name}-{run.identity}"
        trackio.init(project=PROJECT, name=name, resume="allow", config=dict(run.settings), embed=False)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.trackio.log(dict(metrics), step=step)

    def keep(self, report: Path) -> None:
        """A run of trackio holds no such page."""

    def close(self) -> None:
        self.trackio.finish()
