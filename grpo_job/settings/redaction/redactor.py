"""Filters every output of this process: none has a secret, in any spelling."""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from grpo_job.settings.redaction.secrets import IN_ADDRESS, SHAPES, secret_values
from grpo_job.settings.redaction.spellings import Beginning, Spelling, beginnings, spellings, without_breaks

HIDDEN = "[secret]"


class Redactor:
    """Replaces secrets in texts, files and JSON values."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets: tuple[str, ...] = ()
        self._spellings: list[Spelling] = []
        self._beginnings: list[Beginning] = []
        self.know(secrets)

    def know(self, secrets: Iterable[str]) -> None:
        """Redact these too from now on, the longest first. No secret is forgotten."""
        self.secrets = tuple(sorted({*self.secrets, *secrets}, key=lambda secret: (-len(secret), secret)))
        self._spellings = [spelling for secret in self.secrets for spelling in spellings(secret)]
        self._beginnings = [beginning for secret in self.secrets for beginning in beginnings(secret)]

    def text(self, text: str) -> str:
        """
        >>> Redactor(["a secret+"]).text("it is 'a%20secret%2B', and hf_abcdefghijklmnop")
        "it is '[secret]', and [secret]"
        """
        unwrapped = without_breaks(text) if self._spellings else ""
        for spelling in (*self._spellings, *SHAPES, IN_ADDRESS):
            text = spelling.hidden(text, HIDDEN, unwrapped)
        for beginning in self._beginnings:
            text = beginning.hidden(text, HIDDEN)
        return text

    def content(self, content: bytes) -> bytes:
        """The bytes of a text, whatever its encoding: what is not UTF-8 stays as it is."""
        return self.text(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")

    def value(self, value: Any) -> Any:
        """A JSON value, with all strings and keys in it redacted; what JSON has no type for as its text.

        All strings are looked through together first: nearly no value holds a secret, and a step writes hundreds.
        """
        strings: list[str] = []

        def kept(text: str) -> str:
            strings.append(text)
            return text

        plain = _each_string(value, kept)
        return _each_string(plain, self.text) if self._sees("\n".join(strings)) else plain

    def _sees(self, text: str) -> bool:
        """Whether `text` would change anything. What it would hide in a part of the lines, it sees in all of them."""
        return self.refuses(text) or any(beginning.first.is_in(text) for beginning in self._beginnings)

    def refuses(self, text: str) -> bool:
        """Whether a secret is in `text`: a known one as a whole, or one by its shape."""
        return self.finds(text) or any(shape.is_in(text) for shape in (*SHAPES, IN_ADDRESS))

    def finds(self, text: str) -> bool:
        """Whether the value of a known secret is in `text`, in any spelling."""
        unwrapped = without_breaks(text)
        return any(
            spelling.is_in(text) or (spelling.wrapped and spelling.is_in(unwrapped)) for spelling in self._spellings
        )


def _each_string(value: Any, change: Callable[[str], str]) -> Any:
    """The JSON value with each string in it, keys too, changed."""
    match value:
        case str():
            return change(value)
        case dict():
            return {_each_string(key, change): _each_string(each, change) for key, each in value.items()}
        case list() | tuple():
            return [_each_string(each, change) for each in value]
        case int() | float() | None:
            return value
        case _:
            return change(str(value))


REDACTOR = Redactor()  # of this process; the command line tells it the environment before anything is written


class RedactedStream:
    """A text stream that writes nothing secret; all else is the stream's own."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(REDACTOR.text(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard(environment: Mapping[str, str]) -> Callable[[str], str]:
    """From now on standard output and error hold no secret of this environment; for others, what redacts a text."""
    REDACTOR.know(secret_values(environment))
    for name in ("stdout", "stderr"):
        if not isinstance(stream := getattr(sys, name), RedactedStream):
            setattr(sys, name, RedactedStream(stream))
    return REDACTOR.text
