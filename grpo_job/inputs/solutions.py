r"""What the warm start teaches for a row: its worked solution, as the prompt asks for it and the rewards pay for it."""

from collections.abc import Collection, Sequence

from grpo_job.inputs.rendering import Message
from grpo_job.rewards import tags

THINK, REASONING = "<think>", "<reasoning>"
# Of the menu, those that read the answer block alone, and those for which all outside of the thoughts is the answer.
IN_BLOCK = {"correct", "format_tags", "tag_count", "xmlcount", "soft_format", "strict_format", "int", "correctness"}
ALL_SAID = {"exact", "one_of", "choice", "yes_no"}


def written(work: str, answer: str, prompt: Sequence[Message], rewards: Collection[str]) -> str:
    r"""The completion to learn. `rewards`: the names of the run's.

    >>> written("48 + 24", "72", [{"role": "system", "content": r"Use \boxed{}."}], ["correct_anywhere"])
    '48 + 24\n\n\\boxed{72}'
    >>> written("48 + 24", "72", [], ["correct_anywhere", "think_format"])
    '<think>\n48 + 24\n</think>\n\n72'
    """
    asked = "\n".join(message["content"] for message in prompt)
    thinks = THINK in asked or "think_format" in rewards
    in_block = "<answer>" in asked or not IN_BLOCK.isdisjoint(rewards)
    for tag in (*tags.TAGS, THINK, _closing(THINK)):
        work = work.replace(tag, "")
    if not thinks and (in_block or not ALL_SAID.isdisjoint(rewards)):
        return tags.in_format(work, answer)
    shown = f"<answer>\n{answer}\n</answer>" if in_block else _as_asked(answer, asked)
    return f"{THINK}\n{work.strip()}\n{_closing(THINK)}\n\n{shown}" if thinks else f"{work.strip()}\n\n{shown}"


def going_on(opening: str, solution: str) -> str:
    r"""The completion as it goes on where the prompt ends with the tag `opening` of its reasoning.

    >>> going_on("<think>", "<reasoning>6</reasoning><answer>6</answer>"), going_on("<think>", "2 + 4\n\n6")
    ('6</think><answer>6</answer>', '2 + 4\n</think>\n\n6')
    """
    if not opening:
        return solution
    for tag in (REASONING, THINK):
        if solution.startswith(tag):
            return solution.removeprefix(tag).replace(_closing(tag), _closing(opening)).lstrip()
    work, _, shown = solution.rpartition("\n\n")
    return f"{work}\n{_closing(opening)}\n\n{shown}"


def _as_asked(answer: str, asked: str) -> str:
    if "\\boxed" in asked:
        return f"\\boxed{{{answer}}}"
    return f"#### {answer}" if "####" in asked else answer


def _closing(tag: str) -> str:
    return tag.replace("<", "</")
