"""`grpo-job reproduce`: the same run again, from what was published of it.

Settings, commits and seeds come from the tree. Code, files and addresses come from the caller, as in `trust.py`: own
rewards, rows that are not on the Hub, a local base, the adapter to start from.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job.outcomes import Abandoned, InvalidRun, Outcome
from grpo_job.phases import in_python, published_copy, trust
from grpo_job.preflight import training_rows
from grpo_job.reports.run_data import RunData
from grpo_job.run_folder import identity, scratch
from grpo_job.runtime import machine
from grpo_job.settings import config_file
from grpo_job.settings.reader import GIVEN, Resolved, assigned, resolve
from grpo_job.settings.schema import Settings, variable

# Settings of a run that do not change its result by themselves, but the order in which numbers are added.
BESIDE = (
    "gradient_checkpointing", "health", "processes", "rehearsal", "shard_base", "standby", "training_graphs",
    "vllm_gpu_memory_utilization",
)  # fmt: skip
# What a tree cannot bring, or names by the commit instead; the digest of the rows is compared.
FROM_CALLER = (
    "adapter", "chat_template", "dataset", "dataset_config", "dataset_revision", "dataset_split", "eval_dataset",
    "measure", "model", "model_revision", "reward_options", "reward_path", "rewards",
)  # fmt: skip
ANYWAY = "use --anyway to run it all the same"


class Known(NamedTuple):
    """What the run was: settings for the reader, and what its result is compared with."""

    assignments: dict[str, str]
    sha256: str
    interval: tuple[float, float]
    measure: str
    differences: list[str]


def reproduce(place: str, environment: Mapping[str, str], assignments: list[str], *, anyway: bool) -> Outcome:
    """Train the run at an address or in a folder again, and compare the adapters.

    Raises `InvalidRun` with each difference of versions, machine or rows unless `anyway`, the `RunEnded` of a run that
    fails, and `Abandoned` if the adapters differ although nothing else does.
    """
    resolved = resolve(environment, assigned(assignments))
    known = _known(place, resolved, environment)
    if known.differences and not anyway:
        raise InvalidRun(*(f"{place}: {each}; {ANYWAY}" for each in known.differences))
    again = in_python.run(environment, known.assignments)
    adapter = again.summary.get("adapter") or {}
    if adapter.get("sha256") == known.sha256:
        return Outcome(0, "reproduced", f"{again.folder}: the same adapter, SHA-256 {known.sha256}")
    told = f"{again.folder}: another adapter: SHA-256 {adapter.get('sha256')}, not {known.sha256}"
    alike, within = _within(again, known)
    if not known.differences and not again.environment.get("gpus"):
        raise Abandoned(f"{told}; {within}")
    if not alike:
        raise Abandoned("; ".join([told, within, *known.differences]))
    why = known.differences or ["kernels of a GPU do not add in a fixed order"]
    return Outcome(0, "reproduced", f"{told} ({'; '.join(why)}); {within}")


def _within(again: in_python.LoadedRun, known: Known) -> tuple[bool, str]:
    """Whether the 95% intervals of both runs overlap, and a sentence: each is of one training with its own chance."""
    primary, (low, high) = again.evaluation["primary"], known.interval
    lower, upper = primary["after_interval"]
    alike = lower <= high and low <= upper
    what = f"{known.measure} {primary['after']:.3g} ({lower:.3g} to {upper:.3g})"
    return alike, f"{what}, {'overlapping' if alike else 'apart from'} the published {low:.3g} to {high:.3g}"


def _known(place: str, resolved: Resolved, environment: Mapping[str, str]) -> Known:
    with scratch.temporary("reproduce") as folder:
        copy = published_copy.fetch(place, folder, environment)
        if copy.faults:
            raise InvalidRun(*(f"{place}: {fault}; allowed: a tree as the job published it" for fault in copy.faults))
        run = copy.run
        given = {name for name, origin in resolved.origins.items() if origin.startswith(GIVEN)}
        taken = _taken(run, given)
        trust.refuse_code_and_paths(taken, Path(place) / "run" / "settings.json")
        own = {name: _text(name, resolved) for name in given}
        settings = {**_least(taken, str(own.get("recipe") or run.settings.get("recipe"))), **own}
        settings.setdefault("run_id", f"again-{run.name}"[:100])
        return Known(
            settings,
            str((run.summary.get("adapter") or {}).get("sha256")),
            tuple(run.evaluation["primary"]["after_interval"]),
            run.measure.name,
            [*_differences(run, resolve({}, settings).settings, given, environment)],
        )


def _taken(run: RunData, given: set[str]) -> dict[str, Any]:
    """What the tree decides: settings that change a result, at the commits of model and rows that it recorded."""
    wanted = {*resolve({}).settings.changing_result(), *BESIDE} - {"grpo_config", *trust.NEVER, *given}
    taken = {name: value for name, value in run.settings.items() if name in wanted}
    for name, part in (("model_revision", "model"), ("dataset_revision", "dataset")):
        if name in taken and part not in given:
            taken[name] = (run.environment.get(part) or {}).get("commit")
    further = run.settings.get("grpo_config") or {}
    return {**taken, **{name: value for name, value in further.items() if name not in given}}


def _least(taken: Mapping[str, Any], recipe: str) -> dict[str, str]:
    """Of these settings, as one would write them, those that the recipe does not bring: others may be refused beside
    each other even with their defaults. A recipe brings less beside some settings, so it is asked twice."""
    least = {"recipe": recipe}
    for _ in range(2):
        found = resolve({}, least).settings.model_dump(mode="json")
        brought = {**found, **found["grpo_config"]}
        least |= {name: config_file.as_text(name, value) for name, value in taken.items() if brought.get(name) != value}
    return least


def _text(name: str, resolved: Resolved) -> str:
    settings = resolved.settings
    value = settings.model_dump(mode="json").get(name, settings.grpo_config.get(name))
    return config_file.as_text(name, value)


def _differences(run: RunData, settings: Settings, given: set[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Each as a sentence without an end."""
    recorded = run.environment
    gpus = {"GPUs": [gpu.get("name") for gpu in recorded.get("gpus") or []]}
    today = {"GPUs": [gpu.name for gpu in machine.gpus(environment.get("CUDA_VISIBLE_DEVICES"))]}
    if changed := identity.differences(recorded.get("versions") or {}, machine.versions()):
        yield f"other package versions ({', '.join(changed)})"
    if changed := identity.differences(gpus, today):
        yield f"another machine ({', '.join(changed)})"
    ours, theirs = settings.changing_result(), run.settings
    for name in sorted(ours.keys() - {*FROM_CALLER}):
        if ours[name] != theirs.get(name):
            whose = "given" if name in given else "this version"
            yield f"{variable(name)} is {ours[name]!r} ({whose}), but was {theirs.get(name)!r}"
    if run.start_adapter and not settings.adapter:
        yield f"GRPO_ADAPTER is not set, but it started from {run.start_adapter}"
    if stopped := run.summary.get("stopped"):
        yield f"it was stopped early ({stopped})"
    yield from _of_rows(run, settings)


def _of_rows(run: RunData, settings: Settings) -> Iterator[str]:
    rows, known = training_rows.rows_of(settings), (run.environment.get("dataset") or {}).get("training_rows")
    if rows is None:
        yield "its rows cannot be read: `grpo-job check` with the same settings says why"
    elif rows.digest != known:
        yield f"other rows (digest {rows.digest[:12]}, but was {str(known)[:12]})"
