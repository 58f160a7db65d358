"""Finds the values of secrets: in variables, in the files that they name, in the clients' own files, in addresses."""

import json
import re
from collections.abc import Iterator, Mapping
from os.path import isfile  # no pipe, nothing endless; of any text, where Path raises for some
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from grpo_job.settings.redaction.spellings import Spelling

NAMED = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|BEARER|AUTHORIZATION|COOKIE|SIGNATURE|[a-z]_PWD$"
    r"|(?:^|_)(?:PASS|PAT|SAS|JWT|(?:API_?|ACCESS_?|PRIVATE_?)?KEY)(?:_|$)|API_?KEY",
    re.IGNORECASE,
)
# Of a file of secrets, what is none: it occurs in texts, and people must read it.
PUBLIC = re.compile(
    r"(?:.*_)?(?:region|output|type|profile|credential_source|expir\w*|expires_at|user(?:name)?|login|machine"
    r"|account_?id|client_id|project_id|\w*email|\w*domain|\w*ur[il]|\w*arn|scope|format|version)",
    re.IGNORECASE,
)
# Of the address of a webhook what follows the host is secret.
HOOK = re.compile(r"HOOK|NOTIF|SLACK", re.IGNORECASE)
SHORTEST = 8  # shorter values occur in texts by chance
SHORTEST_PART = 16  # of a path, whose other parts are words such as `services`
LARGEST = 1 << 20  # bytes of a file of secrets
# A secret is recognized by its shape, whatever variable or text it is in.
SHAPES = tuple(
    Spelling(anchor, pattern)
    for anchor, pattern in (
        ("hf_", r"\bhf_[A-Za-z0-9]{16,}"),
        ("AKIA", r"\bAKIA[0-9A-Z]{16}"),
        ("ASIA", r"\bASIA[0-9A-Z]{16}"),
        ("wandb_v1_", r"\bwandb_v1_\w{16,}"),
        ("sk-", r"\bsk-[\w-]{20,}"),
        ("ghp_", r"\bghp_[A-Za-z0-9]{20,}"),
        ("github_pat_", r"\bgithub_pat_\w{20,}"),
        ("hooks.slack.com/", r"(?<=hooks\.slack\.com/)\w[\w/]{20,}"),
        ("/api/webhooks/", r"(?<=/api/webhooks/)\d+/[\w-]{20,}"),
        ("glpat-", r"\bglpat-[\w-]{16,}"),
        ("eyJ", r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
        ("PRIVATE KEY-----", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
    )
)
IN_ADDRESS = Spelling("://", r"(?<=://)[^\s/@\"'<>]*:[^\s/@\"'<>]+(?=@)")
ADDRESS = re.compile(r"[a-z][\w+.-]*://([^\s\"'<>]+)", re.IGNORECASE)
ENTRY = re.compile(r"""\s*(?:-\s+|export\s+)?["']?([\w.-]+)["']?\s*[=:]\s*(.*?)\s*""")
NETRC = re.compile(r"\b(?:password|account)\s+(\S+)")


def secret_values(environment: Mapping[str, str]) -> list[str]:
    """Every value that no output may hold, the longest first."""
    found = {value for name, given in environment.items() for value in _of_variable(name, given)}
    for path in _files_of_clients(environment):
        content = _read(path)
        found.update(NETRC.findall(content) if "netrc" in path.name else _of_content(content))
    stripped = {value.strip().strip("\"'") for value in found}
    return sorted((value for value in stripped if len(value) >= SHORTEST), key=lambda value: (-len(value), value))


def passwords(text: str) -> Iterator[str]:
    """The passwords of the addresses in `text`, as written and decoded: `scheme://user:HERE@host`, `?token=HERE`.

    >>> list(passwords("s3 is http://me:pass%21word@host/bucket?x=1&token=abc"))
    ['pass%21word', 'pass!word', 'abc', 'abc']
    """
    for address in ADDRESS.findall(text):
        place = re.split(r"[/?#]", address, maxsplit=1)[0]
        if "@" not in place and re.search(r":(?!\d*$)", place):  # the password has a slash or a question mark
            place = address
        user, is_user, _ = place.rpartition("@")
        found = [user.partition(":")[2] or (user if len(user) > 2 * SHORTEST else "")] if is_user else []
        found += [value for name, value in re.findall(r"[?&;]([^=&#]+)=([^&#]+)", address) if NAMED.search(name)]
        for password in filter(None, found):
            yield password
            yield unquote(password)


def _of_variable(name: str, given: str) -> Iterator[str]:
    yield from passwords(given)
    yield from (match for shape in SHAPES for match in shape.pattern.findall(given))
    reader = _of_hook if HOOK.search(name) else _of_content if NAMED.search(name) else None
    if reader is None:
        return
    names_file = name.upper().endswith(("_FILE", "_PATH"))
    path = _at_home(given.strip()) if names_file or given.strip().startswith(("/", "~", ".")) else None
    if path and len(given) < 4096 and isfile(path):  # noqa: PTH113
        yield from reader(_read(path))
    elif not names_file or "://" in given:  # an address where its file should be is as secret
        yield from reader(given)


def _of_hook(text: str) -> Iterator[str]:
    """What follows the host in each address of `text`: as a whole, its long parts, and passwords.

    >>> sorted(set(_of_hook("https://hooks.example.com/services/T0/0123456789abcdef")))
    ['/services/T0/0123456789abcdef', '0123456789abcdef']
    """
    yield from passwords(text)
    for place in ADDRESS.findall(text):
        behind = re.sub(r"^[^/?#]*", "", place)
        yield behind
        yield unquote(behind)
        yield from (part for part in re.split(r"[/?&=#;]", behind) if len(part) >= SHORTEST_PART)


def _files_of_clients(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where the Hub's client, boto3, wandb, MLflow and curl look for credentials that no variable names."""
    home = _at_home(environment.get("HOME") or "~")
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    hub = _at_home(environment.get("HF_HOME") or str(cache / "huggingface"))
    aws = home / ".aws"
    places = [
        *(hub / name for name in ("token", "stored_tokens")),
        *(home / name for name in (".huggingface/token", ".netrc", "_netrc", ".mlflow/credentials")),
        *(aws / name for name in ("credentials", "config")),
        *(_at_home(environment[name]) for name in ("NETRC", "AWS_CONFIG_FILE") if environment.get(name)),
        Path(environment.get("WANDB_CONFIG_DIR") or config / "wandb") / "settings",
        config / "wandb" / "credentials.json",
        config / "gcloud" / "application_default_credentials.json",
    ]
    for folder in (aws / "sso" / "cache", aws / "cli" / "cache"):
        try:
            places += sorted(folder.glob("*.json"))
        except OSError:  # no such folder, or not ours to read: then it is no client's either
            continue
    yield from filter(isfile, places)


def _at_home(path: str) -> Path:
    """With `~` replaced; as it is for a user or a home that there is not, where no client finds anything either."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST).decode(errors="surrogateescape")
    except OSError:  # what this user cannot read, no client reads
        return ""


def _of_content(content: str) -> Iterator[str]:
    """The text as a whole; each line; each value of an ini, YAML or JSON file that is not public by its key."""
    try:
        parsed = json.loads(content) if content.lstrip().startswith(("{", "[")) else None
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict | list):
        yield from _of_json(parsed)
        return
    yield content
    yield from passwords(content)
    for line in content.splitlines():
        if entry := ENTRY.fullmatch(line):
            if PUBLIC.fullmatch(entry[1]):
                continue
            yield entry[2]
        if not re.match(r"\s*(?:[#;]|\[.*\]\s*$|-----)", line):
            yield line


def _of_json(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for key, each in value.items():
                if not (isinstance(each, str) and PUBLIC.fullmatch(key)):
                    yield from _of_json(each)
        case list():
            for each in value:
                yield from _of_json(each)
        case str():
            yield from _of_content(value)
