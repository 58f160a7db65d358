"""The types of settings, each with the text that tells a user what is allowed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, Json


@dataclass(frozen=True)
class Allowed:
    """What a user may write; follows `allowed: ` in messages."""

    words: str


def allowed_words(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """The text of an annotated type; for a plain `Literal` its values."""
    said = [item.words for item in (*get_args(annotation), *metadata) if isinstance(item, Allowed)]
    return said[-1] if said else ", ".join(str(value) for value in get_args(annotation))


def split_commas(value: Any) -> Any:
    """`"a, b"` as `["a", "b"]`, `"none"` as `[]`; other types unchanged."""
    if not isinstance(value, str):
        return value
    return [] if value == "none" else [part.strip() for part in value.split(",") if part.strip()]


def each_once(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """Raises `ValueError` if a name occurs twice."""
    names = [item[0] if isinstance(item, tuple) else item for item in value]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} occurs {names.count(name)} times")
    return value


Auto = Literal["auto"]

Bool = Annotated[bool, Allowed("true or false")]
Text = Annotated[str, Field(min_length=1), Allowed("a text")]
AnyText = Annotated[str, Allowed("any text")]
PositiveInt = Annotated[int, Field(ge=1), Allowed("a whole number from 1")]
NonNegativeInt = Annotated[int, Field(ge=0), Allowed("a whole number from 0")]
Integer = Annotated[int, Allowed("a whole number")]
Number = Annotated[float, Field(allow_inf_nan=False), Allowed("a number")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), Allowed("a number above 0")]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), Allowed("a number from 0")]
Fraction = Annotated[float, Field(gt=0, le=1), Allowed("a number above 0, at most 1")]
FractionOrNone = Annotated[float, Field(ge=0, le=1), Allowed("a number from 0 to 1")]
Decay = Annotated[float, Field(ge=0, lt=1), Allowed("a number from 0, below 1")]
Words = Annotated[
    tuple[str, ...],
    BeforeValidator(split_commas),
    AfterValidator(each_once),
    Allowed("words separated by commas, each once"),
]
Numbers = Annotated[list[Number], BeforeValidator(split_commas), Allowed("numbers separated by commas")]
JsonObject = Annotated[Json[dict[str, Any]], Allowed('a JSON object, such as {"name": 1}')]


def field(name: str) -> str:
    """The field of a name as people write it: `"GRPO_MAX_STEPS"` and `" max-steps"` as `"max_steps"`."""
    return name.strip().lower().replace("-", "_").removeprefix("grpo_")


def setting(default: Any, meaning: str, *, changes_result: bool = True) -> Any:
    """A field; `changes_result`: whether another value gives another adapter."""
    return Field(default, description=meaning, json_schema_extra={"changes_result": changes_result})


def operational(default: Any, meaning: str) -> Any:
    return setting(default, meaning, changes_result=False)
