"""Answers GRPO_SAMPLE_PROMPTS with base and adapter, side by side."""

from collections.abc import Callable
from functools import partial
from typing import Any

from grpo_job.engines.interface import Engine
from grpo_job.evaluation.completion import Completion
from grpo_job.inputs import dataset
from grpo_job.inputs.chat_template import Chat
from grpo_job.inputs.row_values import with_example
from grpo_job.phases.attempt import Attempt
from grpo_job.preflight import Checked
from grpo_job.run_folder.paths import WEIGHTS

# As the published reference run samples; see the recipe `tutorial`.
TEMPERATURE, TOP_P, MOST_TOKENS = 0.8, 0.95, 1024


def answer_sample_prompts(attempt: Attempt, engine: Engine, checked: Checked) -> None:
    """Write `samples` to the summary: for each question the prompt, and the answers before and after."""
    with attempt.progress.phase("evaluate", "answering GRPO_SAMPLE_PROMPTS"):
        _answer(attempt, engine, checked)


def _answer(attempt: Attempt, engine: Engine, checked: Checked) -> None:
    settings = attempt.settings
    prompts = [
        with_example(dataset.prompt_of(question, settings), checked.example)
        for question in _questions(settings.sample_prompts)
    ]
    lengths = Chat(checked.base.folder, settings).lengths(prompts) if prompts else []
    fitting = [prompt for prompt, tokens in zip(prompts, lengths, strict=True) if tokens < settings.max_seq_length]
    longest = max((tokens for tokens in lengths if tokens < settings.max_seq_length), default=0)
    if len(fitting) < len(prompts):
        attempt.progress.warn(
            f"GRPO_SAMPLE_PROMPTS: {len(prompts) - len(fitting)} of {len(prompts)} questions are left out because with "
            f"the system prompt they fill GRPO_MAX_SEQ_LENGTH={settings.max_seq_length}"
        )
    attempt.summary.update(samples=_answered(engine, fitting, longest, attempt) if fitting else [])


def _before(engine: Engine, ask: Callable[..., list[list[Completion]]], attempt: Attempt) -> list[list[Completion]]:
    """The answers of what training started from; the trained adapter is in memory before and after."""
    if not attempt.start:
        return ask(adapter="off")
    engine.load_adapter(attempt.folder.start_adapter)
    answers = ask(adapter="on")
    engine.load_adapter(attempt.folder.adapter / WEIGHTS)
    return answers


def _questions(text: str) -> list[str]:
    return [] if text == "none" else [one.strip() for one in text.split("|") if one.strip()]


def _answered(
    engine: Engine, prompts: list[list[dict[str, str]]], longest: int, attempt: Attempt
) -> list[dict[str, Any]]:
    ask = partial(
        engine.generate,
        prompts,
        max_tokens=min(MOST_TOKENS, attempt.settings.max_seq_length - longest),
        temperature=TEMPERATURE,
        top_p=TOP_P,
        seed=attempt.settings.seed,
    )
    before, after = _before(engine, ask, attempt), ask(adapter="on")
    return [
        {"prompt": prompt[-1]["content"], "before": old[0].text, "after": new[0].text}
        for prompt, old, new in zip(prompts, before, after, strict=True)
    ]
