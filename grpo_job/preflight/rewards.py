"""Checks the rewards on completions of known quality.

A perfect, a wrong, an empty and a garbled completion are made from real rows. How a user's own
reward wants an answer written is not known, so each is written in several forms, and the form
that is paid best counts. What a format of the user's own is worth cannot be judged so: it is warned of, never refused.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from statistics import fmean
from typing import Any, NamedTuple

from grpo_job.evaluation.completion import Truncated
from grpo_job.evaluation.measure import AUTO
from grpo_job.outcomes import InvalidRun, RunEnded
from grpo_job.preflight import own_rewards
from grpo_job.preflight.findings import Finding, Status
from grpo_job.rewards import Reward, Tokens, answers, as_trl_function, calling, custom, in_batches, judge_prompt, load
from grpo_job.rewards.batches import batch_of
from grpo_job.rewards.judgements import JUDGEMENTS
from grpo_job.rewards.judging import judge
from grpo_job.settings.schema import Settings

ROWS = 8
SECONDS = 10.0  # after which a reward is asked about no further row: all checks together should take less than 60
JUDGED_ROWS = 3
FORMS = {
    "tags": "<reasoning>\nIt is {0}.\n</reasoning>\n<answer>\n{0}\n</answer>",
    # the layouts that the reference run rewards, see rewards/tutorial.py
    "tags on their own lines": "\n<reasoning>\nIt is {0}.\n</reasoning>\n\n<answer>\n{0}\n</answer>\n",
    "tags in one line": "\n<reasoning>It is {0}.\n</reasoning>\n\n<answer>{0}\n</answer>\n",
    "thought": "<think>\nIt is {0}.\n</think>\n{0}",
    "one line": "<reasoning>It is {0}.</reasoning> <answer>{0}</answer>",
    "box": "It is \\boxed{{{0}}}.",
    "hashes": "It is {0}.\n#### {0}",
    "plain": "{0}",
}
GARBLED = Truncated("</answer> \u0416\x00<reasoning><reasoning>%%%\n}}{{ \\boxed{ ####\n<answer></reasoning> \ufffd")


class Paid(NamedTuple):
    """The mean reward, or weighted sum of rewards, per kind of completion."""

    perfect: float
    wrong: float
    empty: float
    garbled: float

    @property
    def nothing_tells_them_apart(self) -> bool:
        return self.perfect == self.wrong == self.empty == self.garbled

    @property
    def prefers_nonsense(self) -> bool:
        return max(self.empty, self.garbled) >= self.perfect

    def told(self) -> str:
        """Such as `perfect 2, wrong 0, empty 0, garbled 0`."""
        return ", ".join(f"{kind} {value:g}" for kind, value in self._asdict().items())


def measure(settings: Settings) -> list[Reward]:
    """The reward that GRPO_MEASURE names, if it is not one of the run's own anyway.

    Raises `InvalidRun` if it names neither `auto`, a reward of the run, nor one that can be loaded beside them.
    """
    measured = custom.short_name(settings.measure)
    named = [name for name, _ in settings.rewards if custom.short_name(name) == measured]
    if settings.measure in (AUTO, *named) or (named and settings.measure == measured):
        return []
    if named:
        raise InvalidRun(
            f"GRPO_MEASURE: {settings.measure!r} was given; allowed: another name than that of {named[0]} in "
            f"GRPO_REWARDS, or {measured} for that reward"
        )
    options = {name: value for name, value in settings.reward_options.items() if name == measured}
    try:
        return load([(settings.measure, 1.0)], settings.reward_path, options)
    except InvalidRun as refusal:
        faults = (fault.removeprefix("GRPO_REWARDS: ") for fault in refusal.faults)
        raise InvalidRun(*(f"GRPO_MEASURE: {fault}, `auto`, or a reward of the run" for fault in faults)) from refusal


def findings(
    rewards: Sequence[Reward], rows: Sequence[Mapping[str, Any]], settings: Settings, tokens: Tokens | None = None
) -> Iterator[Finding]:
    """One line a reward and each of its EXAMPLES that it does not keep, and one for all rewards together."""
    first = rows[:ROWS]
    golds = _golds(first)
    wrong = [_another(gold, [row["answer"] for row in islice(rows, 200)]) for gold in golds]
    paid: dict[str, dict[str, Paid]] = {}
    for reward in rewards:
        try:
            if reward.function_is(judge):
                yield from _of_judge(reward, rows, settings)
                continue
            paid[reward.name], seconds = _paid_in_each_form(reward, first, wrong, settings, tokens)
            if reward.own:
                yield from own_rewards.findings(reward, rows, seconds, settings, tokens)
        except RunEnded as failure:
            yield Finding("failed", "rewards", f"GRPO_REWARDS: {failure}; it would end the run: fix it")
            continue
        yield _of_one(reward, paid[reward.name])
    if len(paid) == len(rewards):
        yield _of_all(rewards, paid, settings)


def failing(
    measured: Sequence[Reward], rows: Sequence[Mapping[str, Any]], settings: Settings, tokens: Tokens | None = None
) -> Iterator[Finding]:
    """What would end the run of a reward that only measures; what it prefers is its own matter."""
    for found in findings(measured, rows, settings, tokens):
        if found.status == "failed" and found.name != "rewards together":
            yield Finding("failed", "measure", found.sentence.replace("GRPO_REWARDS", "GRPO_MEASURE", 1))


def _golds(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The answers; where rows need none, any number does for those that judge the form."""
    return [row["answer"] or "42" for row in rows]


