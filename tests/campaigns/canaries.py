"""Eight secrets, each where a client keeps it, and twelve ways to write one; and where they are found again."""

import base64
import html
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

HIDDEN = b"[secret]"
SECRETS = {
    "token": "hf_ofTheHubAbCdEfGhIjKlMnOpQr",
    "keys": "wJalr/XUtnFEMI+K7MDENGbPxRfiCY=EX",
    "default token": "hf_inTheDefaultFileStUvWxYzAbCd",
    "netrc": "0fedcba987654321netrc0123456789abcdef",
    "address": 'p@ss"word<in>&anAddress',
    "judge": "judge-key-%-WithPercent'Quoted",
    "account": "service\\account/PrivateKeyMaterial==",
    "two lines": "firstLineOfTheSecret\nsecondLineOfTheSecret",
}
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "with a newline": lambda text: f"{text}\n",
    "json": json.dumps,
    "json in json": lambda text: json.dumps(json.dumps(text)),
    "html": html.escape,
    "address": lambda text: quote(text, safe=""),
    "address in lower case": lambda text: _lowered(quote(text)),
    "repr": repr,
    "bytes": lambda text: repr(text.encode()),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of more": lambda text: base64.urlsafe_b64encode(f"me:{text}".encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
}


class Planting(NamedTuple):
    """One spelling of one secret."""

    secret: str
    spelling: str
    text: str


def plantings(secrets: Mapping[str, str] = SECRETS) -> list[Planting]:
    return [
        Planting(secret, spelling, spell(value))
        for secret, value in secrets.items()
        for spelling, spell in SPELLINGS.items()
    ]


def environment(home: Path) -> dict[str, str]:
    """Variables and files as clients, pods and users have them."""
    files = {
        "aws": f"[default]\naws_access_key_id = AKIDOFTHECAMPAIGN\naws_secret_access_key = {SECRETS['keys']}\n",
        ".cache/huggingface/token": f"{SECRETS['default token']}\n",
        ".netrc": f"machine api.wandb.ai\n  login user\n  password {SECRETS['netrc']}\n",
        "account.json": json.dumps({"type": "service_account", "private_key": SECRETS["account"]}),
    }
    for name, content in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content)
    return {
        "HOME": str(home),
        "HF_TOKEN": f"{SECRETS['token']}\n",
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "aws"),
        "MLFLOW_TRACKING_URI": f"https://user:{quote(SECRETS['address'], safe='')}@mlflow.example/api",
        "OPENAI_API_KEY": SECRETS["judge"],
        "GOOGLE_APPLICATION_CREDENTIALS": str(home / "account.json"),
        "DEPLOY_TOKEN": SECRETS["two lines"],
    }


def found(planted: list[Planting], outputs: Mapping[str, bytes]) -> Iterator[str]:
    """Which spelling of which secret is in which output, or the longest part of a secret that no spelling touches."""
    for name, content in outputs.items():
        for planting in planted:
            if planting.text.strip().encode() in content:
                yield f"{planting.secret}, {planting.spelling}, in {name}"
        for secret, value in SECRETS.items():
            if any(word.encode() in content for word in _words(value)):
                yield f"a part of {secret} in {name}"


def _words(value: str) -> list[str]:
    """Parts of at least ten letters and digits: the same in all spellings but base64 and hexadecimal."""
    return [word for word in "".join(c if c.isascii() and c.isalnum() else " " for c in value).split() if len(word) > 9]


def _lowered(quoted: str) -> str:
    first, *rest = quoted.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])


def files_below(folder: Path) -> dict[str, bytes]:
    """All files below a folder, and their names."""
    return {
        f"{folder.name}/{path.relative_to(folder)}": str(path.relative_to(folder)).encode() + b"\n" + path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
