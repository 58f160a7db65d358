"""What the probe saw of the base, and, where no group gives a gradient, why and which setting helps. Pure."""

from typing import NamedTuple

from grpo_job.settings.example import OFF
from grpo_job.settings.schema import Settings

ALIKE = 1e-6  # rewards that differ by less are equal
# Share of the groups. With an eighth, 250 steps taught SmolLM2-135M sums (17 to 94 % right), but nothing of GSM8K.
FAINT = 0.2

WITHOUT_RIGHT_ANSWERS = (
    "learn the rows' solutions first (GRPO_WARM_START_STEPS), use easier rows or a larger GRPO_MODEL, or raise "
    "GRPO_NUM_GENERATIONS"
)


class Longer(NamedTuple):
    """How long completions are that may be longer: `limit` tokens at most, `fits` holds nine of ten, None if none does.

    `ended` of `asked` completions ended before the limit.
    """

    limit: int
    asked: int
    ended: int
    fits: int | None


class Probe(NamedTuple):
    """How the base performs: shares between 0 and 1, lengths in tokens.

    `accuracy`: right anywhere in the text; `in_tags`: right in the answer block; both None where no row has an answer.
    `lacks_format`: right answers, none of them in the tags, where the same ones would earn more. `ungraded`: paid None
    by every reward.
    """

    groups: int
    with_spread: int
    reward: float
    best: float
    accuracy: float | None
    in_tags: float | None
    lacks_format: bool
    length: float
    clipped: float
    ungraded: float = 0.0

    def sentence(self) -> str:
        answers = "" if self.accuracy is None else f"accuracy {self.accuracy:.1%} ({self.in_tags or 0:.1%} in tags), "
        return (
            f"{self.with_spread} of {self.groups} groups have a non-zero reward std, mean reward {self.reward:.3g}, "
            f"{answers}{self.length:.0f} tokens, {self.clipped:.0%} truncated"
        )

    def hopeless(self, settings: Settings, longer: Longer | None = None) -> str | None:
        """Why training cannot learn, with the setting that helps; None if any group has a signal."""
        if self.with_spread:
            return None
        why = f"before step 1 all {self.groups} groups of {settings.num_generations} completions had zero reward std "
        earned = f"each earned {self.reward:.3g}" if self._earn_alike else f"they earned {self.reward:.3g} on average"
        if self.ungraded == 1.0:
            earned = "none was graded"
        return f"{why}({earned}): {self._reason(settings, longer)}"

    def rare(self, settings: Settings, better: int, asked: int) -> str | None:
        """What to expect where no group has a signal, but `better` of the `asked` held-out answers earn more than any.

        None where none does, and where a setting would give a signal.
        """
        curable = self.lacks_format or self.is_truncated(settings) or not self._earn_alike
        if self.with_spread or not better or curable:
            return None
        return (
            f"before step 1 all {self.groups} groups of {settings.num_generations} completions had zero reward std "
            f"(each earned {self.reward:.3g}), but {better} of {asked} held-out answers earn more, so that training "
            f"may learn little: {WITHOUT_RIGHT_ANSWERS}"
        )

    def faint(self, settings: Settings) -> str | None:
        """What to expect where few groups have a signal, with the setting that helps; None where enough have, or none.

        A warm start is not judged by what it begins with.
        """
        if not 0 < self.with_spread < FAINT * self.groups or settings.warm_start_steps:
            return None
        nearly_solved = self.accuracy is not None and self.accuracy > 1 / 2
        cure = "use harder rows" if nearly_solved else WITHOUT_RIGHT_ANSWERS
        few = f"before step 1 only {self.with_spread} of {self.groups} groups of {settings.num_generations} completions"
        return f"{few} had a non-zero reward std, so that training may learn little: {cure}"

    def is_truncated(self, settings: Settings) -> bool:
        return self.clipped > settings.health_clipped_share

    @property
    def _earn_alike(self) -> bool:
        """Whether all completions of all groups earn the same."""
        return self.best - self.reward <= ALIKE

    def _reason(self, settings: Settings, longer: Longer | None) -> str:
        if self.is_truncated(settings):
            return _truncated(self.clipped, settings, longer)
        if self.ungraded == 1.0:
            return (
                "every reward paid None for every completion: check GRPO_REWARDS, and the service of the reward judge"
            )
        if not self._earn_alike:
            return (
                "each prompt is either always or never answered well: raise GRPO_NUM_GENERATIONS "
                f"(now {settings.num_generations}) or GRPO_TEMPERATURE (now {settings.temperature:g})"
            )
        if self.lacks_format:
            return (
                f"{self.accuracy:.1%} of the completions have the right answer, but none has it in <answer> tags, "
                f"where GRPO_REWARDS looks for it: {_cure_of_format(settings)}, or reward the answer anywhere "
                "(GRPO_REWARDS=correct_anywhere:2)"
            )
        if self.accuracy == 1.0:
            return f"the {settings.beginning} already solves these rows; use harder ones"
        if self.accuracy == 0.0:
            return (
                f"no completion has the right answer, in tags or elsewhere: {WITHOUT_RIGHT_ANSWERS}; "
                "if the completions do answer, check GRPO_ANSWER_COLUMN"
            )
        right = "" if self.accuracy is None else f", though {self.accuracy:.1%} of them have the right answer"
        return f"GRPO_REWARDS pays every completion the same{right}: check each reward, or choose others"


def _cure_of_format(settings: Settings) -> str:
    if settings.example == OFF:
        return "set GRPO_EXAMPLE=auto, which puts a worked example into the prompt"
    return "a worked example in the prompt did not help, so give one like your rows as GRPO_EXAMPLE"


def _truncated(share: float, settings: Settings, longer: Longer | None) -> str:
    said = f"{share:.0%} were truncated: raise GRPO_MAX_COMPLETION_LENGTH (now {settings.max_completion_length})"
    if longer is None:
        sequence = settings.max_seq_length
        return f"{said} and with it GRPO_MAX_SEQ_LENGTH (now {sequence}), or ask for shorter answers"
    if longer.fits is not None:
        return f"{said} to {longer.fits}, which holds nine of ten completions, or ask for shorter answers"
    return (
        f"{said} beyond {longer.limit}, within which only {longer.ended} of {longer.asked} completions ended, and with "
        f"it GRPO_MAX_SEQ_LENGTH (now {settings.max_seq_length}), or ask for shorter answers"
    )
