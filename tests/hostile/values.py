"""What a stranger may put where a value, a template or a row is expected: drawn by a seed."""

import json
import random
from typing import Any

DEEP = "[" * 50_000
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**36, 10**400, 1e308, float("inf"), float("nan"), "", "x", "../../private", "/dev/zero", "\x00",
    "a" * 100_000, [], {}, [[[]]], {"a": None}, ["os.system", 1.0], "__import__('os').mkdir('canary')", "$HOME", "~/x",
    "<script>alert(1)</script>", "{{ 7 * 7 }}", "# heading", "\ud800", "é" * 1000, "owner/..", "s3://bucket/x",
)  # fmt: skip
TEMPLATES = (
    "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3,
    "{{ lipsum(n=100000) }}",
    "{{ 'x' * 10**10 }}",
    "{{ ('x' * 10**6) | upper | replace('X', 'yy' * 1000) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.mkdir('canary') }}",
    "{{ raise_exception('no' * 100000) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}",
    "{{ messages.append(1) }}",
    "{{ messages | map(attribute='content.__class__') | list }}",
    "{{ range(10**12) | list }}",
    "{% set x = namespace(y=[]) %}{% for i in range(10**7) %}{% set x.y = x.y + [i] %}{% endfor %}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ (" * 500,
    "{{ strftime_now('%Y' * 10**6) }}",
    "{{ messages[0].content | tojson(indent=10**9) }}",
    "{{ messages[99].content }}",
    "{% if messages[0].role == 'system' %}{% for a in range(10**6) %}{{ a }}{% endfor %}{% endif %}",
    "\x00{{ messages }}\ud800",
    "",
)
ROWS = (
    DEEP,
    '{"question": ' + '{"a":' * 500 + "1" + "}" * 500 + ', "answer": "1"}',
    '{"question": "q", "question": "r", "answer": "1"}',
    '{"question": null, "answer": null}',
    '{"question": ["a", 1], "answer": {"b": []}}',
    '{"question": "q", "answer": 1e999}',
    '{"question": "q", "answer": ' + "9" * 10_000 + "}",
    '{"question": "\\ud800", "answer": "1"}',
    '{"question": "\\u0000", "answer": "\\u0000"}',
    '{"question": [{"role": "system", "content": "{{ 7 }}"}, {"role": "x", "content": 1}], "answer": "1"}',
    '{"question": [{"role": "user", "content": [{"type": "image", "url": "/etc/passwd"}]}], "answer": "1"}',
    '{"question": "<script>", "answer": "$\\\\frac{"}',
    '{"question": "' + "a" * 1_000_000 + '", "answer": "1"}',
    '{"question": "q", "answer": "' + "(" * 5000 + '"}',
    '{"question": "q", "answer": "2^(9^(9^9))"}',
    "[1, 2",
    "null",
    "",
)


NAMES = (
    "../../../private", "/etc/passwd", "a/../../../../private", "x\ny", "ADAPTER_MODEL.safetensors", "\x00", "",
    "a" * 300, "C:\\x", ".",
)  # fmt: skip
CONFIGS = (  # of GRPO_CONFIG: suffix and text
    (".yaml", "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )),
    (".yaml", "rewards: &a [*a]\n"),
    (".yaml", "max_steps: !!python/object/apply:os.mkdir [canary]\n"),
    (".yaml", "? !!python/name:os.mkdir\n: 1\n"),
    (".yaml", "reward_options: {a: 2024-13-45}\n"),
    (".yaml", "rewards: " + "[" * 20_000),
    (".yaml", "- " * 20_000),
    (".yaml", "".join(f"k{number}: 1\n" for number in range(9000))),
    (".yaml", "rewards: ./grader.py::grade\nmodel: ../../private\ndataset: /dev/zero\n"),
    (".toml", f"max_steps = {'9' * 5000}\n"),
    (".toml", "reward_options" + ".a" * 3000 + " = 1\n"),
    (".toml", "x = " + "[" * 5000 + "]" * 5000),
    (".env", "GRPO_MODEL=$(mkdir canary)\nGRPO_DATASET=`mkdir canary`\n"),
    (".env", "=" * 100_000 + "\n\x00\n"),
)  # fmt: skip
READMES = (
    "---\nconfigs:\n- config_name: a\n  data_files: ../../private\n---\n",
    "---\nconfigs:\n- config_name: a\n  data_files: '" + "**/" * 30 + "a*/**/*/**'\n---\n",
    "---\nconfigs: &a [*a]\n---\n",
    "---\nconfigs:\n" + "- " * 5000 + "\n---\n",
    "---\nconfigs: !!python/object/apply:os.mkdir [canary]\n---\n",
)


def one_of(dice: random.Random, known: dict[str, Any]) -> dict[str, Any]:
    """The object with one or two of its values, or of others, replaced; sometimes no object at all."""
    changed = dict(known)
    for _ in range(dice.choice((1, 1, 2))):
        changed[dice.choice([*known, "auto_map", "text_config", "extra"])] = dice.choice(VALUES)
    return changed


def text_of(dice: random.Random, known: dict[str, Any]) -> bytes:
    """The bytes of a JSON file that held `known`."""
    odd = dice.random()
    if odd < 0.1:
        return dice.choice((DEEP.encode(), b"", b"\xff\xfe\x00", b"[]", b"null", b'{"a": ' * 300 + b"1" + b"}" * 300))
    text = json.dumps(one_of(dice, known))
    return text[: len(text) // 2].encode() if odd < 0.2 else text.encode()
