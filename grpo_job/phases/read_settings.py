"""Settings from the environment and the command line, with every fault at once: odd variables, unknown rewards."""

from collections.abc import MutableMapping, Sequence

from grpo_job import rewards
from grpo_job.rewards.judgements import JUDGEMENTS
from grpo_job.runtime import launched
from grpo_job.settings.reader import Resolved, assigned, resolve
from grpo_job.settings.redaction.redactor import REDACTOR
from grpo_job.settings.redaction.secrets import secret_values
from grpo_job.settings.schema import Settings


def read(environment: MutableMapping[str, str], assignments: Sequence[str]) -> Resolved:
    """The settings; `assignments` are those of `--set`. Repairs what launchers leave around variables.

    From then on no output holds a secret of this environment. Raises `InvalidRun` with every fault.
    """
    untidy = launched.tidy(environment)
    REDACTOR.know(secret_values(environment))
    JUDGEMENTS.key, JUDGEMENTS.hide = environment.get("OPENAI_API_KEY", ""), REDACTOR.text
    return resolve(environment, assigned(assignments), [unknown_rewards, lambda _: untidy])


def unknown_rewards(settings: Settings) -> list[str]:
    """A sentence for each reward that is not there."""
    return rewards.unknown(name for name, _ in settings.rewards)
