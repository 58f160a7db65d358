"""Renders the chat template of a model, and counts tokens.

Uses only Jinja2 and `tokenizers`, so that prompts can be measured without torch. A test compares the counts with the
engine's.
"""

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from grpo_job.outcomes import InvalidRun

Message = dict[str, str]

BATCH = 512  # texts that one thread encodes at a time

# Transformers' tags around assistant messages. They do nothing in a prompt, so `if true` replaces them.
OWN_TAGS = (
    (re.compile(r"(\{%[-+]?\s*)generation\b"), r"\1if true"),
    (re.compile(r"(\{%[-+]?\s*)endgeneration\b"), r"\1endif"),
)


class Chat:
    """The tokenizer files of one model folder. `options` go to its chat template, see `Settings.chat_options`."""

    def __init__(self, folder: Path, options: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.folder, self.options = folder, options

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """As transformers would load it; never truncates or pads."""
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        # A tokenizer saved with these enabled would give all prompts the same length.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.add_special_tokens(list(self._special_tokens.values()))  # as transformers does, if one is missing
        return tokenizer

    def has_template(self) -> bool:
        return self._source is not None

    def ends_with(self) -> str | None:
        """The `eos_token` of the tokenizer, if any."""
        return self._special_tokens.get("eos_token")

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt as text, with the generation prompt.

        Raises `InvalidRun` with the template's error if it rejects these messages.
        """
        known = {"messages": list(messages), "add_generation_prompt": True, "tools": None, **self._special_tokens}
        known |= self.options
        try:
            return self._template.render(known)
        except jinja2.TemplateError as error:
            roles = ", ".join(message["role"] for message in messages)
            raise InvalidRun(
                f"GRPO_MODEL: its chat template rejects messages of {roles}: {error}; allowed: another model, "
                "or an empty GRPO_SYSTEM_PROMPT"
            ) from error

    def lengths(self, prompts: Sequence[Sequence[Message]]) -> list[int]:
        texts = [self.render(prompt) for prompt in prompts]
        batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        with ThreadPoolExecutor() as threads:
            return [length for lengths in threads.map(self._lengths, batches) for length in lengths]

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
    def _source(self) -> str | None:
        """The template file, or that of `tokenizer_config.json`: one template, or several with a default."""
        beside = self.folder / "chat_template.jinja"
        if beside.is_file():
            return beside.read_text(encoding="utf-8")
        inside: str | list[dict[str, str]] | None = self._config.get("chat_template")
        if isinstance(inside, list):
            return next((each["template"] for each in inside if each["name"] == "default"), None)
        return inside

    @cached_property
    def _template(self) -> jinja2.Template:
        """Sandboxed, because it is third-party code; with the globals that transformers provides."""
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
        source = self._source or ""
        for tag, standard in OWN_TAGS:
            source = tag.sub(standard, source)
        return environment.from_string(source)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)
