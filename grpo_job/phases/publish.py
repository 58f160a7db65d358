"""Write the report and the model card, and publish the result."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grpo_job import engines, reports
from grpo_job.checkpoints import PARTIAL
from grpo_job.evaluation import publish_if
from grpo_job.monitoring.trackers import Trackers
from grpo_job.outcomes import FINISHED, Abandoned, InvalidRun, Outcome, PublishFailed, Unexpected
from grpo_job.phases import published_tree, trust
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.published_tree import Published
from grpo_job.preflight import Checked
from grpo_job.preflight.resources import outlives_container
from grpo_job.reports import content
from grpo_job.run_folder import shapes
from grpo_job.run_folder.files import FIND_OUT, read_json, write_json
from grpo_job.run_folder.paths import RunFolder, require_plain
from grpo_job.settings import schemes
from grpo_job.settings.schema import Settings
from grpo_job.stores import Patience, open_store

PUBLISHED_SINCE = "; published since by `grpo-job publish`"
KEPT_SECONDS, LOST_SECONDS = 40.0, 900.0  # how long a destination that fails is tried
ENOUGH_KEPT = 0.9  # of the update, in a merged model; below, a warning names the types that keep more


def merge(attempt: Attempt, checked: Checked) -> None:
    """Merge the adapter into the base if GRPO_PUBLISH_MERGED is set, and say how much of the update that keeps."""
    settings, folder = attempt.settings, attempt.folder
    if settings.publish_merged:
        with attempt.progress.phase("save", "merging adapter and base"):
            partial = folder.checkpoints / PARTIAL / "merged"  # where a model that is not whole is not published
            with attempt.library_log():
                merged = engines.merge(checked.base, folder.adapter, partial, settings.publish_merged_dtype)
            partial.rename(folder.merged)
            attempt.summary.update(merged=merged)
            told, kept = f"merged model: {content.merged_keeps(merged)}", merged["kept"][merged["dtype"]]
            if kept is None or kept >= ENOUGH_KEPT:
                attempt.progress.say(told)
            else:
                attempt.progress.warn(f"{told}; set GRPO_PUBLISH_MERGED_DTYPE, or serve the adapter itself")


def write_report(attempt: Attempt, checked: Checked, trackers: Trackers) -> None:
    """Write report, plots and model card from the run folder, and conclude the trackers.

    Time and cost up to here are recorded separately: the totals still grow, what is published does not.
    """
    with attempt.progress.phase("publish", "writing the report and the card"):
        seconds = attempt.elapsed()
        cost = attempt.summary.values["cost"]
        spent = {"seconds": round(seconds["total"], 3), "cost": cost["total"] if cost else None}
        attempt.summary.update(before_publishing=spent)
        attempt.summary.write(seconds=seconds)
        with attempt.live_report.replaced():
            reports.build([attempt.folder.path])
        reports.write_card(attempt.folder.path, licence=checked.base.licence)
        with attempt.library_log():
            trackers.conclude(attempt.summary.values, attempt.folder.report)


def publish(attempt: Attempt) -> None:
    """Send the result to every destination; one failure does not stop the others.

    Raises `Abandoned` if the verdict is below GRPO_PUBLISH_IF, `PublishFailed` if a destination failed.
    """
    wanted = ", ".join(attempt.settings.publish_to)
    title = f"publishing to {wanted}" if wanted else "keeping the result in the run folder"
    with attempt.progress.phase("publish", title):
        attempt.assert_sole_owner()
        if lacks := attempt.folder.lacks(attempt.summary.values):
            raise Unexpected(f"{lacks} while the run was going on: {FIND_OUT}")
        attempt.remember(*published_tree.lasting_files(attempt.folder.path))
        publish_result(attempt)


def publish_result(attempt: Attempt) -> None:
    """See `publish`; of what was published already only what has changed is sent."""
    settings, folder = attempt.settings, attempt.folder
    judged = read_json(folder.verdict, shapes.Verdict)
    if not publish_if.allowed(judged["verdict"], settings.publish_if):
        raise Abandoned(publish_if.kept_back(judged, settings.publish_if))
    if not settings.publish_to:
        return
    places = published_tree.publish(
        folder.path,
        settings.publish_to,
        private=settings.publish_private,
        environment=attempt.environment,
        patience=Patience(seconds=_patience(settings, folder)),
    )
    attempt.summary.update(published=arrived(places, attempt.summary.values["published"]))
    if failures := [place.failure for place in places if not place.verified]:
        raise PublishFailed("; ".join([*failures, _to_finish(folder, settings)]))


def _patience(settings: Settings, folder: RunFolder) -> float:
    """Seconds. A GPU waits meanwhile: only what would be lost with the container is worth a long outage."""
    if settings.publish_seconds != "auto":
        return settings.publish_seconds
    return KEPT_SECONDS if outlives_container(folder.path) else LOST_SECONDS


def _to_finish(folder: RunFolder, settings: Settings) -> str:
    """The command; with the destinations, for another machine may not have this GRPO_OUTPUT_DIR."""
    places = [word for uri in settings.publish_to for word in ("--to", uri)]
    return f"to finish: {shlex.join(['grpo-job', 'publish', str(folder.path), *places])}"


def publish_again(
    path: Path, destinations: Sequence[str], environment: Mapping[str, str], assignments: Sequence[str] = ()
) -> Outcome:
    """Publish a trained run's folder to `destinations`, by default those of its settings, and update its summary.

    Of a folder that does not lie in GRPO_OUTPUT_DIR, which may come from anybody, no setting holds. `assignments` are
    those of `--set`.
    Raises `InvalidRun` if there is nothing to publish, no destination, one that is no address, or a variable that no
    client can use; `PublishFailed` if a destination failed.
    """
    folder = RunFolder(path)
    require_plain(path)
    is_own = trust.is_own(path, environment, assignments)
    trust.refuse_code_in(folder.adapter)
    if not is_own:
        trust.refuse_second_names(path)
    settings = read_json(folder.settings, shapes.Resolved).get("settings", {}) if is_own else {}
    wanted = tuple(destinations) or tuple(settings.get("publish_to", ()))
    if not wanted:
        why = "the run has no destination" if is_own else trust.NOT_OURS
        raise InvalidRun(f"{path}: {why}; allowed: --to URI, such as --to hf://owner/name")
    if odd := [uri for uri in wanted if not schemes.is_place(uri)]:
        raise InvalidRun(*(f"--to: {uri!r} was given; allowed: {schemes.forms()}" for uri in odd))
    for uri in wanted:
        open_store(uri, environment=environment)  # what its client cannot use is refused, not tried
    summary = read_json(folder.summary, shapes.Summary)
    if lacks := folder.lacks(summary):
        raise InvalidRun(f"{lacks}: run the same command again with the checkpoints in place, which makes it again")
    private = settings.get("publish_private", True)
    places = published_tree.publish(path, wanted, private=private, environment=environment)
    told = [f"published and verified: {place.uri}{f' at {place.revision}' if place.revision else ''}"
            for place in places if place.verified]  # fmt: skip
    summary["published"] = arrived(places, summary.get("published", ()))
    if failures := [place.failure for place in places if not place.verified]:
        raise PublishFailed("; ".join([*failures, *told, *_note(folder, summary)]))
    told += _note(folder, {**summary, "ending": _ending_now(summary)})
    return Outcome(0, "published", "\n".join(told))


def _note(folder: RunFolder, summary: Mapping[str, Any]) -> list[str]:
    """Write the summary; a sentence if that fails, as on a read-only disk: what was published is published."""
    try:
        write_json(folder.summary, summary)
    except OSError as error:
        return [f"{folder.summary} does not say so, because it cannot be written: {error.strerror}"]
    return []


def _ending_now(summary: Mapping[str, Any]) -> dict[str, Any]:
    """How a run ended that is published now: finished, or still as it did if it was stopped for a reason."""
    before: dict[str, Any] = summary.get("ending", {})
    if before.get("code") in (None, FINISHED.code, PublishFailed.code):
        stopped = summary.get("stopped")
        return {**FINISHED._asdict(), "reason": f"{FINISHED.reason}; {stopped}" if stopped else FINISHED.reason}
    return {**before, "reason": f"{before['reason'].removesuffix(PUBLISHED_SINCE)}{PUBLISHED_SINCE}"}


def arrived(places: Sequence[Published], earlier: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The verified destinations, as `summary.json` lists them: `earlier` ones that got nothing now stay."""
    sent = {place.uri for place in places}
    return [
        *(known for known in earlier if known["uri"] not in sent),
        *({"uri": place.uri, "revision": place.revision, "verified": True} for place in places if place.verified),
    ]
