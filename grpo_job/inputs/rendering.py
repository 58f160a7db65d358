"""Runs chat template and tokenizer, which are third parties': first in a process with a deadline and limits.

What that process has rendered and counted for all rows, any process of the run renders and counts again; the template
in a sandbox. Imports Jinja2, and in that process `tokenizers`, so that it starts at once.
"""

import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Message = dict[str, str]

SECONDS, SECONDS_A_PROMPT = 8.0, 0.003  # of a processor; the clock may show more on a machine that is shared
SLOWEST = 2.5  # seconds on the clock for one of a processor
MEMORY = 4 * 2**30  # bytes of address space of the process that renders
# Characters of one prompt: a template may repeat what it is given, and add instructions.
FIXED_SIZE, SIZE_FACTOR = 1_000_000, 10
LONGEST_REASON = 1000  # characters
BATCH = 512  # texts that are encoded at a time
# Of every prompt, whenever it is asked: with the clock's date, the answers before and after midnight would be to other
# prompts. The default of Llama's templates.
TODAY = datetime(2024, 7, 26)
PROBE, QUESTION = "A system message.", "A question."

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
        """Whether it shows a system message and the question; some raise an error at one, some leave either out."""
        try:
            shown = self._text([{"role": "system", "content": PROBE}, {"role": "user", "content": QUESTION}])
        except Unrendered:
            return False
        return PROBE in shown and QUESTION in shown

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
        environment.globals["strftime_now"] = TODAY.strftime
        environment.filters["tojson"] = partial(json.dumps, ensure_ascii=False)
        source = self.source
        for tag, standard in OWN_TAGS:
            source = tag.sub(standard, source)
        return environment.from_string(source)

    def texts(self, prompts: Sequence[Sequence[Message]]) -> list[str]:
        """The text of each prompt, from a process of its own. Raises `Unrendered`."""
        return [str(text) for text in self._asked(prompts, None)]

    def lengths(self, prompts: Sequence[Sequence[Message]], tokenizer: str) -> list[int]:
        """The tokens of each prompt by the tokenizer in a file, from a process of its own. Raises `Unrendered`."""
        return [int(length) for length in self._asked(prompts, tokenizer)]

    def _asked(self, prompts: Sequence[Sequence[Message]], tokenizer: str | None) -> list[Any]:
        seconds = SECONDS + SECONDS_A_PROMPT * len(prompts)
        if endless := _ENDLESS.get((self.source, None)) or _ENDLESS.get((self.source, tokenizer)):
            raise Unrendered(endless)
        first = json.dumps([self.source, self.special_tokens, self.options, tokenizer, math.ceil(seconds)])
        lines = "\n".join([first, *(json.dumps(list(prompt)) for prompt in prompts)])
        # Each thread and each arena of malloc reserves address space, of which the process has little.
        threads = min(8, os.cpu_count() or 1)
        limits = [f"RAYON_NUM_THREADS={threads}", "MALLOC_ARENA_MAX=2"]
        command = ["/usr/bin/env", *limits, sys.executable, "-P", __file__]
        try:
            done = subprocess.run(
                command, input=lines, capture_output=True, text=True, timeout=SLOWEST * seconds, check=False
            )
            code, said, told = done.returncode, done.stdout, done.stderr.strip().rpartition("\n")[2]
        except OSError as error:
            raise Unrendered(f"no process can be started for it ({error.strerror})") from error
        except subprocess.TimeoutExpired:
            code, said, told = -signal.SIGXCPU, "", ""
        if code == -signal.SIGXCPU:
            told = _ENDLESS[self.source, tokenizer] = f"it did not end in {seconds:.0f} s"
        answers = [json.loads(line) for line in said.splitlines()] if code == 0 else []
        if len(answers) < len(prompts):
            raise Unrendered((told or f"its process ended with {code}")[:LONGEST_REASON])
        return answers


_ENDLESS: dict[tuple[str, str | None], str] = {}  # templates and tokenizers that nobody waits for twice


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


def _answers(lines: Iterator[str]) -> Iterator[str | int]:
    source, special_tokens, options, tokenizer, seconds = json.loads(next(lines))
    _limit(resource.RLIMIT_CPU, seconds, seconds + 1)
    template = Template(source, special_tokens, options)
    assert template.takes_system in (True, False)  # asked for later, outside this process
    texts = (template.text(json.loads(line)) for line in lines)
    yield from _lengths(texts, tokenizer, list(special_tokens.values())) if tokenizer else texts


def _lengths(texts: Iterator[str], file: str, special_tokens: list[str]) -> Iterator[int]:
    tokenizer = whole_tokenizer(file, special_tokens)
    while batch := list(islice(texts, BATCH)):
        yield from (len(tokens.ids) for tokens in tokenizer.encode_batch_fast(batch, add_special_tokens=False))


def whole_tokenizer(file: str, special_tokens: list[str]) -> "Tokenizer":
    """As transformers would load it; never truncates or pads."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(file)
    # A tokenizer saved with these enabled would give all prompts the same length.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.add_special_tokens(special_tokens)  # as transformers does, if one is missing
    return tokenizer


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set these limits, or those of the job itself if they are lower: nobody may raise them."""
    known = resource.getrlimit(kind)[1]
    allowed = hard if known == resource.RLIM_INFINITY else min(hard, known)
    resource.setrlimit(kind, (min(soft, allowed), allowed))


def main() -> None:
    """In the process with limits: one line of JSON a prompt, on standard input and output."""
    _limit(resource.RLIMIT_AS, MEMORY, MEMORY)
    _limit(resource.RLIMIT_CORE, 0, 0)
    try:
        for answer in _answers(iter(sys.stdin)):
            print(json.dumps(answer))
    except Exception as reason:  # of a third party's files, whatever it is
        told = str(reason) if isinstance(reason, Unrendered) else f"its tokenizer: {_told(reason)}"
        sys.exit(" ".join(told[:LONGEST_REASON].split()))


if __name__ == "__main__":
    main()
