"""Files with keys that sign checkpoints (GRPO_CHECKPOINT_KEY_PATH) or ranks' words (GRPO_RANKS_KEY_PATH).

The key itself is never kept in settings.
"""

from pathlib import Path

from grpo_job.settings import plain_files
from grpo_job.settings.redaction.redactor import REDACTOR

SHORTEST, LONGEST = 32, 4096  # bytes


def read(path: str) -> bytes:
    """The key, without white space around it; from then on no output holds it.

    Raises `ValueError` if the file cannot be read or is no key.
    """
    try:
        key = plain_files.read_text(Path(path).expanduser(), LONGEST).strip().encode()
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error
    if len(key) < SHORTEST:
        raise ValueError(f"its key has {len(key)} bytes, at least {SHORTEST} are needed")
    REDACTOR.know([key.decode()])
    return key


def checked(path: str) -> str:
    """The path of a file that holds a key."""
    read(path)
    return path
