"""A chat template is third-party code: its errors are sentences, and it has a deadline and limits."""

import subprocess
import sys

import pytest

from grpo_job.inputs import rendering
from grpo_job.inputs.rendering import Template, Unrendered, folded

SYSTEM = {"role": "system", "content": "Think.\n"}
USER = {"role": "user", "content": "What is 2 + 2?"}
PARROT = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}"
REFUSES = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + PARROT
DROPS = "{% for m in messages if m.role != 'system' %}[{{ m.role }}] {{ m.content }}{% endfor %}"
FIRST = "[{{ messages[0].role }}] {{ messages[0].content }}"
ALTERNATES = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}[{{ m.role }}] {{ m.content }}{% endfor %}"
)
ASKS = f"""
from grpo_job.inputs.rendering import Template
print(Template({PARROT!r}, {{}}, {{}}).texts([[{{"role": "user", "content": "2 + 2?"}}]]))
"""


def test_a_template_with_a_system_role_gets_the_system_message() -> None:
    assert Template(PARROT, {}, {}).text([SYSTEM, USER]) == "[system] Think.\n[user] What is 2 + 2?"


@pytest.mark.parametrize("source", [REFUSES, DROPS, FIRST, ALTERNATES])
def test_one_without_gets_it_in_front_of_the_question(source: str) -> None:
    assert Template(source, {}, {}).text([SYSTEM, USER]) == "[user] Think.\n\nWhat is 2 + 2?"


def test_the_system_message_goes_to_the_first_turn_of_the_user() -> None:
    reply = {"role": "assistant", "content": "Hello."}
    assert folded([SYSTEM, reply, USER, USER])[1]["content"] == "Think.\n\nWhat is 2 + 2?"
    assert [turn["role"] for turn in folded([SYSTEM, reply, USER, USER])] == ["assistant", "user", "user"]


def test_its_options_reach_it_and_the_job_keeps_its_own() -> None:
    source = "{{ messages | length }}{{ mood }}{{ add_generation_prompt }}{{ bos_token }}"
    template = Template(source, {"bos_token": "<s>"}, {"mood": "calm", "add_generation_prompt": False})
    assert template.text([USER]) == "1calmTrue<s>"


def test_the_date_in_a_prompt_is_the_same_on_every_day() -> None:
    assert Template("{{ strftime_now('%d %b %Y, %H:%M') }}", {}, {}).text([USER]) == "26 Jul 2024, 00:00"


def test_in_a_process_of_its_own_it_renders_the_same() -> None:
    template = Template(PARROT + "{{ strftime_now('%%') }}", {}, {})
    odd = {"role": "user", "content": "é\u2028\n\x00🦥"}
    assert template.texts([[USER], [SYSTEM, odd]]) == [template.text([USER]), template.text([SYSTEM, odd])]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{{ raise_exception('only tools') }}", "only tools"),
        ("{% for m in messages %}", "Unexpected end of template"),
        ("{{ messages[0].content + 1 }}", "TypeError: "),
        ("{{ messages[7].content }}", "no element 7"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{% include 'other' %}", "no loader"),
        ("{{ 'x' * 3000000 }}", "more than 1,000,140 characters"),
        ("{{ 'x' * 100000000000 }}", "MemoryError"),
    ],
)
def test_whatever_it_raises_is_told(source: str, told: str) -> None:
    with pytest.raises(Unrendered, match=told):
        Template(source, {}, {}).texts([[USER]])


def test_one_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "SECONDS", 1.0)
    loops = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3
    with pytest.raises(Unrendered, match="it did not end in 1 s"):
        Template(loops, {}, {}).texts([[USER]])
    monkeypatch.setattr(rendering.subprocess, "run", None)  # nobody waits for it twice
    with pytest.raises(Unrendered, match="it did not end in 1 s"):
        Template(loops, {}, {}).texts([[USER]])
    with pytest.raises(Unrendered, match="it did not end in 1 s"):
        Template(loops, {}, {}).lengths([[USER]], "tokenizer.json")


def test_a_job_that_is_allowed_less_than_the_limits_renders_within_what_it_is_allowed() -> None:
    told = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -v 1000000; ulimit -t 7; exec "$@"', "sh", sys.executable, "-c", ASKS],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.stdout, told.stderr) == ("['[user] 2 + 2?']\n", "")
