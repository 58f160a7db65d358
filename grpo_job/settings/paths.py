"""Finds settings that no file system can take: a `~` without a home folder, names that are too long, NUL."""

from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import unquote

from grpo_job.settings.schema import Settings, variable

LONGEST_NAME, LONGEST_PATH = 255, 4000  # bytes; Linux takes 4,095 for a path, and files are made below it
FIELDS = (
    "output_dir", "cache_dir", "reward_path", "termination_log", "model", "dataset", "eval_dataset", "chat_template",
)  # fmt: skip
WRITTEN = ("output_dir", "cache_dir")
SHOWN = 60  # characters of a value


def faults(settings: Settings, wrong: Collection[str] = ()) -> list[str]:
    """One sentence for each path that cannot be used, also of a default; `wrong` fields are skipped."""
    return [
        f"{variable(field)}: {_shown(text)} was given; {why}"
        for field, text, path in _paths(settings)
        if field not in wrong and (why := fault_of(path) or (_fault_of_start(path) if field in WRITTEN else None))
    ]


def fault_of(path: str) -> str | None:
    """Why this path can name no file, with the cure; None if it can."""
    if "\0" in path:
        return "it holds a NUL character; remove it"
    longest = max(len(name.encode(errors="surrogateescape")) for name in path.split("/"))
    if longest > LONGEST_NAME:
        return f"it has a name of {longest} bytes; allowed: at most {LONGEST_NAME}"
    if len(path.encode(errors="surrogateescape")) > LONGEST_PATH:
        return f"it is longer than {LONGEST_PATH} bytes; use a shorter path"
    try:
        Path(path).expanduser()
    except RuntimeError:
        user = path.split("/")[0].removeprefix("~")
        if user:
            return f"there is no user {user!r} whose home folder it could be in; use a path that begins with /"
        return "HOME is not set, and this user has no home folder; set HOME, or use a path that begins with /"
    return None


def _fault_of_start(path: str) -> str | None:
    """A relative path needs the folder in which the process was started."""
    try:
        Path.cwd()
    except OSError as error:
        if not path.startswith(("/", "~")):
            return f"the folder that this process was started in is gone ({error.strerror}); use a path from /"
    return None


def _paths(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Field, value, and the path in it."""
    for field in FIELDS:
        text = getattr(settings, field)
        if text and "://" not in text:
            yield field, text, text
    for uri in (*settings.publish_to, settings.checkpoint_to):
        if uri and uri.startswith("file://"):
            field = "checkpoint_to" if uri == settings.checkpoint_to else "publish_to"
            yield field, uri, unquote(uri.removeprefix("file://"))


def _shown(text: str) -> str:
    return repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r}..."
