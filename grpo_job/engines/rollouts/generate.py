"""Completions from vLLM: for TRL's trainer through `Rollouts`, for evaluation through `generate`."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from types import MappingProxyType
from typing import Any

from numpy.random import SeedSequence

from grpo_job.engines.interface import Adapter
from grpo_job.engines.patches.gc_pause import no_collection
from grpo_job.engines.rollouts.shared_weights import SharedWeights, UnfoldedWeights
from grpo_job.engines.rollouts.weight_sync import OwnWeights, SeparateWeights
from grpo_job.evaluation.completion import Completion

Weights = OwnWeights | SeparateWeights | SharedWeights | UnfoldedWeights


class Seeds:
    """A seed for each prompt of each generation: what a step draws does not depend on what was drawn before."""

    def __init__(self, seed: int) -> None:
        self.seed, self.step, self.generations = seed, -1, 0

    def draw(self, step: int, prompts: int) -> list[int]:
        """Seeds below 2**32, one a prompt; another call within the same step gets others."""
        self.generations = self.generations + 1 if step == self.step else 0
        self.step = step
        return [int(seed) for seed in SeedSequence([self.seed, step, self.generations]).generate_state(prompts)]


def seed_of(seed: int, group: int) -> int:
    """What a group of ranks draws with: those that drew alike would answer alike. That of the first is the run's own.

    >>> seed_of(42, 0)
    42
    """
    return int(SeedSequence([seed, group]).generate_state(1)[0]) if group else seed


class Rollouts:
    """Stands in for TRL's `VLLMGeneration`: the same two methods, without what this job does not need.

    Has no attribute `llm`: Unsloth's trainer would see shared weights there and never call
    `sync_weights`.
    """

    def __init__(self, trainer: Any, llm: Any, weights: Weights, *, log_probs: bool) -> None:
        """Samples as `trainer` was told to; its step, with its seed, decides what each prompt draws."""
        self.trainer, self.llm, self.weights, self.log_probs = trainer, llm, weights, log_probs
        self.seeds = Seeds(trainer.args.seed)
        theirs = trainer.vllm_generation
        self.sampling = {
            "temperature": theirs.temperature,
            "top_p": theirs.top_p,
            "top_k": theirs.top_k,
            "min_p": theirs.min_p or 0.0,
            "repetition_penalty": theirs.repetition_penalty,
            "max_tokens": theirs.max_completion_length,
            **theirs.generation_kwargs,
            "logprobs": 0 if log_probs else None,
            "detokenize": False,  # the trainer decodes
        }

    def sync_weights(self) -> None:
        """The optimizer has stepped: what vLLM holds is old."""
        self.weights.changed()

    def generate(
        self, prompts: list[list[int]], images: Any, num_generations: int, profiler: Any = None
    ) -> tuple[list[list[int]], list[list[int]], list[list[list[float | None]]], None]:
        """`prompts`, token ids, holds each prompt `num_generations` times in a row; so do the answers.

        Returns `prompts`, each completion's token ids and their log-probabilities, one a token, and no extra fields.
        """
        from vllm import SamplingParams

        distinct = prompts[::num_generations]
        sampling = [
            SamplingParams(**self.sampling, n=num_generations, seed=seed)
            for seed in self.seeds.draw(self.trainer.state.global_step, len(distinct))
        ]
        with profiler or nullcontext(), no_collection():
            outputs = _ask(self.llm, self.weights.serve("on"), distinct, sampling)
        completions = [completion for output in outputs for completion in output.outputs]
        return (
            prompts,
            [list(completion.token_ids) for completion in completions],
            [self._log_probs_of(completion) for completion in completions],
            None,
        )

    def _log_probs_of(self, completion: Any) -> list[list[float | None]]:
        """None, which TRL knows as "not scored", where nobody reads them: vLLM's kernel for them is slow."""
        if not self.log_probs:
            return [[None]] * len(completion.token_ids)
        values = [next(iter(entry.values())).logprob for entry in completion.logprobs]
        return [[None if value != value else value] for value in values]


def generate(
    llm: Any,
    tokenizer: Any,
    weights: Weights,
    texts: Sequence[str],
    *,
    adapter: Adapter,
    max_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    further: Mapping[str, Any] = MappingProxyType({}),
    samples: int = 1,
    seed: int = 0,
    on_answers: Callable[[int, int], object] = lambda done, asked: None,
) -> list[list[Completion]]:
    """`samples` answers to each rendered prompt, with the adapter on or off; greedy at temperature 0.

    `on_answers` is told how many answers are there, and how many were asked for.
    Leaves every random number generator as it was: each request brings a seed of its own.
    """
    from vllm import SamplingParams

    ids = [tokenizer(text=text, add_special_tokens=False)["input_ids"] for text in texts]
    common = {"temperature": temperature, "top_p": top_p, "top_k": top_k, "min_p": min_p or 0.0, "detokenize": False,
              "repetition_penalty": repetition_penalty, "max_tokens": max_tokens, "n": samples if temperature else 1,
              **further}  # fmt: skip
    # What was asked before must not change an answer's last bits, so the prefix cache is left out.
    sampling = [
        SamplingParams(**common, seed=seed + index * samples, skip_reading_prefix_cache=True)
        for index in range(len(ids))
    ]
    with no_collection():
        told = partial(_told, on_answers, common["n"] * len(ids))
        outputs = _ask(llm, weights.serve(adapter, unfolded=True), ids, sampling, told)
    answers = [_completions(tokenizer, output.outputs) for output in outputs]
    return answers if temperature else [one * samples for one in answers]


def _completions(tokenizer: Any, outputs: Sequence[Any]) -> list[Completion]:
    texts = tokenizer.batch_decode([list(one.token_ids) for one in outputs], skip_special_tokens=True)
    return [
        Completion(text, len(one.token_ids), one.finish_reason == "length")
        for text, one in zip(texts, outputs, strict=True)
    ]


def _ask(engine: Any, lora_request: Any, ids: Sequence[list[int]], sampling: Any, told: Any = False) -> list[Any]:
    """`told`: what vLLM takes as `use_tqdm`."""
    prompts = [{"prompt_token_ids": list(one)} for one in ids]
    outputs: list[Any] = engine.generate(prompts, sampling, use_tqdm=told, lora_request=lora_request)
    return outputs


class _Told:
    """As much of a tqdm bar as vLLM uses, told to `on_answers` in place of being drawn."""

    postfix = ""

    def __init__(self, on_answers: Callable[[int, int], object], asked: int) -> None:
        self.n, self._on_answers, self._asked, self._began = 0, on_answers, asked, time.perf_counter()

    @property
    def format_dict(self) -> dict[str, float]:
        return {"elapsed": time.perf_counter() - self._began}

    def update(self, more: int) -> None:
        self.n += more
        self._on_answers(self.n, self._asked)

    def refresh(self) -> None: ...

    def close(self) -> None: ...


def _told(on_answers: Callable[[int, int], object], asked: int, waiting: Any = None, **_: Any) -> Any:
    """For vLLM's `use_tqdm`, which is asked for two bars: over the prompts that are `waiting`, and of the answers."""
    return _Told(on_answers, asked) if waiting is None else waiting
