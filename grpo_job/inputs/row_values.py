"""What one cell of a row means: a prompt as messages, and the right answers as texts. Pure.

A prompt is a text, or a list of messages (`role` and `content`, or ShareGPT's `from` and `value`). An answer is a text,
a number, a boolean, or a list of several right ones. Anything else is an `Unreadable`, and no container is ever
turned into text.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from grpo_job.rewards import answers, latex, quantities, tags
from grpo_job.settings import example as examples

Message = dict[str, str]

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
MESSAGES_AS_TEXT = re.compile(r"\[\s*\{\s*([\"'])(role|content|from|value)\1\s*:")
ROLE_IN_TEXT = re.compile(rf"([\"'])(?:role|from)\1\s*:\s*([\"'])(?:{'|'.join(ROLES)})\2")
CALCULATOR = re.compile(r"<<[^<>]*>>")


class Unreadable(ValueError):
    """A cell that is neither a prompt nor an answer; the text says what it is instead."""


class Asked(NamedTuple):
    """A prompt: its `messages`, and the assistant's own last turn that stood behind them, if any."""

    messages: list[Message]
    reply: str | None

    def question(self) -> str:
        """What is asked, without the system message: the only turn's text, or all turns with their roles."""
        turns = [message for message in self.messages if message["role"] != "system"]
        if len(turns) == 1:
            return turns[0]["content"]
        return "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)


def at(row: Mapping[str, Any], column: str) -> Any:
    """The cell, also inside another: `reward_model.ground_truth`. None where it is not there.

    >>> at({"reward_model": {"ground_truth": "72"}}, "reward_model.ground_truth")
    '72'
    """
    if column in row:
        return row[column]
    outer, dot, inner = column.partition(".")
    below = row.get(outer) if dot else None
    return at(below, inner) if isinstance(below, Mapping) else None


def asked(value: Any, system_prompt: str = "") -> Asked:
    """The prompt, with `system_prompt` in front where its system message is blank or missing; no turns if it is empty.

    >>> asked([{"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4"}])
    Asked(messages=[{'role': 'user', 'content': '2 + 2?'}], reply='4')
    """
    turns, reply = _turns(value), None
    if turns and turns[-1]["role"] == "assistant":
        reply = turns.pop()["content"]
    if any(turn["role"] != "system" for turn in turns) and turns[-1]["role"] != "user":
        raise Unreadable(f"a list of messages that ends with one of {turns[-1]['role']}, where a user's is needed")
    if not any(turn["role"] == "user" and turn["content"].strip() for turn in turns):
        return Asked([], reply)
    blank = turns[0]["role"] == "system" and not turns[0]["content"].strip()
    if system_prompt and (blank or turns[0]["role"] != "system"):
        turns[: int(blank)] = [{"role": "system", "content": system_prompt}]
    return Asked(turns, reply)


def with_example(messages: Sequence[Message], example: str) -> list[Message]:
    """The prompt with a worked example at the end of its system message; unchanged where either is empty."""
    if not example or not messages:
        return list(messages)
    own = messages[0]["content"] if messages[0]["role"] == "system" else ""
    turns = messages[1:] if messages[0]["role"] == "system" else messages
    return [{"role": "system", "content": examples.joined(own, example)}, *turns]


def golds(value: Any) -> list[str]:
    r"""All right answers; none where the cell is empty, null or NaN. Of messages, the last assistant turn is it.

    >>> golds(["72", 72.5, True, None]), golds("so it is \\boxed{\\frac{1}{2}}."), golds(None)
    (['72', '72.5', 'true'], ['\\frac{1}{2}'], [])
    """
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if value and all(isinstance(each, Mapping) for each in value):
            reply = asked(value).reply
            return golds(reply)
        if nested := [each for each in value if _is_container(each)]:
            raise Unreadable(f"a list of {_named(nested[0])}")
        if any(each is True for each in value) and any(each is False for each in value):
            raise Unreadable("a list with true and false, which cannot both be right")
        return list(dict.fromkeys(gold for each in value for gold in golds(each)))
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if value is None or _is_nan(value):
        return []
    if isinstance(value, int | float | Decimal):
        return [_digits(value)]
    if isinstance(value, str):
        if MESSAGES_AS_TEXT.match(value.strip()) and ROLE_IN_TEXT.search(value):
            return golds(asked(value).reply)
        found = gold(value)
        return [found] if found else []
    raise Unreadable(_named(value))


