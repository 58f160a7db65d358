"""The environment as launchers leave it: empty variables, carriage returns, quotes, `export NAME`, lower case. Pure.

What is certain is repaired, and told if it changes a value; what is not is refused by name. Values of `GRPO_*` are
checked by `reader.py`, which knows what they mean.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

PREFIX = "GRPO_"
PROSE = ("system_prompt", "sample_prompts", "example")  # settings in which quotes may belong to the text
# Variables that this job or its libraries read.
LIBRARIES = re.compile(
    r"(HF|HUGGING_?FACE|AWS|WANDB|MLFLOW|TRACKIO|OPENAI|TRANSFORMERS|TOKENIZERS|VLLM|UNSLOTH|TRITON|TORCH|PYTORCH|NCCL"
    r"|CUDA|PET|XDG)_\w+|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|HOME|TMPDIR|(LOCAL_)?(RANK|WORLD_SIZE)"
    r"|MASTER_(ADDR|PORT)|(?i:(HTTPS?|ALL|NO)_PROXY)"
)
MEANT_WHEN_EMPTY = re.compile(
    r"CUDA_VISIBLE_DEVICES|(?i:\w+_PROXY)"
)  # no GPU; no proxy whatever the other spelling says
# Parsed when a library is imported.
NUMBERS = {
    "HF_HUB_ETAG_TIMEOUT": r"[0-9]{1,9}",
    "HF_HUB_DOWNLOAD_TIMEOUT": r"[0-9]{1,9}",
    "HF_DATASETS_IN_MEMORY_MAX_SIZE": r"[0-9.]{1,30}",
}
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"  # byte-order mark, zero-width characters
QUOTES = "\"'`\u2018\u2019\u201c\u201d"
OPENED_BY = {"\u2018": "\u2019", "\u201c": "\u201d"}
SHELL_WORDS = re.compile(r"^(export|set|setenv|declare -x|-e|-)\s+", re.IGNORECASE)
UNEXPANDED = re.compile(r"\$\{\w+\}|\$\(\w+\)|\{\{.*\}\}")
KEY = re.compile(r"(?<!AUTHORIZATION)_(TOKEN|SECRET|API_?KEY|ACCESS_KEY(_ID)?)$")  # one word; a password may be several
SERVICE_LINK = r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"


class Tidied(NamedTuple):
    """The environment to use, a sentence for each variable that cannot be used, and one for each that was changed."""

    environment: dict[str, str]
    faults: list[str]
    warnings: list[str]


def tidied(environment: Mapping[str, str]) -> Tidied:
    """Repair what is certain; the rest are faults. A secret's value is in no sentence."""
    found = Tidied({}, [], [])
    links = _service_links(environment)
    if links:
        found.warnings.append(
            f"{', '.join(links)}: set by Kubernetes for a Service and ignored: set enableServiceLinks: false in the pod"
        )
    for name, raw in environment.items():
        value = _decoded(raw)
        if name in links:
            continue
        if name.startswith(PREFIX) and _meant(name) == name.upper():
            found.environment[name] = value
            if name.removeprefix(PREFIX).lower() in PROSE and _bare(value)[1]:
                found.warnings.append(f"{name}: the quotes around its value are kept as a part of the text")
        elif LIBRARIES.fullmatch(name):
            _keep(name, value, found)
        else:
            _judge_name(name, environment, found)
            if not name.startswith(PREFIX):
                found.environment[name] = value
    return found


def unusable(text: str, *, is_prose: bool = False) -> str | None:
    """What a launcher left in the value of a setting, with the cure; None if nothing. Prose may hold anything readable.

    >>> unusable('"sample"')
    'it has a quote around it, as `docker --env-file` leaves it; remove it'
    >>> unusable("sample"), unusable('say "yes"', is_prose=True)
    (None, None)
    """
    if not _is_unicode(text):
        return "it holds bytes that are not UTF-8; write it as UTF-8"
    if is_prose:
        return None
    if text.strip(QUOTES) != text:
        return "it has a quote around it, as `docker --env-file` leaves it; remove it"
    if odd := next((letter for letter in text if not letter.isprintable() and letter not in "\n\t"), None):
        return f"it holds the invisible character U+{ord(odd):04X}; remove it"
    if reference := UNEXPANDED.search(text):
        return f"{reference[0]} was not replaced by its value; write the value itself"
    return None