def _paid_in_each_form(
    reward: Reward, rows: Sequence[Mapping[str, Any]], wrong: Sequence[str], settings: Settings, tokens: Tokens | None
) -> tuple[dict[str, Paid], float]:
    """Form -> what the reward pays, and its seconds a completion. One that it cannot grade counts as 0, as in a sum.

    One that is slow is asked about fewer rows, and has for each batch the time that it has in training.
    """
    function = as_trl_function(reward, settings.reward_timeout_seconds, tokens)
    times, scores = [time.monotonic()], []
    for row, gold, another in zip(rows, _golds(rows), wrong, strict=True):
        texts = [form.format(value) for form in FORMS.values() for value in (gold, another)] + ["", GARBLED]
        scores.append(in_batches(function, [row] * len(texts), texts, settings.completions_per_generation))
        times.append(time.monotonic())
        if times[-1] - times[0] > SECONDS:
            break
    seconds = min(end - start for start, end in pairwise(times)) / (2 * len(FORMS) + 2)  # the first may load a model
    *by_form, empty, garbled = (fmean(score or 0.0 for score in paid) for paid in zip(*scores, strict=True))
    pairs = zip(FORMS, by_form[::2], by_form[1::2], strict=True)
    return {form: Paid(perfect, false, empty, garbled) for form, perfect, false in pairs}, seconds


def need_gold(chosen: Sequence[Reward] | None, measured: Sequence[Reward] | None) -> bool:
    """Whether a reward of the run or the measure asks for the answer; unless that is known, rows need one."""
    return not chosen or measured is None or any(reward.wants_answer() for reward in (*chosen, *measured))


def _best(forms: Mapping[str, Paid]) -> Paid:
    """The form with the highest reward for the right answer, then the largest gap to the wrong one."""
    return max(forms.values(), key=lambda paid: (paid.perfect, paid.perfect - paid.wrong))


def _of_one(reward: Reward, forms: Mapping[str, Paid]) -> Finding:
    if reward.weight < 0:
        return _of_fine(reward, forms)
    paid = _best(forms)
    if paid.nothing_tells_them_apart:
        message = f"{reward.name} pays {paid.perfect:g} for every completion, so it teaches nothing: fix it"
        return Finding("warned", "rewards", message)
    if paid.prefers_nonsense:
        message = f"{reward.name} does not prefer a perfect completion ({paid.told()}): check whether this is intended"
        return Finding("warned", "rewards", message)
    return Finding("passed", "rewards", f"{reward.name} pays {paid.told()}")


