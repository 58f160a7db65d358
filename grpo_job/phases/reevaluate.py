"""`grpo-job evaluate`: base and adapter on any rows, without training.

Takes an adapter folder, a run folder, or a downloaded published tree. Settings default to those of the run; the shape
of the LoRA is read from the weights.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from grpo_job import engines, preflight, rewards
from grpo_job.evaluation import verdict
from grpo_job.inputs import base_model, lora
from grpo_job.inputs.chat_template import Chat
from grpo_job.monitoring.library_log import libraries_write_to
from grpo_job.monitoring.progress import Progress
from grpo_job.outcomes import InvalidRun
from grpo_job.phases import evaluate, trust
from grpo_job.preflight.evaluation import measure_of
from grpo_job.preflight.resources import cannot_write
from grpo_job.run_folder import scratch
from grpo_job.run_folder.files import write_json, write_jsonl
from grpo_job.run_folder.paths import WEIGHTS, RunFolder, require_plain
from grpo_job.settings.example import AUTO, OFF
from grpo_job.settings.reader import COMPANIONS, GIVEN, Resolved
from grpo_job.settings.schema import Settings, variable

# Settings that matter only for training and publishing.
NOT_FOR_EVALUATION: dict[str, Any] = {
    "publish_to": (), "checkpoint_to": None, "report_to": (), "max_hours": None, "max_cost": None, "eval_steps": None,
    "keep": "last", "stop_at_accuracy": None, "per_device_train_batch_size": 4,
    "num_generations": 4, "gradient_accumulation_steps": 1, "steps_per_generation": None,
    "generation_batch_size": None, "warm_start_steps": 0, "adapter": None,
}  # fmt: skip
# Of a setting that the caller gives, what the tree says beside it does not hold.
FOLLOWERS = {**COMPANIONS, "model": ("model_revision",), "rewards": ("reward_options",)}


class Found(NamedTuple):
    """The adapter's folder, its PEFT config, the settings of its run, and the example that its prompts got.

    `place`: the file that the settings were found in.
    """

    adapter: Path
    config: dict[str, Any]
    told: dict[str, Any]
    example: str = ""
    place: Path = Path()


def find(path: Path) -> Found:
    """The adapter in `path`. Raises `InvalidRun` if there is none that this job can load."""
    adapter = lora.folder_in(path)
    require_plain(path)
    config = lora.config_in(adapter)
    trust.refuse_code_in(adapter)
    run = next((place for place in (path, path / "run", path.parent) if (place / "settings.json").is_file()), None)
    if run is None:
        return Found(adapter, config, {}, place=adapter / "adapter_config.json")
    if run == path.parent:  # which may hold much else, so only what is read there is looked at
        trust.refuse_linked(run, ("settings.json", "summary.json", "evaluation/evaluation.json"))
    shown, told = (
        trust.object_in(run / "summary.json").get("example"),
        trust.object_in(run / "settings.json").get("settings"),
    )
    example = shown.get("text", "") if isinstance(shown, dict) else ""
    return Found(adapter, config, told if isinstance(told, dict) else {}, str(example), run / "settings.json")


def settings_for(found: Found, resolved: Resolved) -> Settings:
    """The run's settings, overridden by the caller's, overridden by the shape of the weights.

    Raises `InvalidRun` for each that would be code or a path of the tree, and for what is no setting's value.
    """
    shape = lora.read(found.adapter)
    of_recipe = _said(resolved, "recipe") if resolved.origins["recipe"] != "default" else {}
    given = _said(resolved, *GIVEN)
    of_tree = _of_tree(found, given, of_recipe)
    layers = {
        **({} if found.told else resolved.settings.model_dump()),
        **{name: value for name, value in of_recipe.items() if name not in _followers(given)},
        **of_tree,
        **given,
        **NOT_FOR_EVALUATION,
        "grpo_config": _template_options(found.told, resolved),
        "lora_rank": shape.rank,
        "lora_alpha": shape.alpha,
        "lora_target_modules": shape.modules,
    }
    if layers.get("example", AUTO) == AUTO:
        layers["example"] = found.example or OFF
        of_tree["example"] = found.example
    trust.refuse_code_and_paths(of_tree, found.place)
    return _valid({name: value for name, value in layers.items() if name in Settings.model_fields}, found.place)


def _of_tree(found: Found, given: Mapping[str, Any], of_recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What the tree decides, because neither the caller nor the caller's recipe says it."""
    said = {*given, *of_recipe, *_followers(given), *trust.NEVER, *NOT_FOR_EVALUATION, "log_format"}
    taken = {name: value for name, value in found.told.items() if name not in said}
    if "model" not in given and (base := found.config.get("base_model_name_or_path")):
        taken |= {"model": base, "model_revision": found.config.get("revision")}
    return taken


def _followers(given: Mapping[str, Any]) -> set[str]:
    """Settings that come with another one, which the caller gave."""
    return {follower for leader, followers in FOLLOWERS.items() if leader in given for follower in followers}


def _valid(layers: Mapping[str, Any], place: Path) -> Settings:
    try:
        return Settings(**layers)
    except ValidationError as error:
        wrong = [f"{variable(str(each['loc'][0]))} ({each['msg']})" for each in error.errors(include_input=False)]
        raise InvalidRun(f"{place} holds what is no setting: {', '.join(wrong)}; set it yourself") from error


