"""The prompt as text, the same for all that ask with it, and its length in tokens.

Training, probe, evaluation, rehearsal and checks render through `Chat`. Uses only Jinja2 and `tokenizers`, so that
prompts can be measured without torch. A test compares the counts with the engine's.
"""

import json
import re
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from grpo_job.evaluation.completion import Truncated
from grpo_job.inputs.rendering import QUESTION, Message, Template, Unrendered, whole_tokenizer
from grpo_job.outcomes import InvalidRun
from grpo_job.settings import plain_files
from grpo_job.settings.plain_files import content_of
from grpo_job.settings.schema import Settings

__all__ = ["Chat", "Message"]

OPENING = re.compile(r"(<(?:think|reasoning)>)\s*\Z")
LONGEST_TEMPLATE = 2**20  # bytes of a file, characters of a text
PROVING = "What is 12 + 30? Think.\n" * 20  # a text as rows have, which any tokenizer splits in no time
PLAIN = "plain"
# For a base without a template: each turn's text and an empty line.
PLAIN_TEMPLATE = "{% for message in messages %}{{ message['content'] + '\n\n' }}{% endfor %}"


class Chat:
    """The tokenizer files of one model folder, with GRPO_CHAT_TEMPLATE and GRPO_CHAT_TEMPLATE_KWARGS."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.given, self.options = folder, settings.chat_template, settings.chat_options

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """As transformers would load it; never truncates or pads. Raises `Unrendered` if that fails or does not end."""
        file, tokens = self.folder / "tokenizer.json", list(self._special_tokens.values())
        _prove(str(file), file.stat().st_mtime_ns, tuple(tokens))
        return whole_tokenizer(str(file), tokens)

    def has_code(self) -> bool:
        """Whether the tokenizer's repository names code of its own."""
        return bool(self._config.get("auto_map"))

    def ends_with(self) -> str | None:
        """The `eos_token` of the tokenizer, if any."""
        return self._special_tokens.get("eos_token")

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt as text, up to where the assistant goes on.

        Raises `InvalidRun` with the template's error if it rejects these messages.
        """
        try:
            return self._template.text(messages)
        except Unrendered as reason:
            raise self._refused(reason, messages) from reason

    def takes_system(self) -> bool:
        """Whether the template shows a system message; else it is put before the first user turn."""
        return self._template.takes_system

    def opening(self) -> str:
        """The tag that each prompt ends with, which the completion then lacks: `<think>`, `<reasoning>`, or none."""
        found = OPENING.search(self._prompt or "")
        return found[1] if found else ""

    def own_tokens(self) -> list[str]:
        """The special tokens that the template itself writes around a question, such as `<|im_start|>`, in order."""
        special = [token.content for token in self.tokenizer.get_added_tokens_decoder().values() if token.special]
        prompt = self._prompt or ""
        return sorted((token for token in special if token in prompt), key=prompt.index)

    def require_questions(self) -> None:
        """Raises `InvalidRun` if the template leaves the user's message out: all prompts would be the same."""
        if self._prompt is not None and QUESTION not in self._prompt:
            raise InvalidRun(f"{self._whose} leaves out what the user asks; allowed: a template that shows it")

    @cached_property
    def _prompt(self) -> str | None:
        """That of a question; None if it cannot be rendered, which is told where the rows are rendered."""
        try:
            return self.texts([[{"role": "user", "content": QUESTION}]])[0]
        except InvalidRun:
            return None

    def texts(self, prompts: Sequence[Sequence[Message]]) -> list[str]:
        """As `render`, within a deadline and limits of memory and size: for prompts that were not rendered before."""
        try:
            return self._template.texts(prompts) if prompts else []
        except Unrendered as reason:
            raise self._refused(reason, prompts[0]) from reason

    def lengths(self, prompts: Sequence[Sequence[Message]]) -> list[int]:
        """Tokens of each prompt, rendered and counted as `texts` renders."""
        try:
            return self._template.lengths(prompts, str(self.folder / "tokenizer.json")) if prompts else []
        except Unrendered as reason:
            raise self._refused(reason, prompts[0]) from reason

    def _refused(self, reason: Unrendered, messages: Sequence[Message]) -> InvalidRun:
        options = f" with GRPO_CHAT_TEMPLATE_KWARGS={json.dumps(self.options)}" if self.options else ""
        roles = ", ".join(message["role"] for message in messages)
        allowed = "a template that renders them (GRPO_CHAT_TEMPLATE)" if not self.given else "a template that does"
        return InvalidRun(f"{self._whose} cannot render messages of {roles}{options}: {reason}; allowed: {allowed}")

    @property
    def _whose(self) -> str:
        return f"GRPO_CHAT_TEMPLATE: {self.given!r} was given; it" if self.given else "GRPO_MODEL: its chat template"

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of texts that a model wrote."""
        return [tokens.ids for tokens in self.tokenizer.encode_batch(list(texts))]

    def completion_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of completions as rewards get them in training: with the end token, unless it is `Truncated`."""
        end = self.tokenizer.token_to_id(self.ends_with() or "")
        ids = [tokens.ids for tokens in self.tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        return [
            one if end is None or isinstance(text, Truncated) else [*one, end]
            for text, one in zip(texts, ids, strict=True)
        ]

    @cached_property
    def _config(self) -> dict[str, Any]:
        path = self.folder / "tokenizer_config.json"
        return plain_files.read_object(path) if path.is_file() else {}

    @cached_property
    def _special_tokens(self) -> dict[str, str]:
        """`{"eos_token": "<|im_end|>", ...}`, the names that templates use."""
        named = {name: value for name, value in self._config.items() if name.endswith("_token")}
        texts = {name: value.get("content") if isinstance(value, dict) else value for name, value in named.items()}
        return {name: text for name, text in texts.items() if isinstance(text, str)}  # add_bos_token is true or false

    @cached_property
    def source(self) -> str | None:
        """Given, or the template file, or that of `tokenizer_config.json`: one template, or several with a default."""
        if self.given:
            return self._plain() if self.given == PLAIN else _read(self.given)
        beside = self.folder / "chat_template.jinja"
        if beside.is_file():
            return plain_files.read_text(beside, LONGEST_TEMPLATE)
        inside: Any = self._config.get("chat_template")
        if isinstance(inside, list):
            inside = next((each["template"] for each in inside if each["name"] == "default"), None)
        if inside is not None and (not isinstance(inside, str) or len(inside) > LONGEST_TEMPLATE):
            raise ValueError(f"its chat_template is no text of at most {LONGEST_TEMPLATE:,} characters")
        return inside

    def _plain(self) -> str:
        """With the token in front that the tokenizer itself would put there."""
        added = self.tokenizer.encode("").ids
        first = self._special_tokens.get("bos_token")
        starts = first is not None and self.tokenizer.token_to_id(first) in added
        return ("{{ bos_token }}" if starts else "") + PLAIN_TEMPLATE

    @cached_property
    def _template(self) -> Template:
        return Template(self.source or "", self._special_tokens, self.options)


@cache
def _prove(tokenizer: str, changed: int, special_tokens: tuple[str, ...]) -> None:
    """Load the tokenizer and split a text, first in a process with limits. `changed`: when the file was."""
    named = {str(number): token for number, token in enumerate(special_tokens)}
    Template(PLAIN_TEMPLATE, named, {}).lengths([[{"role": "user", "content": PROVING}]], tokenizer)


def _read(file: str) -> str:
    try:
        return content_of(Path(file)).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidRun(
            f"GRPO_CHAT_TEMPLATE: {file!r} was given; it cannot be read: {why}; allowed: a Jinja file, or {PLAIN}"
        ) from error
