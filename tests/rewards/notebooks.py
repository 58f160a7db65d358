"""Rewards with the signatures that public notebooks and docs have; their bodies are the test's own."""

import re
from collections.abc import Callable
from typing import Any


# Notebooks over GSM8K: chats, the answer in tags, the first row printed.
def correctness_reward_func(prompts, completions, answer, **kwargs) -> list[float]:  # type: ignore[no-untyped-def]
    responses = [completion[0]["content"] for completion in completions]
    question = prompts[0][-1]["content"]
    said = [text.split("<answer>")[-1].split("</answer>")[0].strip() for text in responses]
    print("-" * 20, f"Question:\n{question}", f"\nAnswer:\n{answer[0]}", f"\nExtracted:\n{said[0]}")
    return [2.0 if each == gold else 0.0 for each, gold in zip(said, answer, strict=True)]


def int_reward_func(completions, **kwargs) -> list[float]:  # type: ignore[no-untyped-def]
    responses = [completion[0]["content"] for completion in completions]
    return [0.5 if text.split("<answer>")[-1].split("<")[0].strip().isdigit() else 0.0 for text in responses]


# TRL's documentation: completions are texts, for the prompts are.
def reward_len(completions, **kwargs):  # type: ignore[no-untyped-def]
    return [-abs(20 - len(completion)) for completion in completions]


def reward_num_unique_letters(completions, **kwargs):  # type: ignore[no-untyped-def]
    contents = [completion[0]["content"] for completion in completions]
    return [float(len(set(content))) for content in contents]


# and with a column of the rows: the box is compared with it
def reward_func(completions, ground_truth, **kwargs):  # type: ignore[no-untyped-def]
    found = [re.search(r"\\boxed\{(.*?)\}", completion) for completion in completions]
    return [1.0 if box and box.group(1) == gold else 0.0 for box, gold in zip(found, ground_truth, strict=True)]


async def async_reward_func(prompts, completions, **kwargs):  # type: ignore[no-untyped-def]
    import asyncio

    await asyncio.sleep(0)
    return [float(len(completion[0]["content"].split())) for completion in completions]


def multi_task_reward(prompts, completions, task, **kwargs):  # type: ignore[no-untyped-def]
    return [1.0 if kind == "math" and "4" in text else None for text, kind in zip(completions, task, strict=True)]


# Countdown: texts, two columns, the opening tag put in front by hand.
def equation_reward_func(completions, target, nums, **kwargs):  # type: ignore[no-untyped-def]
    rewards = []
    for completion, gold, numbers in zip(completions, target, nums, strict=True):
        completion = "<think>" + completion
        equation = re.search(r"<answer>(.*?)<\/answer>", completion)
        used = sorted(int(n) for n in re.findall(r"\d+", equation.group(1))) if equation else []
        rewards.append(1.0 if used == sorted(numbers) and sum(used) == int(gold) else 0.0)
    return rewards


# A factory, as for the length penalty in TRL: it asks for token ids alone.
def get_length_penalty(longest: int, cache: int) -> Callable[..., list[float]]:
    def length_penalty(completion_ids: list[list[int]], **kwargs) -> list[float]:  # type: ignore[no-untyped-def]
        return [min(0.0, (longest - cache - len(ids)) / cache) for ids in completion_ids]

    return length_penalty


length_penalty = get_length_penalty(10, 5)


# verl: one completion, its own names.
def compute_score(data_source, solution_str, ground_truth, extra_info=None):  # type: ignore[no-untyped-def]
    bonus = 0.5 if extra_info and extra_info["index"] == 7 else 0.0
    return bonus + (data_source == "sums" and solution_str.strip().endswith(ground_truth))


ALL: dict[str, Any] = {
    name: value for name, value in list(globals().items()) if callable(value) and name not in ("Any", "Callable")
}
ALL.pop("get_length_penalty")
