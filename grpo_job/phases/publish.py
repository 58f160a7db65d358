"""A chapter of the story: the report, the card, and the result sent to where it was asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from grpo_job import reports
from grpo_job.evaluation import verdict
from grpo_job.inputs.base_model import BaseModel
from grpo_job.outcomes import FINISHED, Ending, Hopeless, Refused, Unpublished
from grpo_job.phases import published_tree
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.published_tree import Published
from grpo_job.run_folder.files import read_json, write_json
from grpo_job.run_folder.paths import RunFolder
from grpo_job.settings import secrets
from grpo_job.stores import Patience


def describe(attempt: Attempt, base: BaseModel) -> None:
    """Write report, plots and card from what the run folder holds by now.

    What the run took until here is recorded on its own: the totals still grow, and what is published does not.
    """
    seconds = attempt.spent()
    cost = attempt.summary.values["cost"]
    spent = {"seconds": round(seconds["total"], 3), "cost": cost["total"] if cost else None}
    attempt.summary.update(before_publishing=spent)
    attempt.summary.write(seconds=seconds)
    reports.build([attempt.folder.path])
    reports.write_card(attempt.folder.path, licence=base.licence)


def report_the_end(attempt: Attempt) -> None:
    """Write the report of a run that is not published, with its ending. What goes wrong here ends nothing."""
    try:
        reports.build([attempt.folder.path])
    except Exception as error:
        attempt.progress.warn(f"the report could not be written: {type(error).__name__}: {error}")


def publish(attempt: Attempt) -> None:
    """Send the result everywhere it was asked for; one destination's failure does not stop the others.

    Raises `Hopeless` where the verdict is below GRPO_PUBLISH_IF, `Unpublished` where a destination failed.
    """
    settings, folder = attempt.settings, attempt.folder
    judged = read_json(folder.verdict)
    if not verdict.allowed(judged["verdict"], settings.publish_if):
        raise Hopeless(verdict.kept_back(judged, settings.publish_if))
    if not settings.publish_to:
        return
    places = send(
        folder,
        settings.publish_to,
        private=settings.publish_private,
        environment=attempt.environment,
        patience=Patience(seconds=settings.publish_seconds),
    )
    attempt.summary.update(published=arrived(places))
    if failures := [place.failure for place in places if not place.verified]:
        raise Unpublished("; ".join([*failures, f"to finish: grpo-job publish {folder.path}"]))


def publish_again(path: Path, destinations: Sequence[str], environment: Mapping[str, str]) -> Ending:
    """Publish a trained run's folder to `destinations`, or to where its settings said; record it in its summary.

    Raises `Refused` where there is nothing to publish or nowhere to go, `Unpublished` where one failed.
    """
    folder = RunFolder(path)
    settings = read_json(folder.settings).get("settings", {})
    wanted = tuple(destinations) or tuple(settings.get("publish_to", ()))
    if not wanted:
        raise Refused(f"{path}: the run was told no destination; allowed: --to URI, such as --to hf://owner/name")
    places = send(folder, wanted, private=settings.get("publish_private", True), environment=environment)
    if failures := [place.failure for place in places if not place.verified]:
        raise Unpublished("; ".join(failures))
    done = {"ending": FINISHED._asdict(), "published": arrived(places)}
    write_json(folder.summary, {**read_json(folder.summary), **done})
    return Ending(0, "published", ", ".join(wanted))


def send(
    folder: RunFolder,
    destinations: Sequence[str],
    *,
    private: bool,
    environment: Mapping[str, str],
    patience: Patience | None = None,
) -> list[Published]:
    """Publish a run folder as it is."""
    return published_tree.publish(
        folder.path,
        destinations,
        private=private,
        environment=environment,
        secrets=secrets.secret_values(environment),
        hide={str(Path.cwd()): "."},
        patience=patience,
    )


def arrived(places: Sequence[Published]) -> list[dict[str, object]]:
    """The verified destinations, as `summary.json` lists them."""
    return [{"uri": place.uri, "revision": place.revision, "verified": True} for place in places if place.verified]
