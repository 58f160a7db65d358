"""Turns a reward into a function that TRL's trainer can call: with a deadline, and with every score checked."""

import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from typing import Any, NamedTuple

from grpo_job.evaluation.completion import Truncated
from grpo_job.outcomes import STOPS, Abandoned, InvalidRun
from grpo_job.rewards import calling, exits, switches
from grpo_job.rewards.batches import batch_of_rows, copied, whole
from grpo_job.rewards.custom import RewardFunction
from grpo_job.rewards.timeout import finishes

TrlFunction = Callable[..., list[float | None]]
Tokens = Callable[[Sequence[str]], list[list[int]]]

# Those of the menu that judge a completion without an answer too: rows need none for them.
READ_NO_ANSWER = {
    "format_tags", "tag_count", "think_format", "soft_overlong", "repetition_penalty", "xmlcount", "soft_format",
    "strict_format", "int", "judge",
}  # fmt: skip
# Those that pay for the answer that was asked for, which is there once the completion has ended. Paid before, a model
# learns to go on after it. `correct_anywhere` is none: a model that does not end yet learns from it.
PAY_THE_ENDED = {"correct", "choice", "exact", "one_of", "yes_no", "cosine_length"}


class Reward(NamedTuple):
    """A reward of this run: its name (also in the metrics), what it weighs in the sum, and the function.

    `own`: it is not of the menu. One of the menu takes one answer; of several right ones the best paid counts; and it
    is shown the `opening` that ends the prompt, such as `<think>`, as a part of the completion. `module` is that of
    the path by which it was named.
    """

    name: str
    weight: float
    function: RewardFunction
    own: bool = False
    opening: str = ""
    module: str = ""

    def function_is(self, function: RewardFunction) -> bool:
        """Whether it is this function, with or without options."""
        return calling.without_options(self.function) is function

    def wants_answer(self) -> bool:
        """Whether it needs rows with a gold answer."""
        return calling.wants_answer(self.function) if self.own else self.name not in READ_NO_ANSWER


class RewardFailed(Abandoned):
    """A reward raised, hung, or returned something that is not a number: another attempt would meet it again."""


def as_trl_functions(
    rewards: Iterable[Reward], timeout_seconds: float, tokens: Tokens | None = None
) -> list[tuple[TrlFunction, float]]:
    """Each reward as the function that TRL calls, and its weight in the sum."""
    return [(as_trl_function(reward, timeout_seconds, tokens), reward.weight) for reward in rewards]


def as_trl_function(
    reward: Reward, timeout_seconds: float | None = None, tokens: Tokens | None = None, reads_truncated: bool = False
) -> TrlFunction:
    """The function that TRL calls with a batch and all columns of its rows.

    A call that takes longer than `timeout_seconds` is cut and fails the run. `tokens` gives the ids of completions
    to a reward that gets `completion_ids` where the caller has none. A `Truncated` completion has no answer for those
    that `PAY_THE_ENDED`, unless the call `reads_truncated`.

    >>> from grpo_job.rewards import correct
    >>> call = as_trl_function(Reward("correct", 2.0, correct))
    >>> call(completions=[[{"role": "assistant", "content": "<answer>72</answer>"}], "72?"], answer=["72", "72"])
    [1.0, 0.0]
    """

    def trl_function(**batch: Any) -> list[float | None]:
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        if tokens and "completion_ids" not in batch and calling.gets(reward.function, "completion_ids"):
            batch["completion_ids"] = tokens([calling.text_of(each) for each in batch["completions"]])
        if not reward.own and not reads_truncated and reward.name in PAY_THE_ENDED:
            batch["completions"] = [_ended(calling.text_of(each)) for each in batch["completions"]]
        lists = reward.own and calling.takes_batch(reward.function)
        given = whole(copied(batch) if reward.own else batch, lists=lists)
        if reward.opening and not reward.own:
            given["completions"] = [opened(calling.text_of(each), reward.opening) for each in given["completions"]]
        asked = _Asked(reward, given, deadline)
        with switches.apart():
            return [asked.checked(score, number) for number, score in enumerate(asked.scores())]

    trl_function.__name__ = trl_function.__qualname__ = reward.name  # TRL names its metrics after it
    return trl_function


def in_batches(
    function: TrlFunction, rows: Sequence[Mapping[str, Any]], completions: Sequence[str], size: int
) -> list[float | None]:
    """What is paid for one completion of each row, asked for as many at once as in training, for that has a deadline.

    >>> in_batches(lambda completions, **columns: [len(completions)] * len(completions), [{}, {}, {}], "abc", 2)
    [2, 2, 1]
    """
    starts = range(0, len(completions), size)
    batches = [batch_of_rows(rows[at : at + size], completions[at : at + size]) for at in starts]
    return [score for batch in batches for score in function(**batch)]


