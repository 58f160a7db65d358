"""A completion, with what its text does not tell."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

# A number or word of Latin letters that the text ends with; other scripts part words otherwise, or not at all.
_LAST_WORD = re.compile(r"[\w.,:/$%+-]+\Z", re.ASCII)


class Truncated(str):
    """The text of a completion that the limit ended: no end token follows it."""


class Completion(NamedTuple):
    """`tokens` as they were generated, the end token among them; `truncated` if the limit ended it."""

    text: str
    tokens: int
    truncated: bool

    @property
    def said(self) -> str:
        """The text for rewards, which tells whether it is whole."""
        return Truncated(self.text) if self.truncated else self.text

    @property
    def whole_words(self) -> str:
        """What a grader may read: a truncated completion may have been cut off within its last word or number.

        >>> Completion("16, and 16 is 1", tokens=8, truncated=True).whole_words
        '16, and 16 is '
        """
        return _LAST_WORD.sub("", self.text) if self.truncated else self.text


def said(record: Mapping[str, Any]) -> str:
    """The same of the record of an evaluation."""
    return Truncated(record["completion"]) if record.get("truncated") else str(record["completion"])
