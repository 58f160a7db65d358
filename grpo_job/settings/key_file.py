"""GRPO_CHECKPOINT_KEY_PATH: the file with the key that signs checkpoints. The key itself is never kept in settings."""

from pathlib import Path

from grpo_job.settings import plain_files

SHORTEST, LONGEST = 32, 4096  # bytes


def read(path: str) -> bytes:
    """The key, without white space around it. Raises `ValueError` if the file cannot be read or is no key."""
    try:
        key = plain_files.read_text(Path(path).expanduser(), LONGEST).strip().encode()
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error
    if len(key) < SHORTEST:
        raise ValueError(f"its key has {len(key)} bytes, at least {SHORTEST} are needed")
    return key


def checked(path: str) -> str:
    """The path of a file that holds a key."""
    read(path)
    return path
