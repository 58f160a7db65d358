"""Finds the values of secrets, and redacts them from text."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

NAMED = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|(?:^|_)(?:API_?|ACCESS_?)?KEY(?:_|$)", re.IGNORECASE)
SHORTEST = 8  # shorter values occur in texts by chance
HIDDEN = "[secret]"


def secret_values(environment: Mapping[str, str]) -> list[str]:
    """Values of variables named like secrets, and contents of the files that such variables name."""
    found = set()
    for name, value in environment.items():
        if not NAMED.search(name):
            continue
        if not name.endswith(("_FILE", "_PATH")):
            found.add(value)
        else:
            found.add(_content_of(value))
    return sorted((value for value in found if len(value) >= SHORTEST), key=len, reverse=True)


def _content_of(file: str) -> str:
    """The text of a file, empty if it cannot be read."""
    try:
        return Path(file).read_text(errors="ignore").strip() if Path(file).is_file() else ""
    except OSError:
        return ""


def redacted(text: str, secrets: Sequence[str]) -> str:
    """`text` with each secret replaced.

    >>> redacted("token hf_abcdefgh was refused", ["hf_abcdefgh"])
    'token [secret] was refused'
    """
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text