def solution(value: Any) -> str:
    """The work of a worked solution: without GSM8K's calculator notes and without `#### 72`; empty if it is no text.

    >>> solution("48 + 24 = <<48+24=72>>72\\n#### 72")
    '48 + 24 = 72'
    """
    if not isinstance(value, str):
        return ""
    return CALCULATOR.sub("", value.rsplit("####", 1)[0]).strip()


def gold(text: str) -> str:
    r"""What is in the last answer block, behind the last `####`, in the last balanced `\boxed{}`, or the whole text.

    Thoughts (`<think>`) are no part of it. Behind `####` the number of its line is enough, for other lines may say it
    again (MetaMathQA).

    >>> gold("48 + 24 = 72\n#### 72\nThe answer is: 72"), gold("So \\fbox{x_{1}}."), gold(" 72 ")
    ('72', 'x_{1}', '72')
    """
    text = answers.extract_answer(text) or tags.after_thoughts(text)
    if "####" in text:
        behind = text.rsplit("####", 1)[-1].strip()
        line = behind.partition("\n")[0]
        return line.strip() if quantities.quantity(line) else behind
    return latex.last_box(text) if latex.boxes(text) else text.strip()


def _turns(value: Any) -> list[Message]:
    if value is None or _is_nan(value):
        return []
    if isinstance(value, str):
        return _turns_of_text(value)
    if isinstance(value, int | float | Decimal):
        return [{"role": "user", "content": str(value)}]
    if isinstance(value, Mapping) and any(isinstance(part, list) for part in value.values()):
        names = [name for name in ("role", "content", "from", "value") if isinstance(value.get(name), list)]
        if len(names) == 2:  # a column of structs, as some versions of `datasets` give it
            return _turns([dict(zip(names, pair, strict=True)) for pair in zip(*map(value.get, names), strict=True)])
    if isinstance(value, list | tuple) and all(isinstance(each, Mapping) for each in value):
        return [_turn(each) for each in value]
    raise Unreadable(_named(value))


def _turns_of_text(text: str) -> list[Message]:
    """A text is the user's turn; a list of messages written as JSON is what it says."""
    stripped = text.strip()
    if MESSAGES_AS_TEXT.match(stripped):
        try:
            listed = json.loads(stripped)
        except ValueError:
            raise Unreadable("a list of messages as Python prints it; write it as JSON") from None
        return _turns(listed)
    return [{"role": "user", "content": stripped}]


def _turn(message: Mapping[str, Any]) -> Message:
    if "role" not in message and "from" not in message:
        raise Unreadable(f"a list of dictionaries with {', '.join(map(str, message)) or 'nothing in them'}")
    role = message.get("role") or message.get("from")
    content = message["content"] if "content" in message else message.get("value")
    if not isinstance(role, str) or role not in ROLES:
        raise Unreadable(f"a list of messages, one with the role {role!r} (allowed: {', '.join(ROLES)})")
    if isinstance(content, Sequence) and not isinstance(content, str | bytes):
        parts: list[Any] = [part.get("text") if isinstance(part, Mapping) else part for part in content]
        content = "".join(parts) if all(isinstance(part, str) for part in parts) else content
    if content is not None and not isinstance(content, str):
        raise Unreadable(f"a list of messages, one with {_named(content)} as its content")
    return {"role": ROLES[role], "content": content or ""}


def _digits(value: float | Decimal) -> str:
    """A number without the last digits that computing with doubles leaves behind: 1.1 * 3 is 3.3."""
    whole = str(value)
    short = str(float(f"{value:.15g}")) if isinstance(value, float) else whole  # 15 digits are sure in a double
    return short if len(short) + 5 < len(whole) else whole


def _is_nan(value: Any) -> bool:
    """Also as tables write it in CSV."""
    return value in ("NaN", "nan") if isinstance(value, str) else isinstance(value, float) and math.isnan(value)


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str)


def _named(value: Any) -> str:
    """The type for people, with the keys of a dictionary."""
    if isinstance(value, Mapping):
        return f"a dictionary with {', '.join(map(str, value)) or 'nothing in it'}"
    if isinstance(value, list) and value:
        return f"a list of {type(value[0]).__name__}"
    return "bytes" if isinstance(value, bytes) else f"a value of type {type(value).__name__}"
