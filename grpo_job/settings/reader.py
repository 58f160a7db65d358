"""Reads settings from command line, environment, GRPO_CONFIG, recipe and defaults, in this order of precedence.

All faults are collected, each with the variable's name, the given value and what is allowed.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from grpo_job.outcomes import InvalidRun
from grpo_job.settings import checks, config_file, launchers, other_names, paths, primitives, trl_options
from grpo_job.settings.primitives import allowed_words
from grpo_job.settings.recipes import RECIPES
from grpo_job.settings.redaction.redactor import Redactor
from grpo_job.settings.redaction.secrets import NAMED, secret_values
from grpo_job.settings.schema import Settings, known_names, variable

# A recipe's value comes with these; a user's value does not inherit them.
COMPANIONS = {
    "dataset": (
        "dataset_config", "dataset_split", "dataset_revision", "eval_dataset", "eval_dataset_config", "eval_split",
    ),
    "eval_dataset": ("eval_dataset_config", "eval_split"),
}  # fmt: skip
SECRET = "notify_url"  # the one setting that is a secret: of the environment alone, and never kept as it was given
# Here empty is a value; elsewhere an empty variable counts as unset.
MAY_BE_EMPTY = ("system_prompt",)
LONGEST_SHOWN = 200
GIVEN = ("command line", "environment", "file ")  # how the origins of what the user gave begin

Layer = dict[str, tuple[str, Any]]  # field -> origin and value as it was given
FurtherCheck = Callable[[Settings], list[str]]


class Resolved(NamedTuple):
    """Settings, and the origin of each value."""

    settings: Settings
    origins: dict[str, str]


def resolve(
    environment: Mapping[str, str],
    command_line: Mapping[str, str] | None = None,
    further_checks: Sequence[FurtherCheck] = (),
) -> Resolved:
    """Read all settings. Raises `InvalidRun` with every fault found.

    Of `environment` only `GRPO_*` is read, the file that `GRPO_CONFIG` names, and the secrets, which no setting may
    hold; outputs are kept free of them by whoever reads a run's environment. `command_line` maps field names
    (`max_steps`) to text.
    """
    hidden = Redactor(secret_values(environment))
    given, faults = _given(environment, command_line or {}, hidden)
    recipe = given.get("recipe", ("default", "gsm8k"))[1]
    layers = {**_recipe_layer(RECIPES.get(recipe, {}), given, recipe), **given}
    settings, wrong = _build(layers, hidden)
    faults += [*wrong.values(), *_secrets_in(given, hidden)]
    faults += paths.faults(settings, wrong)
    if recipe in RECIPES:
        faults += checks.conflicts(settings, wrong)
    else:
        faults.append(_fault(hidden, "recipe", recipe, _near(recipe, RECIPES) + f"allowed: {', '.join(RECIPES)}"))
    faults += [fault for check in further_checks for fault in check(settings)]
    if faults:
        places = {name: origin for name, (origin, _) in given.items()}
        raise InvalidRun(*dict.fromkeys(config_file.located(fault, places) for fault in faults))
    return Resolved(settings, {name: layers[name][0] if name in layers else "default" for name in known_names()})


def value_of(field: str, environment: Mapping[str, str], command_line: Mapping[str, str]) -> str:
    """The text of one setting, whatever is wrong with the others; its default if it is not given."""
    given, _ = _given(environment, command_line, Redactor())
    return given[field][1] if field in given else str(Settings.model_fields[field].default)


def assigned(assignments: Sequence[str]) -> dict[str, str]:
    """The arguments of `--set`: `("max_steps=3",)` -> `{"max_steps": "3"}`; `GRPO_MAX_STEPS` and `max-steps` work too.

    Raises `InvalidRun` with each that has no value.
    """
    faults = [
        f"--set {text.partition('=')[0]}: no value was given; allowed: --set NAME=VALUE"
        for text in assignments
        if "=" not in text
    ]
    if faults:
        raise InvalidRun(*faults)
    pairs = [assignment.partition("=") for assignment in assignments]
    return {primitives.field(name): value for name, _, value in pairs}


def allowed(field: str) -> str:
    """The allowed values of a field, for messages."""
    info = Settings.model_fields[field]
    return allowed_words(info.annotation, info.metadata)


def _given(
    environment: Mapping[str, str], command_line: Mapping[str, str], hidden: Redactor
) -> tuple[Layer, list[str]]:
    """The values with a known name, and a fault for each unknown name."""
    ours = sorted(name for name in environment if name.startswith(launchers.PREFIX))
    in_file, faults = config_file.given(command_line.get("config") or environment.get("GRPO_CONFIG", ""))
    named = [
        *in_file,
        *((name.removeprefix(launchers.PREFIX), "environment", environment[name]) for name in ours),
        *((name, "command line", text) for name, text in command_line.items()),
    ]  # the last one counts
    given: Layer = {}
    for name, origin, text in named:
        field = name.lower()
        if fault := _fault_of_name(name, origin, text, hidden):
            faults.append(config_file.located(fault, {field: origin}))
        elif why := launchers.unusable(text.strip(), is_prose=field in launchers.PROSE):
            faults.append(config_file.located(_fault(hidden, field, text, why), {field: origin}))
        elif field in MAY_BE_EMPTY:
            given[field] = (origin, text.removesuffix("\r"))
        elif text.strip():
            given[field] = (origin, text.strip())
    return given, faults


def _fault_of_name(name: str, origin: str, text: str, hidden: Redactor) -> str | None:
    """Why a variable of this name is not accepted, or None."""
    field = name.lower()
    if origin == "environment" and name != name.upper():
        return _fault(hidden, name, text, f"names are in upper case: {variable(field)}", spelt=launchers.PREFIX + name)
    if field in trl_options.OWNED:
        return _fault(hidden, field, text, f"the job controls this option; use instead: {trl_options.OWNED[field]}")
    if field in known_names():
        return None
    if right := other_names.instead(field, known_names()):
        return _fault(hidden, field, text, f"no setting has this name; use instead: {right}")
    hint = _near(field, known_names(), variable) or "`grpo-job check --all` prints the allowed names"
    return _fault(hidden, field, text, f"no setting has this name; {hint.removesuffix('; ')}")


def _secrets_in(given: Layer, hidden: Redactor) -> list[str]:
    """A fault for each value that holds a secret: settings are shown, kept and published."""
    why = "a setting must not hold a secret; allowed: secrets in HF_TOKEN, AWS_*, OPENAI_API_KEY, ..."
    faults = [
        _fault(hidden, name, text, why)
        for name, (_, text) in given.items()
        if name != SECRET and hidden.refuses(str(text))
    ]
    origin, text = given.get(SECRET, ("environment", "none"))
    if origin != "environment" and text != "none":
        why = "it is a secret; allowed: the environment variable, or GRPO_NOTIFY_URL_PATH"
        faults.append(_fault(hidden, SECRET, "", why))
    return faults


def _near(word: str, words: Sequence[str] | Mapping[str, Any], spell: Callable[[str], str] = str) -> str:
    """`"did you mean ...?; "`, or nothing if no word is close."""
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean {spell(near[0])}?; " if near else ""


def _recipe_layer(recipe: Mapping[str, Any], given: Layer, name: str) -> Layer:
    dropped = {follower for leader, followers in COMPANIONS.items() if leader in given for follower in followers}
    return {field: (f"recipe {name}", value) for field, value in recipe.items() if field not in dropped}


def _build(layers: Layer, hidden: Redactor) -> tuple[Settings, dict[str, str]]:
    """Settings from all valid values, and a fault for each other field; GRPOConfig options go to `grpo_config`."""
    values: dict[str, Any] = {}
    further: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, (_, text) in layers.items():
        if name in Settings.model_fields:
            values[name] = None if text == "none" and Settings.model_fields[name].default is None else text
            continue
        try:
            further[name] = trl_options.parse(name, text)
        except ValidationError:
            wrong[name] = _fault(hidden, name, text, f"allowed: {trl_options.allowed(name)}")
    try:
        return Settings(**values, grpo_config=further), wrong
    except ValidationError as error:
        wrong |= _wrong_fields(error.errors(), layers, hidden)
    right = {name: value for name, value in values.items() if name not in wrong}
    return Settings(**right, grpo_config=further), wrong


def _wrong_fields(errors: Sequence[ErrorDetails], layers: Layer, hidden: Redactor) -> dict[str, str]:
    """One message per field; our own validators add their reason."""
    wrong = {}
    for error in errors:
        name = str(error["loc"][0])
        reason = f"{error['ctx']['error']}; " if error["type"] == "value_error" else ""
        if reason or name not in wrong:
            wrong[name] = _fault(hidden, name, layers[name][1], f"{reason}allowed: {allowed(name)}")
    return wrong


def _fault(hidden: Redactor, name: str, text: Any, why: str, *, spelt: str = "") -> str:
    return f"{spelt or variable(name)}: {_shown(hidden, name, text)} was given; {why}"


def _shown(hidden: Redactor, name: str, text: Any) -> str:
    """The value for a message: short, and never a secret."""
    if name == SECRET or (name not in known_names() and NAMED.search(name)) or hidden.value(text) != text:
        return "a value (not shown)"
    shown = repr(text)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}..."
