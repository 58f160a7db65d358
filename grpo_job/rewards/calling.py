"""Calls a reward with what its signature asks for: one completion at a time, or TRL's whole batch; plain or async."""

import asyncio
import inspect
import numbers
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

from grpo_job.rewards.batches import Batch
from grpo_job.rewards.texts import Text

Completion = str | Sequence[Mapping[str, str]]  # plain text, or the chat messages that were generated

VERLS = {"solution_str", "ground_truth"}  # verl's names of completion and answer
OF_PROMPT = ("prompt", "question")
OF_THE_JOB = ("completion", "answer", *OF_PROMPT, "completion_ids")
_runners: dict[int, asyncio.Runner] = {}  # of this process, and of the one that it was forked from
# What TRL's trainer adds to a batch, where a check or an evaluation asks: before the first step, and nothing is logged.
_OUTSIDE_TRAINING: dict[str, Any] = {
    "trainer_state": SimpleNamespace(
        global_step=0, max_steps=1, epoch=0.0, num_train_epochs=1, log_history=[], is_local_process_zero=True,
        is_world_process_zero=True, logging_steps=1, eval_steps=500, save_steps=500, train_batch_size=None,
        num_input_tokens_seen=0, total_flos=0, best_metric=None, best_global_step=None, best_model_checkpoint=None,
        is_hyper_param_search=False, trial_name=None, trial_params=None, stateful_callbacks={},
    ),
    "log_extra": lambda column, values: None,
    "log_metric": lambda name, value: None,
}  # fmt: skip
_LARGEST = 3.4e38  # of a score: TRL adds them in 32 bits
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters by name. Raises `ValueError` or `TypeError` where Python cannot tell them."""
    return dict(inspect.signature(function).parameters)


def takes_batch(function: Callable[..., Any]) -> bool:
    """Whether it has TRL's signature: `completions`, or another list of the batch as its first parameter.

    >>> takes_batch(lambda completions, **kwargs: [1.0]), takes_batch(lambda completion, answer: 1.0)
    (True, False)
    """
    names = list(parameters(function))
    return "completions" in names or names[:1] in (["prompts"], ["completion_ids"])


def without_options(function: Any) -> Any:
    """The function itself, of one whose options were set."""
    while isinstance(function, partial):
        function = function.func
    return function


def _set_options(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The options that were set; an object of the user's own may have `keywords` too."""
    return function.keywords if isinstance(function, partial) else {}


def option(function: Callable[..., Any], name: str) -> Any:
    """The value of one of its own parameters, as it was set or by default."""
    return parameters(function)[name].default


def is_async(function: Any) -> bool:
    """Whether a call gives a coroutine."""
    function = without_options(function)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def asks_for(function: Callable[..., Any], name: str) -> bool:
    """Whether a parameter of this name is there to be given."""
    return name in parameters(function)


def gets(function: Callable[..., Any], name: str) -> bool:
    """Whether it is given this, by name or with all else.

    >>> gets(lambda completions, **kwargs: [1.0], "completion_ids"), gets(lambda completion: 1.0, "completion_ids")
    (True, False)
    """
    known = parameters(function)
    return name in known or any(each.kind is each.VAR_KEYWORD for each in known.values())


