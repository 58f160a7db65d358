"""A chat as the model reads it: the template of its tokenizer rendered, and tokens counted.

Uses Jinja2 and `tokenizers` alone, so that prompts can be measured without torch. A test holds
the counts to the engine's own.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

Message = dict[str, str]


class Chat:
    """The tokenizer files of one model folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(self.folder / "tokenizer.json"))

    @cached_property
    def _config(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "tokenizer_config.json").read_text())
        return loaded

    @cached_property
    def _template(self) -> jinja2.Template:
        """The template file, or the one inside `tokenizer_config.json`. Sandboxed: it comes from outside."""
        beside = self.folder / "chat_template.jinja"
        source = beside.read_text() if beside.is_file() else self._config["chat_template"]
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _raise
        environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
        return environment.from_string(source)

    def has_template(self) -> bool:
        return (self.folder / "chat_template.jinja").is_file() or "chat_template" in self._config

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt as text, ready for the assistant's turn."""
        special = {
            key: value["content"] if isinstance(value, dict) else value
            for key, value in self._config.items()
            if key.endswith("_token")
        }
        return self._template.render(messages=list(messages), add_generation_prompt=True, tools=None, **special)

    def lengths(self, prompts: Sequence[Sequence[Message]]) -> list[int]:
        """Tokens of each rendered prompt."""
        encoded = self.tokenizer.encode_batch([self.render(prompt) for prompt in prompts], add_special_tokens=False)
        return [len(tokens.ids) for tokens in encoded]


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)
