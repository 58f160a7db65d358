"""What follows from `verify`: the exit code, and the result in the summary, the card and the published tree."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grpo_job import reports
from grpo_job.outcomes import Abandoned, InvalidRun, Outcome, PublishFailed
from grpo_job.phases import published_copy, published_tree, trust
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.publish import publish_again, publish_result
from grpo_job.phases.verify import verify
from grpo_job.reports import loaded_back
from grpo_job.run_folder import scratch, shapes
from grpo_job.run_folder.files import read_json, sha256, write_json
from grpo_job.run_folder.paths import RunFolder
from grpo_job.runtime import machine
from grpo_job.stores import MANIFEST, StoreFailed, open_store
from grpo_job.stores.trees import manifest_of

Record = dict[str, Any]
SHOWN = ("by", "rows", "adapter", "base", "merged")


def verify_published(attempt: Attempt) -> None:
    """With GRPO_VERIFY: ask each destination, or without one the run folder. Raises `Abandoned` if one differs."""
    settings, folder = attempt.settings, attempt.folder
    if not settings.verify:
        return
    places = settings.publish_to or (str(folder.path),)
    on_gpu = bool(machine.gpus(attempt.environment.get("CUDA_VISIBLE_DEVICES")))
    with attempt.progress.phase("publish", f"asking {', '.join(places)} the recorded prompts again"):
        found = {place: verify(place, attempt.environment, model=settings.model, on_gpu=on_gpu) for place in places}
        for place, result in found.items():
            for line in lines(place, result):
                attempt.progress.say(line)
        ending = outcome(found)
        if ending.code:
            raise Abandoned(ending.reason)
        attempt.summary.update(verify=note(folder, found[places[0]]))
        attempt.remember(*published_tree.lasting_files(folder.path))
        attempt.summary.write()
        publish_result(attempt)


def verify_places(
    place: str, environment: Mapping[str, str], model: str | None = None, rows: int | None = None, *, write: bool
) -> dict[str, Record]:
    """Verify an address or a folder; of an own run folder that was published, each of its destinations.

    `model` and `rows` as for `verify`. `write`: publish the result with what was verified, unless it has a fault.
    """
    own = None if published_copy.is_address(place) else _own_run(Path(place), environment)
    places = [str(each["uri"]) for each in own["published"]] if own and own.get("published") else [place]
    model = model or (_model_of(Path(place)) if own else None)
    on_gpu = bool(machine.gpus(environment.get("CUDA_VISIBLE_DEVICES")))
    found = {each: verify(each, environment, model=model, rows=rows, on_gpu=on_gpu) for each in places}
    if write and not outcome(found).code:
        if own:
            _write_to_run(Path(place), places, found[places[0]], environment)
        else:
            _write_to_tree(place, found[place], environment)
    return found


def outcome(found: Mapping[str, Record]) -> Outcome:
    """Exit 0, or 4 with every fault."""
    faults = [f"{place}: {fault}" for place, result in found.items() for fault in result["faults"]]
    if faults:
        return Abandoned("\n".join(faults)).outcome()
    return Outcome(
        0, "verified", "; ".join(f"{place}: {loaded_back.verified(result)}" for place, result in found.items())
    )


def lines(place: str, result: Record) -> list[str]:
    """What was asked and found, for a person; the faults are in the ending."""
    if not result["rows"]:
        return [f"{place}: nothing was asked"]
    told, accuracy = [f"{place}: {loaded_back.verified(result)}"], result["accuracy"]
    low, high = accuracy["interval"]
    asked = "not graded here" if accuracy["asked"] is None else f"{accuracy['asked']:.3g}"
    told.append(f"{accuracy['measure']}: {asked}; recorded {accuracy['recorded']:.3g} ({low:.3g} to {high:.3g})")
    if apart := result["apart"]:
        told.append(f"base and adapter differ on {apart['asked']} rows; recorded {apart['recorded']}")
    if merged := result.get("merged"):
        told.append(f"merged model: {loaded_back.answered(merged)}")
    return told


def note(folder: RunFolder, result: Record) -> Record:
    """Write `verify.json`, and the sentence in the card; returns what the summary keeps of it."""
    write_json(folder.verify, result)
    reports.note_in_card(folder.adapter / "README.md", loaded_back.verified(result))
    return kept(result)


def kept(result: Record) -> Record:
    """What a summary keeps of the result."""
    return {key: result[key] for key in SHOWN if key in result}


def _own_run(path: Path, environment: Mapping[str, str]) -> Record | None:
    """The summary of a run folder in GRPO_OUTPUT_DIR; only there its destinations and its base are used."""
    if not trust.is_own(path, environment) or (path / MANIFEST).is_file():
        return None
    return read_json(RunFolder(path).summary, shapes.Summary)


def _model_of(path: Path) -> str | None:
    model = read_json(RunFolder(path).settings, shapes.Resolved).get("settings", {}).get("model")
    return model if isinstance(model, str) else None


def _write_to_run(path: Path, places: list[str], result: Record, environment: Mapping[str, str]) -> None:
    folder = RunFolder(path)
    summary = read_json(folder.summary, shapes.Summary)
    told, card = note(folder, result), folder.adapter / "README.md"
    records = {str(file.relative_to(path)): sha256(file) for file in (folder.verify, card)}
    write_json(folder.summary, {**summary, "verify": told, "records": {**summary.get("records", {}), **records}})
    if published_copy.is_address(places[0]):
        publish_again(path, places, environment)


def _write_to_tree(place: str, result: Record, environment: Mapping[str, str]) -> None:
    """Add to the tree at an address; who may not write there cannot."""
    if not published_copy.is_address(place):
        raise InvalidRun(f"--write: {place} was given; allowed: an address, or a run folder in GRPO_OUTPUT_DIR")
    store = open_store(place, environment=environment)
    with scratch.temporary("verify") as tree:
        try:
            store.get("", tree)
            run = RunFolder(tree / "run")
            write_json(run.verify, result)
            reports.note_in_card(tree / "README.md", loaded_back.verified(result))
            write_json(run.summary, {**read_json(run.summary), "verify": kept(result)})
            named = read_json(tree / MANIFEST).get("run_id")
            (tree / MANIFEST).unlink()
            (tree / MANIFEST).write_bytes(manifest_of(tree, run_id=named))
            if wrong := store.differences(tree, revision=store.put(tree)):
                raise PublishFailed(f"{place}: the published files differ in {', '.join(wrong)}: write them again.")
        except StoreFailed as failure:
            raise PublishFailed(f"verified, but not written: {failure}") from failure
