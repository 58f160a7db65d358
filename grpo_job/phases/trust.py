"""What `grpo-job evaluate` and `publish` take from a run's folder: never what is run, opened or written to.

A run folder or published tree may come from anybody. Its numbers, texts, menu rewards and Hub ids are taken; code,
files, addresses and output places come from the caller, whoever made the tree: nothing in a tree can prove who did.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grpo_job.outcomes import InvalidRun
from grpo_job.rewards import MENU
from grpo_job.settings import plain_files, reader, text_files
from grpo_job.settings.schema import variable

# Where something is written, sent or looked for, and what switches a check off: the caller's, or the default.
NEVER = (
    "adapter", "allow_other_versions", "cache_dir", "checkpoint_key_path", "checkpoint_to", "config",
    "metrics_address", "metrics_port", "notify_url", "notify_url_path", "output_dir", "publish_private", "publish_to",
    "ranks_key_path", "report_to", "reward_path", "run_id", "termination_log",
)  # fmt: skip
REPOSITORIES = ("model", "dataset", "eval_dataset")
REVISIONS = ("model_revision", "dataset_revision")
TEXTS = ("example", "system_prompt", "sample_prompts")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w./-]*", re.ASCII)
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
NOT_OURS = (
    "it does not lie in GRPO_OUTPUT_DIR (also of GRPO_CONFIG, or --set output-dir=DIR), so the destinations in its "
    "settings are not used"
)
WITHOUT_NAMES = ("tokenizer.json", "vocab.json")  # of tokens, which may have any name
CODE = ("auto_map", "auto_mapping", "custom_pipelines")  # where Hugging Face's libraries name what they import
ASKS = "judge"  # it sends rows, completions and a key to an address in its options


def refuse_code_and_paths(told: Mapping[str, Any], place: Path) -> None:
    """Raises `InvalidRun`, naming each setting of `told` that the caller must give; `place` is where it was found."""
    faults = [*_rewards(told), *_repositories(told), *_texts(told)]
    if faults:
        raise InvalidRun(
            *(
                f"{variable(name)}: {place} names {_short(value)}, {why}, which is never taken from a folder; "
                f"set {variable(name)} yourself, to what you trust"
                for name, value, why in faults
            )
        )


def object_in(path: Path) -> dict[str, Any]:
    """The JSON object in a file of the tree; empty if the file is missing."""
    try:
        return plain_files.read_object(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidRun(f"{path} cannot be read: {error}; allowed: the file as the job wrote it") from error


def refuse_linked(folder: Path, names: Sequence[str]) -> None:
    """Raises `InvalidRun` for each of these files in `folder` that a link leads elsewhere."""
    root = os.path.realpath(folder)
    if linked := [name for name in names if os.path.realpath(f"{root}/{name}") != f"{root}/{name}"]:
        raise InvalidRun(f"{folder}: {', '.join(linked)} leads elsewhere by a link; put a copy there")


def refuse_code_in(adapter: Path) -> None:
    """Raises `InvalidRun` for each configuration beside an adapter that names code for whoever loads it."""
    for path in sorted(adapter.glob("*.json")):
        if path.name in WITHOUT_NAMES or not path.is_file():
            continue
        if named := [name for name in CODE if object_in(path).get(name)]:
            raise InvalidRun(f"{path} names code ({', '.join(named)}), which is neither run nor published: remove it")


def refuse_second_names(folder: Path) -> None:
    """Raises `InvalidRun` for a file that has another name elsewhere: a hard link may be to a private file."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_nlink > 1:
            raise InvalidRun(f"{path} is a hard link: what it holds may be another file's; put a copy there")


def is_own(run_folder: Path, environment: Mapping[str, str], assignments: Sequence[str] = ()) -> bool:
    """Whether a folder lies where this user's runs are written, GRPO_OUTPUT_DIR, and not by a link from there.

    `assignments`: those of `--set`.
    """
    outputs = reader.value_of("output_dir", environment, reader.assigned(assignments))
    return run_folder.resolve().parent == Path(outputs).expanduser().resolve()


def _rewards(told: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    names = [("rewards", name) for name in _names(told.get("rewards")) if not _on_the_menu(name)]
    measure = told.get("measure", "auto")
    if not _on_the_menu(measure) and not _matches(NAME, measure):  # a name alone means a reward that was chosen
        names.append(("measure", measure))
    options = told.get("reward_options")
    asks = isinstance(options, Mapping) and options.get(ASKS)
    return [
        *((field, name, "a reward that is not on the menu") for field, name in names),
        *([("reward_options", options, f"the address that {ASKS!r} sends rows to")] if asks else []),
    ]


def _on_the_menu(name: Any) -> bool:
    return isinstance(name, str) and name in MENU


def _names(rewards: Any) -> list[Any]:
    """Of pairs of a name and a weight; what is no list of them is one name, and refused."""
    if rewards is None:
        return []
    if not isinstance(rewards, list | tuple):
        return [rewards]
    return [pair[0] if isinstance(pair, list | tuple) and pair else pair for pair in rewards]


def _repositories(told: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    hub = [(name, told[name]) for name in REPOSITORIES if told.get(name) is not None]
    revisions = [(name, told[name]) for name in REVISIONS if told.get(name) is not None]
    return [
        *((name, value, "a place and no Hub id") for name, value in hub if not _is_hub_id(value)),
        *((name, value, "no revision") for name, value in revisions if not _matches(REVISION, value)),
    ]


def _is_hub_id(value: Any) -> bool:
    """A Hub id never means a folder here that happens to have its name, perhaps in the tree itself."""
    return value == "sample" or (_matches(HUB_ID, value) and not os.path.exists(value))  # noqa: PTH110 -- takes any text


def _texts(told: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    template = told.get("chat_template")
    files = [("chat_template", template)] if template not in (None, "plain") else []
    files += [(name, told[name]) for name in TEXTS if text_files.names_a_file(str(told.get(name) or ""))]
    return [(name, value, "the name of a file") for name, value in files]


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 200 else f"{shown[:200]}..."
