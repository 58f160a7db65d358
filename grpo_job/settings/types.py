"""Types of values that only the job's own settings have: engines, rewards, addresses, trackers, schedules."""

import json
from functools import partial
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from grpo_job.settings import example, key_file, notify_url, schemes, text_files, trl_options
from grpo_job.settings.engines import ENGINES
from grpo_job.settings.primitives import (
    Allowed,
    AnyText,
    Auto,
    Bool,
    Fraction,
    NonNegative,
    Number,
    Positive,
    PositiveInt,
    Text,
    Words,
    each_once,
    split_commas,
)

NO_TEXT = ("none", "null", "off", "false", "no", "on", "true", "yes")


def _reward_pairs(value: Any) -> Any:
    """`"correct:2, ./mine.py::brief"` as `[("correct", "2"), ("./mine.py::brief", "1")]`."""
    return [_reward_pair(part) for part in split_commas(value)] if isinstance(value, str) else value


def _object(value: Any) -> Any:
    """JSON text, or the object that was read from one."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _reward_pair(part: str) -> tuple[str, str]:
    file, double_colon, function = part.rpartition("::")
    name, colon, weight = function.partition(":")
    return f"{file}{double_colon}{name}".strip(), weight.strip() if colon else "1"


def _whole_or_share(value: float) -> float:
    if value >= 1 and value != int(value):
        raise ValueError("a value from 1 is a number of steps and must be whole")
    return value


def _not_zero(value: int) -> int:
    if value == 0:
        raise ValueError("a run needs at least one step")
    return value


def _at_most(most: int, what: str, value: float) -> float:
    """Far above what any run does, and below what the sampler's 64 bits can count."""
    if value > most:
        raise ValueError(f"no run has more than {most} {what}")
    return value


def _text_not(words: tuple[str, ...], value: str) -> str:
    """A text for a prompt. A word by which people mean that there is none, or some, would be shown to the model."""
    if value.strip().lower() in (*NO_TEXT, *words) and value.strip() not in words:
        raise ValueError("this word is no text for a prompt")
    return value


def _example(value: str) -> str:
    return value if value in (example.AUTO, example.OFF) else text_files.read(value).strip()


def _known_engine(value: str) -> str:
    if value != "auto" and value not in ENGINES:
        raise ValueError("there is no such engine")
    return value


def _known_places(value: tuple[str, ...]) -> tuple[str, ...]:
    for number, uri in enumerate(value, 1):
        if not schemes.is_place(uri):
            raise ValueError(f"address {number} has none of these forms")
    return value


def _known_source(value: str) -> str:
    return _known_place(value) if "://" in value else value


def _known_place(value: str) -> str:
    return _known_places((value,))[0]


def _word_of(option: str, value: str) -> str:
    """Returns a word that GRPOConfig's `option` accepts."""
    if value not in trl_options.choices(option):
        raise ValueError("there is no such value")
    return value


def _words_of(option: str) -> Allowed:
    return Allowed(", ".join(trl_options.choices(option)))


