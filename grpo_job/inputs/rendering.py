"""Runs a chat template, which is third-party code: in a sandbox, and first in a process with a deadline and limits.

What that process has rendered for all rows, the same template renders again in any process of the run.
Imports only Jinja2, so that the process starts at once.
"""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

Message = dict[str, str]

SECONDS, SECONDS_A_PROMPT = 20.0, 0.01
MEMORY = 4 * 2**30  # bytes of address space of the process that renders
# Characters of one prompt: a template may repeat what it is given, and add instructions.
FIXED_SIZE, SIZE_FACTOR = 1_000_000, 10
PROBE = "A system message."

# Transformers' tags around assistant messages. They do nothing in a prompt, so `if true` replaces them.
OWN_TAGS = (
    (re.compile(r"(\{%[-+]?\s*)generation\b"), r"\1if true"),
    (re.compile(r"(\{%[-+]?\s*)endgeneration\b"), r"\1endif"),
)


class Unrendered(Exception):
    """Why there is no text: the template's own error, or the limit that it passed."""


class Template:
    """A template with the special tokens and options that it is given beside the messages."""

    def __init__(self, source: str, special_tokens: Mapping[str, str], options: Mapping[str, Any]) -> None:
        self.source, self.special_tokens, self.options = source, dict(special_tokens), dict(options)

    def text(self, messages: Sequence[Message]) -> str:
        """The prompt up to where the assistant goes on. Raises `Unrendered`.

        A system message is put before the first user turn where the template knows no system role.
        """
        if messages and messages[0]["role"] == "system" and not self.takes_system:
            messages = folded(messages)
        return self._text(messages)

    @cached_property
    def takes_system(self) -> bool:
        """Whether it shows a system message; some raise an error at one, some leave it out."""
        try:
            return PROBE in self._text(
                [{"role": "system", "content": PROBE}, {"role": "user", "content": "A question."}]
            )
        except Unrendered:
            return False

    def _text(self, messages: Sequence[Message]) -> str:
        most = FIXED_SIZE + SIZE_FACTOR * sum(len(message["content"]) for message in messages)
        known = {"tools": None, **self.special_tokens, **self.options}
        known |= {"messages": list(messages), "add_generation_prompt": True}
        pieces, size = [], 0
        try:
            for piece in self._compiled.generate(known):
                pieces.append(piece)
                size += len(piece)
                if size > most:
                    raise Unrendered(f"it made more than {most:,} characters of one prompt")
        except Exception as error:  # third-party code: whatever it raises is the reason
            raise error if isinstance(error, Unrendered) else Unrendered(_told(error)) from error
        return "".join(pieces)

    @cached_property
    def _compiled(self) -> jinja2.Template:
        """With the globals and filters that transformers provides."""
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        environment.filters["tojson"] = partial(json.dumps, ensure_ascii=False)
        source = self.source
        for tag, standard in OWN_TAGS:
            source = tag.sub(standard, source)
        return environment.from_string(source)

    def texts(self, prompts: Sequence[Sequence[Message]]) -> list[str]:
        """The text of each prompt, from a process of its own. Raises `Unrendered`."""
        seconds = SECONDS + SECONDS_A_PROMPT * len(prompts)
        first = json.dumps([self.source, self.special_tokens, self.options])
        lines = "\n".join([first, *(json.dumps(list(prompt)) for prompt in prompts)])
        command = [sys.executable, "-P", __file__]
        try:
            done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise Unrendered(f"it did not end in {seconds:.0f} s") from None
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode or len(answers) < len(prompts):
            told = done.stderr.strip().rpartition("\n")[2] or f"its process ended with {done.returncode}"
            raise Unrendered(told)
        return answers


def folded(messages: Sequence[Message]) -> list[Message]:
    """The system message as the beginning of the first user turn.

    >>> folded([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}])
    [{'role': 'user', 'content': 'Be brief.\\n\\n2 + 2?'}]
    """
    system, *turns = messages
    place = next((number for number, turn in enumerate(turns) if turn["role"] == "user"), 0)
    whole = {**turns[place], "content": f"{system['content'].strip()}\n\n{turns[place]['content']}"}
    return [*turns[:place], whole, *turns[place + 1 :]]


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _told(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _answers(lines: Iterator[str]) -> Iterator[str]:
    template = Template(*json.loads(next(lines)))
    for line in lines:
        yield template.text(json.loads(line))


def main() -> None:
    """In the process that renders: one line of JSON a prompt, on standard input and output."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        for text in _answers(iter(sys.stdin)):
            print(json.dumps(text))
    except Unrendered as reason:
        sys.exit(" ".join(str(reason).split()))


if __name__ == "__main__":
    main()