def _of_judge(reward: Reward, rows: Sequence[Mapping[str, Any]], settings: Settings) -> Iterator[Finding]:
    """One call, for the gold of a row: whether there is a service, and whether its replies can be read."""
    seconds, limit = calling.option(reward.function, "seconds"), settings.reward_timeout_seconds
    if seconds >= limit:
        said = f"GRPO_REWARD_TIMEOUT_SECONDS: {limit:g} was given; judge may take {seconds:g} (its option `seconds`)"
        yield Finding("failed", "rewards", f"{said}; allowed: more than that")
        return
    function = as_trl_function(reward, limit)
    answered = [row for row in rows if row["answer"].strip()]
    if len(answered) < len(rows) and "answer" in judge_prompt.needed(calling.option(reward.function, "prompt_file")):
        yield _rows_without_answer(len(answered), len(rows))
        if not answered:
            return
    for row in (answered or rows)[:JUDGED_ROWS]:  # a busy service may fail one
        began = time.monotonic()
        [paid] = function(**batch_of(row, [row["answer"]]))
        if paid is not None:
            took = time.monotonic() - began
            yield Finding("passed", "rewards", f"judge pays {paid:g} for a row's answer, in {took:.1f} s")
            return
    totals = JUDGEMENTS.totals()
    status: Status = "warned" if totals["judged"] else "failed"  # a run that goes on may meet a busy hour
    yield Finding(status, "rewards", f"GRPO_REWARDS: judge gives no score: {totals['last_failure']}")


def _rows_without_answer(answered: int, rows: int) -> Finding:
    said = f"its prompt_file names {{answer}}, and {rows - answered} of {rows} training rows have none"
    cure = "set GRPO_ANSWER_COLUMN, or leave {answer} out of the prompt"
    if not answered:
        return Finding("failed", "rewards", f"GRPO_REWARDS: judge would pay nothing: {said}: {cure}")
    return Finding("warned", "rewards", f"judge pays nothing for some rows: {said}: {cure}")


def _of_fine(reward: Reward, forms: Mapping[str, Paid]) -> Finding:
    """A negative weight penalizes something that these four completions may not contain."""
    paid = min(forms.values(), key=lambda paid: paid.perfect)
    if paid.perfect > max(paid.empty, paid.garbled):
        message = f"{reward.name} has a negative weight and penalizes a perfect completion most ({paid.told()})"
        return Finding("warned", "rewards", f"{message}: check whether this is intended")
    return Finding("passed", "rewards", f"{reward.name} penalizes {paid.told()}")


def _of_all(rewards: Sequence[Reward], paid: Mapping[str, Mapping[str, Paid]], settings: Settings) -> Finding:
    """The weighted sum is what the model learns from."""
    sums = {
        form: Paid(*(sum(one.weight * paid[one.name][form][kind] for one in rewards) for kind in range(4)))
        for form in FORMS
    }
    best = _best(sums)
    if best.nothing_tells_them_apart or best.prefers_nonsense:
        warns = ", or set GRPO_HEALTH=warn if they expect another answer format"
        cure = f"fix them{warns if settings.health == 'stop' else ', unless they expect another answer format'}"
        own = any(reward.own for reward in rewards)
        status: Status = "failed" if settings.health == "stop" and not own else "warned"
        said = f"GRPO_REWARDS: their sum does not prefer a perfect completion ({best.told()}): {cure}"
        return Finding(status, "rewards together", said)
    if best.wrong >= best.perfect:
        message = (
            f"a wrong answer earns as much as the right one ({best.told()}): add a reward for it, such as `correct`"
        )
        return Finding("warned", "rewards together", message)
    return Finding("passed", "rewards together", best.told())


def _another(gold: str, others: Sequence[str]) -> str:
    """A wrong answer of the same kind, from another row."""
    different = (other for other in others if not answers.equal(other, gold))
    return next(different, f"{gold}1" if gold.strip().isdigit() else f"not {gold}")