def required(function: Callable[..., Any]) -> list[str]:
    """The parameters that must be given."""
    known = parameters(function).values()
    return [p.name for p in known if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def wants_answer(function: Callable[..., Any]) -> bool:
    """Whether it cannot be called without a gold answer.

    >>> wants_answer(lambda completion, answer: 1.0), wants_answer(lambda completions, **kwargs: [1.0])
    (True, False)
    """
    return "answer" in required(function)


def text_of(completion: Completion) -> str:
    """What the model wrote."""
    return completion if isinstance(completion, str) else completion[-1]["content"]


def batch_arguments(function: Callable[..., Any], batch: Batch) -> dict[str, Any]:
    """What TRL's signature asks for: completions as `Text`, prompts as lists of messages, and what its trainer adds."""
    completions = [Text(text_of(each)) for each in batch["completions"]]
    options = _set_options(function)
    given = {**_OUTSIDE_TRAINING, **batch}
    known = {**{name: values for name, values in given.items() if name not in options}, "completions": completions}
    asked = parameters(function)
    if any(each.kind is each.VAR_KEYWORD for each in asked.values()):
        return known
    return {name: value for name, value in known.items() if name in asked}


class Columns(NamedTuple):
    """The columns of a batch that a reward of one completion is called with: a value for each completion."""

    positional: list[Sequence[Any]]
    named: dict[str, Sequence[Any]]

    def of(self, number: int) -> tuple[list[Any], dict[str, Any]]:
        """Positional and named arguments for this completion."""
        return [values[number] for values in self.positional], {name: each[number] for name, each in self.named.items()}


def columns_for(function: Callable[..., Any], batch: Batch) -> Columns:
    """What a reward of one completion asks for.

    The first parameter that does not ask for the prompt is the completion, unless one has verl's name for it,
    `solution_str`. The others are given by name; the one after the completion is the answer where no column has its
    name, and so is `ground_truth`.
    Raises `LookupError` for a parameter that nothing can be given for, and where it is open which is the completion.
    """
    size = len(batch["completions"])
    known = {name: values for name, values in batch.items() if _is_column(values, size)}
    known["completion"] = [str(text_of(each)) for each in known.pop("completions")]
    if "prompts" in known:
        known["prompt"] = known.pop("prompts")
    known = {"ground_truth": known.get("answer", [None] * size), **known, "solution_str": known["completion"]}
    asked = [each for each in parameters(function).values() if each.kind != each.VAR_POSITIONAL]
    options = _set_options(function)
    named = [each for each in asked if each.kind != each.VAR_KEYWORD and each.name not in options]
    values = {each.name: known[each.name] for each in named if each.name in known}
    own_names = [each for each in named if each.name not in OF_PROMPT] or named
    lacking = [each for each in named if each.default is each.empty and each.name not in values]
    if not values.keys() & {"completion", "solution_str"}:
        first = own_names[0]
        if first.name in values and lacking:
            names = ", ".join(each.name for each in lacking)
            said = f"asks for {first.name}, which the row has, and for {names}, which it has not"
            raise LookupError(f"{said}: call the parameter for the completion `completion`")
        values[first.name] = known["completion"]
        lacking = [each for each in lacking if each is not first]
    if len(lacking) == 1 and lacking[0] in own_names[1:2] and lacking[0].kind in POSITIONAL and "answer" in known:
        values[lacking.pop().name] = known["answer"]
    if lacking:
        names = ", ".join(each.name for each in lacking)
        there = ", ".join(sorted(set(known) - VERLS))
        raise LookupError(f"asks for {names}; there are {there}")
    positional = [values.pop(each.name) for each in named if each.kind == each.POSITIONAL_ONLY and each.name in values]
    if any(each.kind == each.VAR_KEYWORD for each in asked):
        taken = {each.name for each in asked} | {"completion"} | VERLS
        values |= {name: value for name, value in known.items() if name not in taken}
    return Columns(positional, values)


def _is_column(values: Any, size: int) -> bool:
    return isinstance(values, Sequence) and not isinstance(values, str) and len(values) == size


def awaited(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The results of async calls that run side by side.

    All batches share one event loop, as in TRL: a semaphore or a client of the module belongs to the first it met.
    """

    async def together() -> list[Any]:
        return await asyncio.gather(*(call() for call in calls))

    if threading.current_thread() is not threading.main_thread():  # which is a new one for each batch
        return asyncio.run(together())
    runner = _runners.pop(os.getpid(), None) or asyncio.Runner()
    try:
        results = runner.run(together())
    except BaseException:
        runner.close()  # it cancels what still runs
        raise
    _runners[os.getpid()] = runner
    return results


def number(score: Any) -> float | None:
    """A score as TRL takes it: None, or a finite number; True is 1.0, and a scalar of numpy or torch is one.

    Raises `ValueError` for anything else.

    >>> number(True), number(Decimal("0.5")), number(None)
    (1.0, 0.5, None)
    """
    if score is None:
        return None
    if not isinstance(score, numbers.Real | Decimal) and callable(item := getattr(score, "item", None)):
        try:
            score = item()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError("more than one number") from error
    if not isinstance(score, numbers.Real | Decimal):
        raise ValueError("no number")
    try:
        value = float(score)
    except OverflowError as error:
        raise ValueError("no finite number") from error
    if not abs(value) <= _LARGEST:  # nor is NaN
        raise ValueError("no finite number")
    return value
