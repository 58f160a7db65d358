"""A published adapter, served as a stranger would: by transformers and PEFT on a CPU, by `vllm serve` on a GPU.

Both answer through `Ask`. Neither runs in this process, or gets a secret of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from grpo_job.engines.interface import Adapter
from grpo_job.settings.redaction.secrets import NAMED


class Answer(NamedTuple):
    """A greedy answer. `gap`: by how many nats its first token that differs from the recorded answer was more likely
    than the recorded one; 0 for an equal answer."""

    text: str
    gap: float = 0.0


class Model(NamedTuple):
    """What is served: folders of base and adapter (None: the base alone), and the adapter's rank.

    `ends` are the token ids that end an answer, `longest` the tokens of prompt and answer.
    """

    base: Path
    adapter: Path | None
    rank: int
    max_tokens: int
    longest: int
    ends: Mapping[int, str]


# Rendered prompts, the answers recorded for them, and whether the adapter is on -> an answer for each prompt.
Ask = Callable[[Sequence[str], Sequence[str], Adapter], list[Answer]]


@contextmanager
def serving(model: Model, environment: Mapping[str, str], *, on_gpu: bool) -> Iterator[Ask]:
    """Serve the model meanwhile. Raises `Abandoned`, with the server's reason, if it cannot be loaded or asked."""
    clean = {name: value for name, value in environment.items() if not NAMED.search(name)}
    clean |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if on_gpu:
        from grpo_job.engines.served import vllm_server as server
    else:
        from grpo_job.engines.served import peft_process as server  # type: ignore[no-redef]
    with server.serving(model, clean) as ask:
        yield ask


def gap(likely: Mapping[str, float], chosen: str, left: str) -> float:
    """By how much the `chosen` next text leads the best one that the rest of a recorded answer, `left`, begins with.

    `likely`: log-probabilities of the likeliest next texts, "" for the end. Infinite if none of them fits.

    >>> gap({"4": -0.7, " 5": -0.8, "": -3.0}, "4", " 5 apples") < 0.11
    True
    >>> gap({"4": -0.7, "": -0.9}, "4", " 5"), round(gap({"4": -0.7, "": -0.9}, "4", ""), 1)
    (inf, 0.2)
    """
    fitting = [value for text, value in likely.items() if (left.startswith(text) if text else not left)]
    best = likely.get(chosen, max(likely.values(), default=0.0))
    return max(0.0, best - max(fitting)) if fitting else float("inf")