SystemPrompt = Annotated[
    AnyText,
    AfterValidator(partial(_text_not, ())),
    AfterValidator(text_files.read),
    Allowed("any text, or a file that holds it; empty for none"),
]
SamplePrompts = Annotated[
    Text, AfterValidator(partial(_text_not, ("none",))), Allowed("questions separated by |, or none")
]
EngineName = Annotated[str, AfterValidator(_known_engine), Allowed(", ".join(["auto", *ENGINES]))]
OptionalText = Annotated[Text | None, Allowed("a text, or none")]
OptionalPositiveInt = Annotated[PositiveInt | None, Allowed("a whole number from 1, or none")]
OptionalPositive = Annotated[Positive | None, Allowed("a number above 0, or none")]
OptionalPort = Annotated[Annotated[int, Field(ge=1024, le=65535)] | None, Allowed("a port from 1024 to 65535, or none")]
IpAddress = Annotated[
    Text,
    AfterValidator(lambda text: str(ip_address(text))),
    Allowed("an IP address of this machine, such as 127.0.0.1, or 0.0.0.0 for all"),
]
BoolAuto = Annotated[Bool | Auto, Allowed("true, false or auto")]
PositiveIntAuto = Annotated[PositiveInt | Auto, Allowed("a whole number from 1, or auto")]
NonNegativeAuto = Annotated[NonNegative | Auto, Allowed("a number from 0, or auto")]
PositiveAuto = Annotated[Positive | Auto, Allowed("a number above 0, or auto")]
FractionAuto = Annotated[Fraction | Auto, Allowed("a number above 0, at most 1; or auto")]
Group = Annotated[int, Field(ge=2), Allowed("a whole number from 2: completions are compared with each other")]
Seed = Annotated[int, Field(ge=0, lt=2**32), Allowed("a whole number from 0, below 2**32")]
Steps = Annotated[
    int,
    Field(ge=-1),
    AfterValidator(_not_zero),
    AfterValidator(partial(_at_most, 10**9, "steps")),
    Allowed("a whole number from 1, or -1"),
]
Epochs = Annotated[Positive, AfterValidator(partial(_at_most, 10**6, "epochs")), Allowed("a number above 0")]
Warmup = Annotated[NonNegative, AfterValidator(_whole_or_share), Allowed("a share below 1, or a whole number of steps")]
Schedule = Annotated[str, AfterValidator(partial(_word_of, "lr_scheduler_type")), _words_of("lr_scheduler_type")]
Optimizer = Annotated[str, AfterValidator(partial(_word_of, "optim")), _words_of("optim")]
Modules = Annotated[Words, Field(min_length=1), Allowed("names of layers separated by commas, each once")]
Trackers = Annotated[
    tuple[Literal["wandb", "tensorboard", "mlflow", "trackio"], ...],
    BeforeValidator(split_commas),
    AfterValidator(each_once),
    Allowed("wandb, tensorboard, mlflow, trackio, separated by commas, each once; or none"),
]
Places = Annotated[
    Words, AfterValidator(_known_places), Allowed(f"{schemes.forms()}, separated by commas, each once; or none")
]
Place = Annotated[Annotated[str, AfterValidator(_known_place)] | None, Allowed(f"one of {schemes.forms()}; or none")]
OptionalSource = Annotated[
    Annotated[Text, AfterValidator(_known_source)] | None, Allowed(f"a folder, or one of {schemes.forms()}; or none")
]
Rewards = Annotated[
    tuple[tuple[Text, Number], ...],
    Field(min_length=1),
    BeforeValidator(_reward_pairs),
    AfterValidator(each_once),
    Allowed("name:weight separated by commas, each name once, such as correct:2,./my_rewards.py::brief:0.5"),
]
RewardOptions = Annotated[
    dict[str, Any],
    BeforeValidator(_object),
    Allowed('a JSON object by the names of rewards, such as {"brief": {"longest": 200}}'),
]
KeyPath = Annotated[
    Annotated[Text, AfterValidator(key_file.checked)] | None,
    Allowed("a file with a key of at least 32 characters, or none"),
]
NotifyUrl = Annotated[Annotated[Text, AfterValidator(notify_url.shown)] | None, Allowed(f"{notify_url.FORM}, or none")]
NotifyUrlPath = Annotated[
    Annotated[Text, AfterValidator(notify_url.file_checked)] | None,
    Allowed(f"a file that holds {notify_url.FORM}, or none"),
]
Example = Annotated[
    AnyText,
    AfterValidator(partial(_text_not, (example.AUTO, example.OFF))),
    AfterValidator(_example),
    Allowed("auto, off, a text, or a file that holds it"),
]
RunId = Annotated[
    Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None,
    Allowed("at most 100 of A-Z a-z 0-9 . _ -, the first a letter or a digit; or none"),
]
