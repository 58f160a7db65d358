"""What rewards pay on real rows, for a person to look at: on each row's gold, and on completions that were sampled."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from grpo_job.inputs.chat_template import Chat
from grpo_job.preflight.rewards import FORMS
from grpo_job.rewards import Reward, Tokens, as_trl_function, in_batches
from grpo_job.rewards.judging import judge
from grpo_job.settings.schema import Settings

LONGEST = 200  # characters of a text in a table


class Paid(NamedTuple):
    """A completion of a row, and what each reward pays for it."""

    question: str
    golds: list[str]
    completion: str
    scores: dict[str, float | None]

    def told(self) -> str:
        """Such as `correct 1, format_tags 0.5`; a reward that cannot grade it pays `nothing`."""
        scores = {name: "nothing" if score is None else f"{score:g}" for name, score in self.scores.items()}
        return ", ".join(f"{name} {score}" for name, score in scores.items())


class FirstRow(NamedTuple):
    """The first training row: its prompt as the model will see it, and what is paid for its gold."""

    prompt: str
    paid: Paid

    def lines(self) -> list[str]:
        return [
            "the first prompt, exactly as the model will see it:",
            *self.prompt.splitlines(),
            "-" * 20,
            f"its gold: {_golds(self.paid.golds)}",
            f"each reward pays for {self.paid.completion!r}: {self.paid.told()}",
        ]


def first_row(rewards: Sequence[Reward], rows: Sequence[Mapping[str, Any]], chat: Chat, settings: Settings) -> FirstRow:
    """Raises `RewardFailed` where a reward does, and `InvalidRun` where the template does."""
    [paid] = for_golds(rewards, rows[:1], settings, chat.completion_ids)
    return FirstRow(chat.render(rows[0]["prompt"]), paid)


def for_golds(
    rewards: Sequence[Reward], rows: Sequence[Mapping[str, Any]], settings: Settings, tokens: Tokens | None
) -> list[Paid]:
    """For each row its gold, written in the form for which the rewards together pay most."""
    found = []
    for row in rows:
        forms = [form.format(row["answer"]) for form in FORMS.values()] if row["answer"] else [""]
        if any(reward.function_is(judge) for reward in rewards):  # each of its calls has a price
            forms = [row["answer"]]
        paid = for_completions(rewards, [row] * len(forms), forms, settings, tokens)
        weights = {reward.name: reward.weight for reward in rewards}
        found.append(max(paid, key=lambda one: sum(weights[name] * (one.scores[name] or 0.0) for name in weights)))
    return found


def for_completions(
    rewards: Sequence[Reward],
    rows: Sequence[Mapping[str, Any]],
    completions: Sequence[str],
    settings: Settings,
    tokens: Tokens | None,
) -> list[Paid]:
    """What is paid for one completion of each row."""
    seconds, size = settings.reward_timeout_seconds, settings.completions_per_generation
    scores = {
        reward.name: in_batches(as_trl_function(reward, seconds, tokens), rows, completions, size) for reward in rewards
    }
    return [
        Paid(row["question"], row.get("answers") or [], text, {name: each[number] for name, each in scores.items()})
        for number, (row, text) in enumerate(zip(rows, completions, strict=True))
    ]


def lines(title: str, paid: Sequence[Paid]) -> Iterator[str]:
    """The table: three lines a row."""
    yield title
    for number, one in enumerate(paid, 1):
        yield f"{number}. {_short(one.question)}  gold: {_golds(one.golds)}"
        yield f"   completion: {_short(one.completion)!r}"
        yield f"   pays: {one.told()}"


def _golds(golds: Sequence[str]) -> str:
    return " | ".join(map(repr, golds)) or "none"


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= LONGEST else f"{one_line[:LONGEST]}..."
