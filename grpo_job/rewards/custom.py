"""Loads a reward that lives outside this package, by dotted path or by file, and refuses what cannot be one.

It is imported and looked at here, before a GPU is paid for; it is first called in training.
"""

import ast
import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from grpo_job.evaluation.measure import READS_GOLDS, SHARES
from grpo_job.outcomes import STOPS, InvalidRun
from grpo_job.rewards import calling, exits, switches

RewardFunction = Callable[..., Any]
_CONTRACT = (
    "`def name(completion, answer, **columns) -> float | None`, or TRL's "
    "`def name(completions, **kwargs) -> list[float | None]`"
)


def short_name(path: str) -> str:
    """The function's own name, which its metrics get; of the names that decide the measure, the menu's rewards have it.

    >>> short_name("./my_rewards.py::brief"), short_name("my_rewards.brief"), short_name("correct")
    ('brief', 'brief', 'correct')
    >>> short_name("./my_rewards.py::correct")
    'own_correct'
    """
    name = path.rpartition("::")[2].rpartition(".")[2]
    is_own = name != path and not path.startswith("grpo_job.")
    return f"own_{name}" if is_own and name in READS_GOLDS | SHARES else name


def load(dotted_path: str, folder: Path | None) -> RewardFunction:
    """The function at `module.function`, its module looked for in `folder` first; or at `file.py::function`.

    A file is looked for where the job was started, then in `folder`.
    """
    module, name = _module_and_name(dotted_path, folder)
    if not hasattr(module, name):
        where = getattr(module, "__file__", None) or module.__name__
        raise InvalidRun(f"the reward {dotted_path!r} cannot be loaded: {where} has no {name!r}")
    function = getattr(module, name)
    if problem := _problem(function):
        raise InvalidRun(f"{dotted_path!r} is no reward: {problem}. A reward is {_CONTRACT}")
    return function  # type: ignore[no-any-return]  # checked above as far as Python can tell


