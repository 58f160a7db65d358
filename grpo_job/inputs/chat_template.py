"""The prompt as text, the same for all that ask with it, and its length in tokens.

Training, probe, evaluation, rehearsal and checks render through `Chat`. Uses only Jinja2 and `tokenizers`, so that
prompts can be measured without torch. A test compares the counts with the engine's.
"""

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from grpo_job.inputs.rendering import Message, Template, Unrendered
from grpo_job.outcomes import InvalidRun
from grpo_job.settings.regular_files import content_of
from grpo_job.settings.schema import Settings

__all__ = ["Chat", "Message"]

OPENING = re.compile(r"(<(?:think|reasoning)>)\s*\Z")
BATCH = 512  # texts that one thread encodes at a time
PLAIN = "plain"
# For a base without a template: each turn's text and an empty line.
PLAIN_TEMPLATE = "{% for message in messages %}{{ message['content'] + '\n\n' }}{% endfor %}"


class Chat:
    """The tokenizer files of one model folder, with GRPO_CHAT_TEMPLATE and GRPO_CHAT_TEMPLATE_KWARGS."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.given, self.options = folder, settings.chat_template, settings.chat_options

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """As transformers would load it; never truncates or pads."""
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        # A tokenizer saved with these enabled would give all prompts the same length.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.add_special_tokens(list(self._special_tokens.values()))  # as transformers does, if one is missing
        return tokenizer

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
        try:
            found = OPENING.search(self.render([{"role": "user", "content": "A question."}]))
        except InvalidRun:  # told where the rows are rendered
            return ""
        return found[1] if found else ""

    def texts(self, prompts: Sequence[Sequence[Message]]) -> list[str]:
        """As `render`, within a deadline and limits of memory and size: for prompts that were not rendered before."""
        try:
            return self._template.texts(prompts) if prompts else []
        except Unrendered as reason:
            raise self._refused(reason, prompts[0]) from reason

    def lengths(self, prompts: Sequence[Sequence[Message]]) -> list[int]:
        """Tokens of each prompt; rendered as `texts` does."""
        texts = self.texts(prompts)
        batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        with ThreadPoolExecutor() as threads:
            return [length for lengths in threads.map(self._lengths, batches) for length in lengths]

    def _refused(self, reason: Unrendered, messages: Sequence[Message]) -> InvalidRun:
        whose = f"GRPO_CHAT_TEMPLATE: {self.given!r} was given; it" if self.given else "GRPO_MODEL: its chat template"
        options = f" with GRPO_CHAT_TEMPLATE_KWARGS={json.dumps(self.options)}" if self.options else ""
        roles = ", ".join(message["role"] for message in messages)
        allowed = "a template that renders them (GRPO_CHAT_TEMPLATE)" if not self.given else "a template that does"
        return InvalidRun(f"{whose} cannot render messages of {roles}{options}: {reason}; allowed: {allowed}")

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of texts that a model wrote."""
        return [tokens.ids for tokens in self.tokenizer.encode_batch(list(texts))]

    def _lengths(self, texts: list[str]) -> list[int]:
        return [len(tokens.ids) for tokens in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    @cached_property
    def _config(self) -> dict[str, Any]:
        path = self.folder / "tokenizer_config.json"
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return loaded

    @cached_property
    def _special_tokens(self) -> dict[str, str]:
        """`{"eos_token": "<|im_end|>", ...}`, the names that templates use."""
        named = {name: value for name, value in self._config.items() if name.endswith("_token")}
        texts = {name: value["content"] if isinstance(value, dict) else value for name, value in named.items()}
        return {name: text for name, text in texts.items() if isinstance(text, str)}  # add_bos_token is true or false

    @cached_property
    def source(self) -> str | None:
        """Given, or the template file, or that of `tokenizer_config.json`: one template, or several with a default."""
        if self.given:
            return self._plain() if self.given == PLAIN else _read(self.given)
        beside = self.folder / "chat_template.jinja"
        if beside.is_file():
            return beside.read_text(encoding="utf-8")
        inside: str | list[dict[str, str]] | None = self._config.get("chat_template")
        if isinstance(inside, list):
            return next((each["template"] for each in inside if each["name"] == "default"), None)
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


def _read(file: str) -> str:
    try:
        return content_of(Path(file)).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidRun(
            f"GRPO_CHAT_TEMPLATE: {file!r} was given; it cannot be read: {why}; allowed: a Jinja file, or {PLAIN}"
        ) from error