class _Asked(NamedTuple):
    """One call of one reward with one batch, to be over at `deadline`."""

    reward: Reward
    batch: Mapping[str, Any]
    deadline: float | None

    def scores(self) -> list[Any]:
        """What the reward returns for each completion, unchecked. Raises `RewardFailed`."""
        function, size = self.reward.function, len(self.batch["completions"])
        if calling.takes_batch(function):
            return self._of_batch(size)
        if len(self.batch.get("answer", self.batch["completions"])) != size:
            raise ValueError(f"there are {size} completions; the list of answers is shorter or longer")
        columns = self._columns(self.batch)
        calls = [self._call(columns, number) for number in range(size)]
        scores: list[Any] = []
        if calling.is_async(function):
            return list(self._cut(lambda: calling.awaited(calls), scores))
        if self.reward.own:
            for call in calls:
                scores.append(self._cut(call, scores))
        else:  # one of the menu changes nothing of the process, so one clock is enough
            self._cut(lambda: scores.extend(call() for call in calls), scores)
        return scores

    def _of_batch(self, size: int) -> list[Any]:
        function = self.reward.function
        arguments = calling.batch_arguments(function, self.batch)
        call = partial(function, **arguments)
        once: Callable[[], Any] = (lambda: calling.awaited([call])[0]) if calling.is_async(function) else call
        scores = self._cut(lambda: _listed(once()), ())
        if not isinstance(scores, list) or len(scores) != size:
            problem = f"returned {_told(scores)} for {size} completions, which is no list of as many scores,"
            raise self.failure(problem, 0)
        return scores

    def _columns(self, batch: Mapping[str, Any]) -> calling.Columns:
        try:
            return calling.columns_for(self.reward.function, batch)
        except LookupError as error:
            raise self.failure(str(error), 0) from error

    def _call(self, columns: calling.Columns, number: int) -> Callable[[], Any]:
        """The call for one completion. One of the menu is asked with each of several right answers."""
        several = self.batch["answer"][number] if "answer" in self.batch else None
        if self.reward.own or not isinstance(several, list):
            return lambda: self._of_one(columns, number)
        size = len(self.batch["answer"])
        each = [self._columns({**self.batch, "answer": [one] * size}) for one in several]
        return lambda: max((self._of_one(columns, number) for columns in each), key=lambda paid: paid or 0.0)

    def _of_one(self, columns: calling.Columns, number: int) -> Any:
        positional, named = columns.of(number)
        return self.reward.function(*positional, **named)

    def _cut(self, call: Callable[[], Any], scores: Sequence[Any]) -> Any:
        """What the call returns, unless it raises, exits or does not end in time; the `scores` so far say where."""
        returned: list[Any] = []
        try:
            with exits.raised():
                if self.deadline is None:
                    return call()
                stuck = f"reward {self.reward.name!r} did not end in time and cannot be stopped"
                seconds = self.deadline - time.monotonic()
                if not finishes(lambda: returned.append(call()), seconds, stuck if self.reward.own else None):
                    raise self.failure("did not end in time", len(scores))
        except (RewardFailed, InvalidRun, *STOPS):  # the second: the machine starts no clock
            raise
        except BaseException as error:  # one that exits must not end the run as if done
            place = _place_of(error, self.reward.function)
            raise self.failure(f"raised {exits.told(error)}{place}", len(scores)) from error
        return returned[0]

    def checked(self, score: Any, number: int) -> float | None:
        """The score as TRL takes it: None, or a finite number."""
        try:
            return calling.number(score)
        except ValueError as error:
            problem = f"returned {_told(score)}, which is neither a finite number nor None,"
            raise self.failure(problem, number) from error

    def failure(self, problem: str, number: int) -> RewardFailed:
        completion = calling.text_of(self.batch["completions"][number])
        known = {name: self.batch[name][number] for name in ("answer", "question") if name in self.batch}
        row = ", ".join(f"{name} {_short(str(value), 200)!r}" for name, value in known.items() if value is not None)
        told = f" ({row})" if row else ""
        return RewardFailed(f"reward {self.reward.name!r} {problem} on the completion {_short(completion)!r}{told}")


def _ended(completion: str) -> str:
    return "" if isinstance(completion, Truncated) else completion


def opened(completion: str, opening: str) -> str:
    """The completion with the opening that its prompt ended with, unless the model wrote it too.

    >>> opened("hm</think> 4", "<think>"), opened("<think>hm</think> 4", "<think>")
    ('<think>hm</think> 4', '<think>hm</think> 4')
    """
    return completion if completion.lstrip().startswith(opening) else opening + completion


def _listed(returned: Any) -> Any:
    """The scores of a batch as a list, for a generator computes them only now; what is no sequence, as it is."""
    if isinstance(returned, Set | Mapping):  # which have no order
        return returned
    try:
        scores = iter(returned)
    except TypeError:
        return returned
    return list(scores)


def _told(returned: Any) -> str:
    """What a reward returned, in short."""
    try:
        return _short(repr(returned))
    except Exception:  # another's code; and Python writes no integer of more than 4300 digits
        return f"an object of type {type(returned).__name__} that cannot be printed"


def _short(text: str, longest: int = 500) -> str:
    """The beginning and the end of a long text.

    >>> _short("abcdefghij", 4)
    'ab ... ij'
    """
    return text if len(text) <= longest else f"{text[: longest // 2]} ... {text[-longest // 2 :]}"


def _place_of(error: BaseException, function: Callable[..., Any]) -> str:
    """Where in the reward's own file it was raised, such as ` at my_rewards.py, line 7: 1 / 0`; empty if unknown."""
    function = calling.without_options(function)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    if not own:
        return ""
    return f" at {own[-1].filename.rpartition('/')[2]}, line {own[-1].lineno}: {own[-1].line}"
