"""Checks the rewards on completions of known quality.

Makes a perfect, a wrong, an empty and a garbled completion from real rows. The format that a custom reward expects is
unknown, so each answer is written in several forms, and the best-paid form counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from statistics import fmean
from typing import NamedTuple

from grpo_job.outcomes import RunEnded
from grpo_job.preflight.findings import Finding, Status
from grpo_job.rewards import Reward, answers, as_trl_function
from grpo_job.settings.schema import Settings

ROWS = 8
SECONDS = 10.0  # for all completions of one reward: all checks together should take less than 60
FORMS = {
    "tags": "<reasoning>\nIt is {0}.\n</reasoning>\n<answer>\n{0}\n</answer>",
    # the layouts that the reference run rewards, see rewards/tutorial.py
    "tags on their own lines": "\n<reasoning>\nIt is {0}.\n</reasoning>\n\n<answer>\n{0}\n</answer>\n",
    "tags in one line": "\n<reasoning>It is {0}.\n</reasoning>\n\n<answer>{0}\n</answer>\n",
    "one line": "<reasoning>It is {0}.</reasoning> <answer>{0}</answer>",
    "box": "It is \\boxed{{{0}}}.",
    "hashes": "It is {0}.\n#### {0}",
    "plain": "{0}",
}
GARBLED = "</answer> \u0416\x00<reasoning><reasoning>%%%\n}}{{ \\boxed{ ####\n<answer></reasoning> \ufffd"


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


def findings(rewards: Sequence[Reward], rows: Sequence[Mapping[str, str]], settings: Settings) -> Iterator[Finding]:
    """One finding per reward, and one for their sum."""
    golds = [row["answer"] for row in islice(rows, ROWS)]
    wrong = [_another(gold, [row["answer"] for row in islice(rows, 200)]) for gold in golds]
    paid: dict[str, dict[str, Paid]] = {}
    for reward in rewards:
        try:
            paid[reward.name] = _paid_in_each_form(reward, golds, wrong, settings)
        except RunEnded as failure:
            yield Finding("failed", "rewards", f"GRPO_REWARDS: {failure}; it would end the run: fix it")
            continue
        yield _of_one(reward, paid[reward.name])
    if len(paid) == len(rewards):
        yield _of_all(rewards, paid, settings)


def _paid_in_each_form(
    reward: Reward, golds: Sequence[str], wrong: Sequence[str], settings: Settings
) -> dict[str, Paid]:
    """Form -> rewards; an ungraded completion counts as 0, as in the sum."""
    function = as_trl_function(reward, min(SECONDS, settings.reward_timeout_seconds))
    texts = [form.format(value) for form in FORMS.values() for value in (*golds, *wrong)]
    texts += [""] * len(golds) + [GARBLED] * len(golds)
    scores = function(completions=texts, answer=[*golds] * (len(texts) // len(golds)))
    means = [
        fmean(score or 0.0 for score in scores[start : start + len(golds)])
        for start in range(0, len(scores), len(golds))
    ]
    *by_form, empty, garbled = means
    pairs = zip(FORMS, by_form[::2], by_form[1::2], strict=True)
    return {form: Paid(perfect, false, empty, garbled) for form, perfect, false in pairs}


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
        cure = "fix them, or set GRPO_HEALTH=warn if they expect another answer format"
        status: Status = "failed" if settings.health == "stop" else "warned"
        message = f"GRPO_REWARDS: their sum does not prefer a perfect completion ({best.told()}): {cure}"
        return Finding(status, "rewards together", message)
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