def with_options(function: RewardFunction, name: str, options: Mapping[str, Any]) -> RewardFunction:
    """The function with its own parameters set. Raises `InvalidRun` for one that it does not have."""
    known = list(calling.parameters(function).values())
    own = [each.name for each in known[1:] if each.name not in (*calling.OF_THE_JOB, "prompts", "completions")]
    named = [each.name for each in known if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    if unknown := [option for option in options if option not in own or option not in named]:
        allowed = ", ".join(option for option in own if option in named) or "none, for it has no parameters of its own"
        raise InvalidRun(f"{name!r} was given the options {', '.join(unknown)}; allowed: {allowed}")
    return functools.partial(function, **options) if options else function


def module_of(dotted_path: str, folder: Path | None) -> str:
    """The name of the module that the path of a loaded reward names."""
    return _module_and_name(dotted_path, folder)[0].__name__


def examples(function: RewardFunction, name: str, module: str) -> list[tuple[str, float | None]]:
    """`EXAMPLES` of the reward's module: pairs of a completion and what the reward is to pay for it.

    The module is the one that its path names, or else that in which the function is written. A dictionary by the
    name of the reward holds those of each. Raises `InvalidRun` for what is no such pair.
    """
    function = calling.without_options(function)
    modules = [sys.modules.get(each or "") for each in (module, getattr(function, "__module__", ""))]
    holder = next((each for each in modules if hasattr(each, "EXAMPLES")), None)
    found = getattr(holder, "EXAMPLES", ())
    if isinstance(found, Mapping):
        if unknown := [str(each) for each in found if not hasattr(holder, str(each))]:
            said = f"EXAMPLES of {getattr(holder, '__file__', None)} name {', '.join(unknown)}"
            raise InvalidRun(f"{said}; allowed: names that this file has, such as {name}")
        found = found.get(name, found.get(getattr(function, "__name__", name), ()))
    try:
        pairs = [(calling.text_of(completion), calling.number(paid)) for completion, paid in found]
    except (TypeError, ValueError, LookupError) as error:
        given = f"EXAMPLES of {getattr(holder, '__file__', None)} are {found!r}"
        raise InvalidRun(f"{given}; allowed: pairs of a completion and its pay, such as [('4', 1.0)]") from error
    return pairs


def _module_and_name(dotted_path: str, folder: Path | None) -> tuple[ModuleType, str]:
    """The module that the path names, and the name in it."""
    if folder is not None:
        _look_in(folder)
    file, double_colon, name = dotted_path.partition("::")
    if double_colon:
        return _from_file(file, dotted_path, folder), name
    if "/" in file or file.endswith(".py"):
        said = "it names no function of the file; allowed: a file as ./file.py::function"
        raise InvalidRun(f"the reward {dotted_path!r} cannot be loaded: {said}")
    module_name, _, name = dotted_path.rpartition(".")
    return _import(module_name, dotted_path, folder), name


def _look_in(folder: Path) -> None:
    if not folder.is_dir():
        raise InvalidRun(f"the folder of rewards {folder} is not there")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()


def _import(module_name: str, dotted_path: str, folder: Path | None) -> ModuleType:
    try:
        with exits.raised(), switches.apart():
            return importlib.import_module(module_name)
    except STOPS:
        raise
    except BaseException as error:  # another's code: whatever it raises is the cause to tell
        where = f" (looked in {folder} first)" if folder else ""
        cause = f"importing {module_name!r}{where} raised {exits.told(error)}"
        if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
            cause += "; allowed: a module that is installed or in GRPO_REWARD_PATH, or a file as ./file.py::function"
        raise InvalidRun(f"the reward {dotted_path!r} cannot be loaded: {cause}") from error


def _from_file(file: str, path: str, folder: Path | None) -> ModuleType:
    """The file as a module."""
    places = [Path(file).expanduser(), *([folder / file] if folder else [])]
    found = next((place.resolve() for place in places if place.is_file()), None)
    if found is None:
        raise InvalidRun(f"the reward {path!r} cannot be loaded: there is no file {file}")
    name = _name_of(found)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, found)
    if spec is None or spec.loader is None:
        raise InvalidRun(f"the reward {path!r} cannot be loaded: {file} is no Python file (its name ends in .py)")
    if taken := _taken_name(found):
        raise InvalidRun(f"the reward {path!r} cannot be loaded: {taken}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    beside = str(found.parent)
    sys.path.insert(0, beside)  # for helpers beside it
    try:
        with exits.raised(), switches.apart():
            spec.loader.exec_module(module)
    except STOPS:
        raise
    except BaseException as error:  # another's code: whatever it raises is the cause to tell
        del sys.modules[name]
        cause = f"importing {file!r} raised {exits.told(error)}"
        if isinstance(error, ImportError) and "relative import" in str(error):
            cause += (
                "; allowed: imports of files beside it without a dot, or the module of a package by its dotted path, "
                "with the folder of the package in GRPO_REWARD_PATH"
            )
        raise InvalidRun(f"the reward {path!r} cannot be loaded: {cause}") from error
    finally:
        sys.path.remove(beside)
    if beside not in sys.path:
        sys.path.append(beside)  # for those that its functions import; after all that the job itself imports
    return module


def _taken_name(file: Path) -> str:
    """Of the modules beside the file that it imports, one whose name another module has: it would get that one."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError):  # importing it tells the cause
        return ""
    imported = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imported += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    for name in dict.fromkeys(each.partition(".")[0] for each in imported):
        places = (file.parent / f"{name}.py", file.parent / name / "__init__.py")
        meant = next((place for place in places if place.is_file() and place != file), None)
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if meant and loaded and Path(loaded).resolve() != meant.resolve():
            return f"it imports {name}, a name that {loaded} has already; allowed: another name for {meant}"
    return ""


def _name_of(file: Path) -> str:
    """The module's own name if processes that it spawns find it by that, else one that no other module can hide."""
    with suppress(ImportError, ValueError):  # no module's name; or one that tells nothing of where it is from
        sys.path.append(str(file.parent))
        importlib.invalidate_caches()
        try:
            found = importlib.util.find_spec(file.stem) if file.stem.isidentifier() else None
        finally:
            sys.path.pop()
        if found and found.origin and Path(found.origin).resolve() == file:
            return file.stem
    return f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"


def _problem(function: object) -> str:
    """Why it cannot be called as a reward; empty when it can."""
    if not callable(function):
        return f"it is of type {type(function).__name__}, which cannot be called"
    try:
        known = calling.parameters(function)
    except (TypeError, ValueError) as error:
        return f"its parameters cannot be told ({error})"
    named = [each for each in known.values() if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    return "" if named else "it takes no completion"
