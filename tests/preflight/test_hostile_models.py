"""A model may come from anybody: whatever its files hold, the checks end, with a sentence."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from grpo_job.inputs import rendering
from tests.preflight.world import World

pytestmark = pytest.mark.slow

DEEP = "[" * 100_000
HANGS = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}" + "{% endfor %}" * 3


def told(world: World) -> str:
    """The sentences of the checks that failed."""
    return "\n".join(finding.sentence for finding in world.failed())


def edited(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def piped(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def linked(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def exploding(model: Path) -> None:
    """Each step of its normalizer makes ten letters of one."""
    path = model / "tokenizer.json"
    steps = [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10} for _ in range(12)]
    steps.insert(0, {"type": "Replace", "pattern": {"String": "i"}, "content": "a"})
    edited(path, normalizer={"type": "Sequence", "normalizers": steps})


RECURSES = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"
HEADER = (2**36).to_bytes(8, "little") + b"{}"
INDEX = "model.safetensors.index.json"
HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "code": (lambda m: edited(m / "config.json", auto_map={"AutoModel": "x.Y"}), "names code of its own (auto_map)"),
    "code of the tokenizer": (
        lambda m: edited(m / "tokenizer_config.json", auto_map={"AutoTokenizer": ["x.Y", None]}), "tokenizer_config",
    ),
    "pipe": (lambda m: piped(m / "config.json"), "config.json: it is a pipe, not a file"),
    "pipe beside": (lambda m: piped(m / "notes.txt"), "notes.txt: it is a pipe"),
    "piped weights": (lambda m: piped(m / "model.safetensors"), "model.safetensors: it is a pipe"),
    "device": (lambda m: linked(m / "model.safetensors", "/dev/zero"), "model.safetensors: it is a device"),
    "endless template": (lambda m: linked(m / "chat_template.jinja", "/dev/zero"), "chat_template.jinja leads out"),
    "private file": (lambda m: linked(m / "chat_template.jinja", "/etc/passwd"), "chat_template.jinja leads out"),
    "absurd header": (lambda m: (m / "model.safetensors").write_bytes(HEADER), "no whole safetensors file"),
    "pickled shards": (
        lambda m: (m / INDEX).write_text('{"weight_map": {"a": "pytorch_model.bin"}}'), "names 'pytorch_model.bin'",
    ),
    "shards elsewhere": (
        lambda m: (m / INDEX).write_text('{"weight_map": {"a": "../x.safetensors"}}'), "names '../x.safetensors'",
    ),
    "odd index": (lambda m: (m / INDEX).write_text('{"weight_map": [[1]]}'), "cannot be read"),
    "deep config": (lambda m: (m / "config.json").write_text(DEEP), "nested deeper than 100 levels"),
    "deep value": (lambda m: (m / "config.json").write_text('{"a":' * 200 + "1" + "}" * 200), "nested deeper than"),
    "deep tokenizer": (lambda m: (m / "tokenizer.json").write_text(DEEP), "its tokenizer cannot be read"),
    "deep tokenizer config": (lambda m: (m / "tokenizer_config.json").write_text(DEEP), "nested deeper than"),
    "a list": (lambda m: (m / "config.json").write_text("[]"), "not an object"),
    "huge layers": (lambda m: edited(m / "config.json", num_hidden_layers=2**36), "size layers is 68719476736"),
    "endless layers": (lambda m: edited(m / "config.json", num_hidden_layers=float("inf")), "cannot be read"),
    "negative": (lambda m: edited(m / "config.json", hidden_size=-128), "its size hidden is -128"),
    "words for numbers": (lambda m: edited(m / "config.json", max_position_embeddings="x"), "what no such model has"),
    "numbers for words": (lambda m: edited(m / "config.json", architectures=5), "what no such model has"),
    "endless loops": (lambda m: (m / "chat_template.jinja").write_text(HANGS), "it did not end in"),
    "lipsum": (lambda m: (m / "chat_template.jinja").write_text("{{ lipsum(n=100000) }}"), "cannot render"),
    "no prompt": (lambda m: (m / "chat_template.jinja").write_text(""), "leaves out what the user asks"),
    "one prompt for all": (
        lambda m: (m / "chat_template.jinja").write_text("{{ messages | length }}"), "leaves out what the user asks",
    ),
    "huge string": (lambda m: (m / "chat_template.jinja").write_text("{{ 'x' * 10**10 }}"), "MemoryError"),
    "recursion": (
        lambda m: (m / "chat_template.jinja").write_text(RECURSES), "RecursionError",
    ),
    "deep template": (lambda m: (m / "chat_template.jinja").write_text("{{ " + "(" * 9000), "cannot render"),
    "long template": (lambda m: (m / "chat_template.jinja").write_text("x" * 2**21), "at most 1,048,576"),
    "no template": (lambda m: edited(m / "tokenizer_config.json", chat_template=7), "is no text of at most"),
    "words for an id": (lambda m: edited(m / "generation_config.json", eos_token_id="x"), 'eos_token_id is "x"'),
    "lists for ids": (lambda m: edited(m / "config.json", pad_token_id=[[0]]), "pad_token_id is [[0]]"),
    "deep generation": (lambda m: (m / "generation_config.json").write_text(DEEP), "nested deeper than"),
    "half a character": (
        lambda m: edited(m / "tokenizer_config.json", extra="\ud800"), "half of a surrogate pair",
    ),
    "exploding tokenizer": (exploding, "its tokenizer"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_it_is_refused_with_a_sentence(kind: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "SECONDS", 2.0)
    plant, said = HOSTILE[kind]
    model = world.model()
    if kind == "no template":
        (model / "chat_template.jinja").unlink()
    plant(model)
    assert said in told(world)


@pytest.mark.parametrize("variable", ["CHAT_TEMPLATE", "EXAMPLE"])
@pytest.mark.parametrize("file", ["/dev/zero", "pipe"])
def test_a_file_of_a_setting_is_one(variable: str, file: str, world: World, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = file if file.startswith("/") else str(tmp_path / file)
    world.set(**{variable: path})
    assert "not a file" in told(world)
