"""GRPO_EXAMPLE: a worked example in the format asked for, at the end of the system prompt."""

from pathlib import Path

from grpo_job.settings.plain_files import content_of

AUTO, OFF = "auto", "off"
LOOKS_LIKE_A_FILE = ("/", "./", "../", "~")

# A small model does not write tags that it was only told of.
WORKED = """For example, for the question "Tom has 3 apples and buys 4 more. How many has he?" respond:
<reasoning>
3 + 4 = 7
</reasoning>
<answer>
7
</answer>"""


def read(value: str) -> str:
    """The example itself: `value`, or what is in the file of that name. ValueError where it cannot be read."""
    short = value.strip()
    if "\n" in short or not (short.startswith(LOOKS_LIKE_A_FILE) or _is_file(short)):
        return short
    try:
        text = content_of(Path(short)).decode()
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"the file cannot be read: {error}") from error
    if not text.strip():
        raise ValueError("the file is empty")
    return text.strip()


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than the name of any file
        return False


def given(value: str) -> str:
    """The example that a setting gives; empty where the setting is `auto` or `off`."""
    return "" if value in (AUTO, OFF) else value


def joined(system_prompt: str, example: str) -> str:
    r"""The system message with the example; either may be empty.

    >>> joined("Use tags.\n", "For example ...")
    'Use tags.\n\nFor example ...'
    """
    if not example:
        return system_prompt
    return f"{system_prompt.rstrip()}\n\n{example.strip()}" if system_prompt.strip() else example.strip()
