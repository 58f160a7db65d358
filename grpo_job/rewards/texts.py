"""Completions, prompts and answers that a reward can read whatever type it was written for.

TRL hands over completions and prompts as texts if the rows' prompts are texts, as messages if they are chats, and an
answer of the type that it has in the rows. Here an answer is a text.
"""

import numbers
from fractions import Fraction
from typing import Any


class Text(str):
    """A completion for a batch: a text whose first and last item is the message too.

    >>> text = Text("four")
    >>> text[0]["content"], text[-1]["content"], len(text), text.upper(), text[:2]
    ('four', 'four', 4, 'FOUR', 'fo')
    >>> text[0] == "f", text[-1] in ("e", "r"), text[0].isupper()
    (True, True, False)
    """

    def __getitem__(self, place: Any) -> Any:
        if place in (0, -1):
            return _Message(self, super().__getitem__(place) if self else "")
        return super().__getitem__(place)


class _Message(dict[str, str]):
    """A message that equals the character of its text at the same place, and has that one's methods."""

    _character = ""

    def __init__(self, content: str, character: str) -> None:
        super().__init__(role="assistant", content=str(content))
        self._character = character

    def __eq__(self, other: object) -> bool:
        return self._character == other if isinstance(other, str) else super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none; a set of characters is asked with it
        return hash(self._character)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._character, name)


class Prompt(list[dict[str, str]]):
    """A prompt: its messages; a text is in it if it is in the last one, which is the question.

    >>> prompt = Prompt([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}])
    >>> "2 + 2" in prompt, "brief" in prompt, prompt[-1]["content"]
    (True, False, '2 + 2?')
    """

    def __contains__(self, part: object) -> bool:
        return part in self[-1]["content"] if self and isinstance(part, str) else super().__contains__(part)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a prompt is a list of messages and has no {name!r}; its text is `question`")


class Answer(str):
    """A right answer: a text that equals the number or the boolean that it is.

    >>> Answer("72") == 72, Answer("0.1") == 0.1, Answer("true") == True, Answer("72") == "72", Answer("two") == 2
    (True, True, True, True, False)
    """

    def __eq__(self, other: object) -> bool:
        if isinstance(other, bool):
            return str(self) == str(other).lower()
        if not isinstance(other, numbers.Real):
            return super().__eq__(other)
        try:
            return bool((Fraction(self) if isinstance(other, numbers.Rational) else float(self)) == other)
        except (ValueError, ZeroDivisionError, OverflowError):
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__
