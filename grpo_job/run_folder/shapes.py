"""What the JSON files of a run folder hold, as far as a later attempt or a report relies on it. Further keys are fine.

Types for `files.read_json` and `files.read_jsonl`.
"""

from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from grpo_job.outcomes import EXIT_CODES, RESTART, Unexpected

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = float | None


class _Ending(TypedDict):
    code: int | None
    kind: str
    reason: str


def _agrees(ending: _Ending) -> _Ending:
    """A code that is not that of its kind was damaged: 0 would be taken for a finished run."""
    codes = {"running": None, RESTART: Unexpected.code, **{each.kind: each.code for each in EXIT_CODES}}
    if codes.get(ending["kind"], -1) != ending["code"]:
        raise ValueError(f"{ending['code']} is not the code of {ending['kind']!r}")
    return ending


Ending = Annotated[_Ending, AfterValidator(_agrees)]


class Steps(TypedDict):
    done: Count
    planned: Count
    lost_to_resume: Count


class Accuracy(TypedDict, total=False):
    before: Number
    after: Number
    warm: Number
    rows: Count
    verdict: str | None
    p_value: Number
    measure: str | None
    share: bool
    notes: list[str]


class Place(TypedDict):
    uri: str
    revision: str
    verified: bool


class Found(TypedDict):
    step: int
    level: str
    kind: str
    message: str


class Trial(TypedDict):
    gpu: str
    bytes: float
    load_in_4bit: bool


class Memory(TypedDict):
    trials: list[Trial]


class Left(TypedDict, total=False):
    ended_with: int | None
    lost_to_resume: Count
    attempts: Count
    fruitless_attempts: Count
    seconds: dict[str, Seconds]
    stopped: str | None
    asked_for: str | None
    training_rows: str | None


class Claim(TypedDict, total=False):
    holder: Annotated[str, Field(pattern=r"^[^/\x00]{1,200}$")]
    renewals: int
    released: bool
    left: Left


class Example(TypedDict):
    text: str
    settings: NotRequired[str]


class Summary(TypedDict, total=False):
    run_id: str
    ending: Ending
    steps: Steps
    accuracy: Accuracy
    format: dict[str, Number]
    seconds: dict[str, Seconds]
    cost: dict[str, Any] | None
    adapter: dict[str, Any] | None
    published: list[Place]
    attempts: Count
    fruitless_attempts: Count
    stopped: str | None
    asked_for: str
    training_rows: str
    records: dict[str, str]
    health: list[Found]
    backed_off: list[Trial]
    example: Example | None


class Saved(TypedDict):
    bytes: Count
    sha256: str


class _Manifest(TypedDict):
    step: Count
    identity: dict[str, Any]
    files: dict[str, Saved]


class Manifest(_Manifest, total=False):
    tracker_run: str | None
    versions: dict[str, Any]
    example: str
    facts_sha256: str


class Step(TypedDict):
    step: int


class Sample(TypedDict):
    completion: str
    correct: bool


class Asked(TypedDict):
    question: str
    gold: str


class _Answered(Asked):
    completion: str
    correct: bool
    correct_lenient: bool
    format: bool


class Answered(_Answered, total=False):
    tokens: int
    truncated: bool
    answer: str | None
    rewards: dict[str, Number]
    samples: list[Sample]


class Measure(TypedDict):
    name: str
    share: bool


class Verdict(TypedDict):
    verdict: str
    primary: dict[str, Any]
    measure: Measure
    notes: list[str]


# In this form because `from` is no name in Python.
Resolved = TypedDict("Resolved", {"settings": dict[str, Any], "from": NotRequired[dict[str, str]]})