def _keep(name: str, raw: str, found: Tidied) -> None:
    """A library's variable: without what surrounds its value, unless nothing is left."""
    value, quoted = (raw.rstrip("\r\n"), False) if "PASSWORD" in name else _bare(raw)
    if quoted:
        found.warnings.append(f"{name}: the quotes around its value were removed: remove them where it is set")
    if value or MEANT_WHEN_EMPTY.fullmatch(name):
        found.environment[name] = value
    if value and (why := _fault_of(name, value)):
        found.faults.append(f"{name}: {why}")


def _fault_of(name: str, value: str) -> str | None:
    if not _is_unicode(value):
        return "its value holds bytes that are not UTF-8; write it as UTF-8"
    if KEY.search(name):
        return _fault_of_key(value)
    if odd := next((letter for letter in value if not letter.isprintable()), None):
        return f"its value holds the invisible character U+{ord(odd):04X}; remove it"
    if name in NUMBERS and not re.fullmatch(NUMBERS[name], value):
        return f"{value!r} was given; allowed: a number"
    return None


def _fault_of_key(value: str) -> str | None:
    """Keys and tokens are sent in headers: one word of ASCII."""
    cure = "copy the key itself again"
    if UNEXPANDED.search(value) or value.startswith("$"):
        return f"its value (not shown) is a reference that was not replaced; {cure}"
    if any(letter.isspace() for letter in value):
        return f"its value (not shown) holds a space or a line break; {cure}"
    if not (value.isascii() and value.isprintable()):
        return f"its value (not shown) holds a character that is in no key; {cure}"
    if value.strip(QUOTES) != value:
        return f"its value (not shown) has a quote at one end; {cure}"
    return None


def _bare(text: str) -> tuple[str, bool]:
    """The text without white space, invisible characters and one pair of quotes around it; whether it had quotes."""
    inner = _stripped(text)
    if len(inner) > 1 and inner[0] in QUOTES and inner[-1] == OPENED_BY.get(inner[0], inner[0]):
        return _stripped(inner[1:-1]), True
    return inner, False


def _stripped(text: str) -> str:
    while (shorter := text.strip().strip(INVISIBLE)) != text:
        text = shorter
    return text


def _judge_name(name: str, environment: Mapping[str, str], found: Tidied) -> None:
    """A name that nobody reads, though it is nearly one that is read, would be ignored without a word."""
    meant = _meant(name)
    if meant == name:
        return
    if meant.startswith(PREFIX):
        found.faults.append(f"{name!r} is set, but no setting is read from this name; write {meant}")
    elif LIBRARIES.fullmatch(meant) and meant not in environment:
        found.warnings.append(f"{name!r} is set, but nothing reads this name: write {meant}")


def _meant(name: str) -> str:
    r"""The name as it is read.

    >>> _meant("export HF_TOKEN"), _meant("\ufeffgrpo_max_steps"), _meant("GRPO-MAX-STEPS")
    ('HF_TOKEN', 'GRPO_MAX_STEPS', 'GRPO_MAX_STEPS')
    """
    bare = SHELL_WORDS.sub("", _stripped(name).strip(QUOTES))
    return re.sub(r"[-. ]", "_", _stripped(bare).strip(QUOTES)).upper()


def _decoded(text: str) -> str:
    """In a locale of ASCII, Python reads UTF-8 as bytes of an unknown kind; what is no UTF-8 stays as it is."""
    try:
        return text if _is_unicode(text) else text.encode(errors="surrogateescape").decode()
    except UnicodeError:
        return text


def _is_unicode(text: str) -> bool:
    """Python keeps bytes that are not UTF-8 as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _service_links(environment: Mapping[str, str]) -> Iterable[str]:
    """The variables that Kubernetes sets for Services whose names begin with `grpo`; a number is a user's own port."""
    ends = "_SERVICE_HOST"
    services = [name.removesuffix(ends) for name in environment if name.startswith(PREFIX) and name.endswith(ends)]
    return [
        name
        for name, value in environment.items()
        if any(re.fullmatch(re.escape(service) + SERVICE_LINK, name) for service in services)
        and not (name == "GRPO_METRICS_PORT" and value.isdecimal())
    ]