def _template_options(told: Mapping[str, Any], resolved: Resolved) -> dict[str, Any]:
    """Of GRPOConfig's options only those of the chat template change an answer; the caller's go over the run's."""
    name = "chat_template_kwargs"
    inherited = told.get("grpo_config")
    options = resolved.settings.grpo_config.get(name) or (
        inherited.get(name) if isinstance(inherited, Mapping) else None
    )
    return {name: options} if isinstance(options, dict) and options else {}


def _said(resolved: Resolved, *origins: str) -> dict[str, Any]:
    """The settings that came from one of these origins."""
    return {
        name: getattr(resolved.settings, name)
        for name, origin in resolved.origins.items()
        if origin.startswith(origins) and name in Settings.model_fields
    }


def reevaluate(path: Path, output: Path | None, resolved: Resolved, environment: Mapping[str, str]) -> dict[str, Any]:
    """Evaluate the base and the adapter in `path` on the held-out rows; write and return `verdict.judge`."""
    found = find(path)
    folder = _folder(path, output)
    if not output and folder.is_symlink():
        raise InvalidRun(f"--output: {folder} is a link, through which nothing is written; give the folder to write to")
    if why := cannot_write(folder):
        raise InvalidRun(f"--output: {folder} cannot be written: {why}; allowed: another folder")
    with scratch.temporary("evaluate") as place:
        settings = settings_for(found, resolved).model_copy(update={"output_dir": str(place)})
        judged = _judged(found, settings, folder, RunFolder(place), environment)
    write_json(folder / "settings.json", {"adapter": str(found.adapter), "settings": settings.model_dump(mode="json")})
    write_json(folder / "evaluation.json", judged)
    return judged


def written(path: Path, output: Path | None) -> str:
    """What `reevaluate` wrote, and where."""
    return f"written: {_folder(path, output)}: before.jsonl, after.jsonl, evaluation.json, settings.json"


def _folder(path: Path, output: Path | None) -> Path:
    return output or path.resolve().parent / f"{path.resolve().name}-evaluation"


def _judged(
    found: Found, settings: Settings, folder: Path, temporary: RunFolder, environment: Mapping[str, str]
) -> dict[str, Any]:
    progress = Progress(settings.log_format)
    with progress.phase("check", f"{found.adapter}: checking"):
        checked = preflight.check(settings, environment)
    with progress.phase("download", f"fetching {settings.model}"):
        base = base_model.fetch(settings.model, checked.base.commit or settings.model_revision)
    functions = rewards.as_trl_functions(checked.rewards, settings.reward_timeout_seconds)
    held_out, chat = checked.rows.held_out, Chat(base.folder, settings)
    with libraries_write_to(temporary.library_log):
        with progress.phase("load", f"loading {settings.model} with engine {checked.engine}"):
            engine = engines.build(
                checked.engine, settings, base, checked.rows.train, functions, temporary.checkpoints, checked.plan
            )
            engine.on_answers = progress.count
        with progress.phase("evaluate", f"evaluating base and adapter on {len(held_out)} rows"):
            before = evaluate.records(engine, "off", held_out, checked.rewards, settings, chat)
            engine.load_adapter(found.adapter / WEIGHTS)
            after = evaluate.records(engine, "on", held_out, checked.rewards, settings, chat)
        engine.close()
    write_jsonl(folder / "before.jsonl", before)
    write_jsonl(folder / "after.jsonl", after)
    measure, first = measure_of(settings, checked.rewards, held_out), _first_measure(found)
    judged = verdict.judge(before, after, measure)
    return judged if first in (None, measure.name) else verdict.chosen_afterwards(judged, first)


def _first_measure(found: Found) -> str | None:
    """What the run itself was judged by, from the evaluation beside its settings; None where there is none."""
    places = (RunFolder(place).verdict for place in (found.adapter / "run", found.adapter.parent))
    judged = next((trust.object_in(path) for path in places if path.is_file()), {}).get("measure")
    name = judged.get("name") if isinstance(judged, dict) else None
    return name if isinstance(name, str) else None


def lines(judged: Mapping[str, Any]) -> list[str]:
    """The verdict as a person reads it."""
    primary, measure = judged["primary"], judged["measure"]
    beside = (
        ("right in the answer block", "correct"),
        ("right, read anywhere", "correct_lenient"),
        ("format", "format"),
    )
    return [
        f"{measure['name']}: {_sides(primary, share=measure['share'])}",
        *(f"{name}: {_sides(judged[key])}" for name, key in beside if key in judged),
        f"{primary['gained']} gained, {primary['lost']} lost of {primary['rows']} rows, p = {primary['p_value']:.2g}",
        *judged["notes"],
        f"verdict{f' ({verdict.AFTERWARDS})' if 'instead_of' in measure else ''}: {judged['verdict']}",
    ]


def _sides(found: Mapping[str, Any], *, share: bool = True) -> str:
    form = ".1%" if share else ".3g"
    return ", ".join(
        f"{found[when]:{form}} ({found[f'{when}_interval'][0]:{form}} to {found[f'{when}_interval'][1]:{form}}) {when}"
        for when in ("before", "after")
    )
