"""GRPO_NOTIFY_URL, or the file of GRPO_NOTIFY_URL_PATH: where the end of a run is posted to.

What follows the host is a secret, so settings keep the host only; the address is read again when it is used.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from grpo_job.settings import plain_files

NAME, PATH_NAME = "GRPO_NOTIFY_URL", "GRPO_NOTIFY_URL_PATH"
FORM = "one address such as https://hooks.example.com/services/..."
LONGEST = 4096  # characters
HIDDEN = "/..."


def shown(url: str) -> str:
    """The address without what may be secret: `https://host:port/...`. Raises `ValueError` if it has another form.

    >>> shown("https://hooks.slack.com/services/T0/B0/xyz"), shown("http://me:password@127.0.0.1:8000")
    ('https://hooks.slack.com/...', 'http://127.0.0.1:8000/...')
    """
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > LONGEST:
        raise ValueError("it holds a space, a line break or what is not ASCII, or is too long")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError("its host or port cannot be read") from error
    if parts.scheme not in ("http", "https"):
        raise ValueError("it does not begin with https:// or http://")
    if not host.strip(".") or port == 0:
        raise ValueError("it names no host, or port 0")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{HIDDEN}"


def file_checked(path: str) -> str:
    """The path of a file that holds an address. Raises `ValueError` if it cannot be read, or holds something else."""
    shown(_in_file(path))
    return path


def of(environment: Mapping[str, str]) -> str | None:
    """The address to post to; None if none is set. Raises `ValueError` if it cannot be read."""
    given, path = (_set(environment.get(name, "")) for name in (NAME, PATH_NAME))
    url = given or (_in_file(path) if path else None)
    if url:
        shown(url)
    return url


def _set(text: str) -> str:
    return "" if text.strip() == "none" else text.strip()


def _in_file(path: str) -> str:
    try:
        url = plain_files.read_text(Path(path).expanduser(), LONGEST).strip()
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error
    except RuntimeError as error:
        raise ValueError(f"{error}; use a path that begins with /") from error
    if not url:
        raise ValueError("the file is empty")
    return url
