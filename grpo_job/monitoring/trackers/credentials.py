"""Whether a tracker could log in, as far as that is known without importing its package or asking its server."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

NEEDS_NO_KEY = ("offline", "dryrun", "disabled")
KEY = re.compile(r"([^-]*-)?[\w-]{40,}|[\w-]+\.[\w-]+\.[\w-]+")  # what wandb itself accepts
CURE = "set WANDB_API_KEY, or WANDB_MODE=offline to keep its files in the run folder"


def faults(names: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """A sentence for each tracker that could not log in."""
    found = _fault_of_wandb(environment) if "wandb" in names else ""
    return [f"GRPO_REPORT_TO: 'wandb' was given; {found}: {CURE}"] if found else []


def _fault_of_wandb(environment: Mapping[str, str]) -> str:
    key = environment.get("WANDB_API_KEY", "").strip()
    if environment.get("WANDB_MODE", "").strip().lower() in NEEDS_NO_KEY:
        return ""
    if key:
        return "" if KEY.fullmatch(key) else "WANDB_API_KEY is not an API key, which has 40 or more letters and digits"
    if environment.get("WANDB_IDENTITY_TOKEN_FILE") or any(map(_says, _files(environment), _hints(environment))):
        return ""
    return "it has no API key"


def _files(environment: Mapping[str, str]) -> list[Path]:
    """Where `wandb login` keeps a key, then where its settings may name a mode or a key."""
    home = Path("~").expanduser()
    config = Path(environment.get("WANDB_CONFIG_DIR") or home / ".config" / "wandb")
    netrc = Path(environment["NETRC"]).expanduser() if environment.get("NETRC") else home / ".netrc"
    return [netrc, home / "_netrc", config / "settings", Path("wandb") / "settings"]


def _hints(environment: Mapping[str, str]) -> list[str]:
    host = urlsplit(environment.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    return [re.escape(host), re.escape(host), *[r"(?m)^\s*(mode|api_key)\s*="] * 2]


def _says(path: Path, pattern: str) -> bool:
    try:
        return bool(re.search(pattern, path.read_text(encoding="utf-8", errors="ignore")))
    except OSError:
        return False
