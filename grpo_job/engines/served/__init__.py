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


class Step(NamedTuple):
    """A token of an answer: its text ("" for the end), the log-probabilities of the likeliest texts there, and the
    characters before it, which the recorded answer has, too."""

    place: int
    chosen: str
    likely: Mapping[str, float]

    def gap(self, recorded: str, agreed: int) -> float:
        """By how much its token leads the likeliest one of the recorded answer that reaches beyond `agreed`."""
        left = recorded[self.place :]
        fits = {text: left.startswith(text) and self.place + len(text) > agreed for text in self.likely}
        fits[""] = not left
        fitting = [value for text, value in self.likely.items() if fits[text]]
        best = self.likely.get(self.chosen, max(self.likely.values(), default=0.0))
        return max(0.0, best - max(fitting)) if fitting else float("inf")


def gap(steps: Sequence[Step], recorded: str) -> float:
    """By how much an answer's token leads the recorded answer's where the two part. Infinite if that one is not likely.

    They part at the last of the steps, or before it, where a recorded token began with the texts of several.

    >>> round(gap([Step(0, "4", {"4": -0.7, " 5": -0.8, "": -3.0})], " 5 apples"), 1)
    0.1
    >>> ends = [Step(0, "4", {"4": -0.7, "": -0.9})]
    >>> gap(ends, " 5"), round(gap(ends, ""), 1)
    (inf, 0.2)
    >>> round(gap([Step(0, " ", {" ": -0.7, " both": -0.9}), Step(1, "9", {"9": -0.1, "8": -3.0})], " both sides"), 1)
    0.2
    """
    return min(step.gap(recorded, steps[-1].place) for step in steps)
