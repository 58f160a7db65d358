"""Command line, environment and recipe -> settings and the origin of each, or every fault at once.

Order: command line, then environment, then recipe, then default. No fault hides another: all
are collected, each with the variable's name, what was given and what is allowed.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from grpo_job import grpo_config, settings_checks
from grpo_job.failures import Refused
from grpo_job.recipes import RECIPES
from grpo_job.settings import Settings, known_names, variable

PREFIX = "GRPO_"
# A recipe's dataset brings these along; another dataset does not inherit them.
COMPANIONS = {"dataset": ("dataset_config", "dataset_split", "dataset_revision", "eval_dataset", "eval_split")}
SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "KEY")


class Resolved(NamedTuple):
    """Settings, and for each name where its value came from."""

    settings: Settings
    origins: dict[str, str]


def resolve(environment: Mapping[str, str], command_line: Mapping[str, str] | None = None) -> Resolved:
    """Read all settings. Raises `Refused` with every fault found.

    `environment` may hold anything; only `GRPO_*` is looked at. `command_line` maps field
    names (`max_steps`) to text.
    """
    given = _given(environment, command_line or {})
    faults = [fault for name, (_, text) in given.items() if (fault := _refuse_name(name, text))]
    known = {name: item for name, item in given.items() if not _refuse_name(name, item[1])}
    recipe = known.get("recipe", ("default", "gsm8k"))[1]
    if recipe not in RECIPES:
        faults.append(_fault("recipe", recipe, f"allowed: {', '.join(RECIPES)}"))
    layers = {**_recipe_layer(RECIPES.get(recipe, {}), known, recipe), **known}
    values, parse_faults = _parse(layers)
    faults += parse_faults
    settings = None
    try:
        settings = Settings(**values)
    except ValidationError as error:
        faults += _explain(error.errors(), layers)
    if settings is not None:
        faults += settings_checks.conflicts(settings)
    if faults or settings is None:
        raise Refused(*dict.fromkeys(faults))
    return Resolved(settings, {name: layers[name][0] if name in layers else "default" for name in known_names()})


def _given(environment: Mapping[str, str], command_line: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Field name -> (origin, text); an empty variable counts as not given, as in a shell."""
    from_environment = {
        key.removeprefix(PREFIX).lower(): ("environment", text)
        for key, text in sorted(environment.items())
        if key.startswith(PREFIX) and (text != "" or key == "GRPO_SYSTEM_PROMPT")
    }
    return {**from_environment, **{name: ("command line", text) for name, text in command_line.items()}}


def _refuse_name(name: str, text: str) -> str | None:
    """Why a variable of this name is not accepted, or None."""
    if name in grpo_config.OWNED:
        return _fault(name, text, f"the job decides this itself; use instead: {grpo_config.OWNED[name]}")
    if name in known_names():
        return None
    near = difflib.get_close_matches(name, known_names(), n=1, cutoff=0.6)
    hint = f"did you mean {variable(near[0])}?" if near else "`grpo-job check` prints the names there are"
    return _fault(name, text, f"no setting has this name; {hint}")


def _recipe_layer(
    recipe: Mapping[str, Any], given: Mapping[str, tuple[str, str]], name: str
) -> dict[str, tuple[str, Any]]:
    dropped = {follower for leader, followers in COMPANIONS.items() if leader in given for follower in followers}
    return {field: (f"recipe {name}", value) for field, value in recipe.items() if field not in dropped}


def _parse(layers: Mapping[str, tuple[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Values for `Settings`; GRPOConfig's further options are typed here and put under `grpo_config`."""
    values: dict[str, Any] = {}
    further: dict[str, Any] = {}
    faults: list[str] = []
    for name, (_, text) in layers.items():
        if name in Settings.model_fields:
            values[name] = None if text == "none" and _may_be_none(name) else text
            continue
        try:
            further[name] = grpo_config.parse(name, text)
        except ValidationError as error:
            faults += [_fault(name, text, _allowed(detail)) for detail in error.errors()[:1]]
    return {**values, "grpo_config": further}, faults


def _may_be_none(name: str) -> bool:
    return Settings.model_fields[name].default is None


def _explain(errors: Iterable[ErrorDetails], layers: Mapping[str, tuple[str, Any]]) -> list[str]:
    """One sentence a field: the branches of a union (`auto` or a number) become alternatives."""
    allowed: dict[str, list[str]] = {}
    for error in errors:
        allowed.setdefault(str(error["loc"][0]), []).append(_allowed(error))
    return [_fault(name, layers[name][1], " or ".join(dict.fromkeys(ways))) for name, ways in allowed.items()]


def _allowed(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"it must be {message.removeprefix('be ')}" if not message.startswith("name ") else f"it must {message}"


def _fault(name: str, text: Any, why: str) -> str:
    secret = any(word in name.upper() for word in SECRET_WORDS)
    return f"{variable(name)}: {'a value (not shown)' if secret else repr(text)} was given; {why}"
