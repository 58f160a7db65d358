"""Variables of the clients of Hub and S3 that they would fail on with an error of their own, tried as they use them.

Proxies, certificates, endpoints, token files and caches: each fault is one sentence with the variable and the cure.
"""

import codecs
import ipaddress
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from grpo_job.outcomes import InvalidRun
from grpo_job.settings.paths import fault_of
from grpo_job.settings.plain_files import content_of

Check = Callable[[str], str | None]

ENCODINGS = {
    codecs.BOM_UTF8: "a byte-order mark", codecs.BOM_UTF16_LE: "the encoding UTF-16",
    codecs.BOM_UTF16_BE: "the encoding UTF-16",
}  # fmt: skip
SAVE_AS = "save it as UTF-8 without a byte-order mark"
HTTP_PROXY = "allowed: http://host:port or https://host:port, or unset it"


def faults(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that a client would fail on. Values that may hold a password are not shown."""
    found = [
        f"{spelling}: {why}"
        for name, check in CHECKS.items()
        for spelling in ((name, name.lower()) if name.endswith("_PROXY") else (name,))
        if (value := environment.get(spelling, "").strip()) and (why := _tried(check, value))
    ]
    return [*found, *_hub_token(environment)]


def _tried(check: Check, value: str) -> str | None:
    try:
        return check(value)
    except (OSError, ValueError, RuntimeError) as error:  # a path that the file system does not take
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        return f"its value cannot be used ({reason}); correct it, or unset it"


def read_token(path: Path, variable: str) -> str:
    """The token in a file. Raises `InvalidRun` with the variable that names the file if it holds no token."""
    try:
        content = content_of(path)
    except OSError as error:
        raise InvalidRun(f"{variable}: {path} cannot be read ({error.strerror}): {_readable(error)}") from error
    for mark, what in ENCODINGS.items():
        if content.startswith(mark):
            raise InvalidRun(f"{variable}: {path} has {what}: {SAVE_AS}")
    try:
        token = content.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise InvalidRun(f"{variable}: {path} holds a character that is in no token: write the token again") from error
    if len(token.split()) > 1 or not token.isprintable():
        raise InvalidRun(f"{variable}: {path} holds more than one word: write only the token into it")
    return token


def _hub_token(environment: Mapping[str, str]) -> Iterator[str]:
    """The file that huggingface_hub reads where no variable holds the token."""
    if environment.get("HF_TOKEN", "").strip() or environment.get("HUGGING_FACE_HUB_TOKEN", "").strip():
        return
    given = environment.get("HF_TOKEN_PATH", "")
    home = environment.get("HF_HOME") or f"{environment.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    path = Path(os.path.expandvars(given or f"{home}/token"))
    if fault_of(str(path)):
        return  # the folder's own variable says so
    path = path.expanduser()
    try:
        if path.exists():
            read_token(path, "HF_TOKEN_PATH" if given else "HF_HOME")
    except InvalidRun as refusal:
        yield refusal.faults[0]
    except OSError as error:
        yield f"{'HF_TOKEN_PATH' if given else 'HF_HOME'}: {path} cannot be read ({error.strerror}): {_readable(error)}"


def _readable(error: OSError) -> str:
    if isinstance(error, IsADirectoryError | NotADirectoryError):
        return "name the file itself"
    return "let the job's user read it, or name another file"


def _proxy(value: str) -> str | None:
    """As httpx and urllib3 read it, which take a bare `host:port` as http."""
    try:
        found = urlsplit(value if "://" in value else f"http://{value}")
        port, host = found.port, found.hostname
    except ValueError:
        return f"its value (not shown) is no address of a proxy; {HTTP_PROXY}"
    if found.scheme in ("socks5", "socks5h"):
        missing = [name for name, module in SOCKS_PACKAGES.items() if find_spec(module) is None]
        cure = f"install {' and '.join(missing)}, or use a proxy that speaks HTTP; {HTTP_PROXY}"
        return f"a SOCKS proxy was given, which needs packages that are not installed: {cure}" if missing else None
    if found.scheme not in ("http", "https"):
        return f"the clients know no proxy of the kind {found.scheme}://; {HTTP_PROXY}"
    if not host or port == 0 or not host.isprintable() or " " in host:
        return f"its value (not shown) names no host; {HTTP_PROXY}"
    return None


SOCKS_PACKAGES = {"socksio": "socksio", "PySocks": "socks"}  # of httpx, and of urllib3


def _no_proxy(value: str) -> str | None:
    """As httpx reads it: IPv6 only as a bare address, without brackets and without a range."""
    import httpx

    entries = [part.strip() for part in value.split(",")]
    if "*" in entries:
        return None  # no proxy at all, whatever the others are
    for entry in entries:
        try:
            httpx.URL(_pattern(entry))
        except (httpx.InvalidURL, ValueError):
            return (
                f"{entry!r} is no host that the Hub's client can read; allowed: names, IPv4 addresses and ranges, and "
                "IPv6 addresses without brackets and without a range; remove it"
            )
    return None


def _pattern(entry: str) -> str:
    if "://" in entry:
        return entry
    try:
        address = ipaddress.ip_address(entry.split("/")[0])
    except ValueError:
        return f"all://{'' if entry.lower() == 'localhost' else '*'}{entry}"
    return f"all://[{entry}]" if address.version == 6 else f"all://{entry}"


def _certificates(value: str) -> str | None:
    path = Path(value)
    if path.is_dir():
        return None
    try:
        content_of(path)  # OpenSSL reads a device for ever
        ssl.create_default_context(cafile=value)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = "it is not PEM" if isinstance(error, ssl.SSLError | ValueError) else error.strerror
        return f"{value!r} cannot be used ({reason}); allowed: a file of CA certificates in PEM, or unset it"
    return None


def _certificate_folder(value: str) -> str | None:
    return None if Path(value).is_dir() else f"{value!r} is no folder; name one of CA certificates, or unset it"


def _url(value: str) -> str | None:
    try:
        found = urlsplit(value)
        good = found.scheme in ("http", "https") and found.hostname and found.port != 0
        host = found.hostname or ""
        host.encode("idna")
    except ValueError:
        good = False
    if good and " " not in host and max(map(len, host.split("."))) < 64:
        return None
    return "its value (not shown) is no address; allowed: http://host[:port] or https://host[:port]"


def _folder(value: str) -> str | None:
    path = os.path.expandvars(value)
    if why := fault_of(path):
        return f"{value[:60]!r} was given; {why}"
    place = Path(path).expanduser()
    try:
        above = next((folder for folder in (place, *place.parents) if folder.exists()), place)
    except OSError as error:
        return f"{value!r} cannot be used ({error.strerror}); let the job's user write there, or name another folder"
    return None if above.is_dir() else f"{value!r} is or lies below the file {above}; name a folder"


def _text_file(value: str) -> str | None:
    """A configuration or credentials file; one that is missing is as good as empty."""
    if why := fault_of(value):
        return f"{value[:60]!r} was given; {why}"
    path = Path(value).expanduser()
    try:
        content = content_of(path) if path.exists() else b""
    except OSError as error:
        return f"{path} cannot be read ({error.strerror}): {_readable(error)}"
    if what := next((what for mark, what in ENCODINGS.items() if content.startswith(mark)), ""):
        return f"{path} has {what}: {SAVE_AS}"
    try:
        content.decode()
    except UnicodeDecodeError:
        return f"{path} holds bytes that are not UTF-8: {SAVE_AS}"
    return None


def _token_file(value: str) -> str | None:
    return _text_file(value) or (None if Path(value).exists() else f"there is no file {value}: name one, or unset it")


def _whole_number(value: str) -> str | None:
    return None if value.isdecimal() and len(value) < 10 else f"{value!r} was given; allowed: a whole number"


CHECKS: dict[str, Check] = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _proxy),
    "NO_PROXY": _no_proxy,
    **dict.fromkeys(("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), _certificates),
    "SSL_CERT_DIR": _certificate_folder,
    **dict.fromkeys(
        ("HF_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "OPENAI_BASE_URL", "WANDB_BASE_URL"), _url
    ),
    **dict.fromkeys(("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "XDG_CACHE_HOME", "TMPDIR"), _folder),
    **dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), _text_file),
    "AWS_WEB_IDENTITY_TOKEN_FILE": _token_file,
    **dict.fromkeys(
        ("AWS_MAX_ATTEMPTS", "AWS_METADATA_SERVICE_TIMEOUT", "AWS_METADATA_SERVICE_NUM_ATTEMPTS"), _whole_number
    ),
}
