"""No spelling of a secret is left in a text, and a text without one stays as it is."""

import base64
import doctest
import html
import json
import quopri
import random
import shlex
import string
import sys
import textwrap
from io import StringIO
from urllib.parse import quote, quote_plus

import pytest

from grpo_job.settings.redaction import redactor, spellings
from grpo_job.settings.redaction.redactor import HIDDEN, RedactedStream, Redactor

SECRET = "wJalr/XU\"tn<FE'MI+é K7&MD\nEN\\G=="
WAYS = {
    "json": json.dumps(SECRET),
    "json without escapes": json.dumps(SECRET, ensure_ascii=False),
    "json in json": json.dumps(json.dumps(SECRET)),
    "json for a page": json.dumps(SECRET).replace("<", "\\u003c").replace("&", "\\u0026").replace("/", "\\/"),
    "html": html.escape(SECRET),
    "html twice": html.escape(html.escape(SECRET)),
    "html by number": "".join(c if c.isascii() and c.isalnum() else f"&#x{ord(c):X};" for c in SECRET),
    "address": quote(SECRET, safe=""),
    "address in lower case": quote(SECRET, safe="").replace("%2F", "%2f").replace("%3C", "%3c"),
    "address twice": quote(quote(SECRET)),
    "form": quote_plus(SECRET),
    "repr": repr(SECRET),
    "ascii": ascii(SECRET),
    "repr of bytes": repr(SECRET.encode()),
    "repr in repr": repr([repr(SECRET)]),
    "windows lines": SECRET.replace("\n", "\r\n"),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 of more": base64.b64encode(f"user:{SECRET} and more".encode()).decode(),
    "base64 for addresses": base64.urlsafe_b64encode(f"xx{SECRET}".encode()).decode(),
    "base64 in an address": quote(base64.b64encode(SECRET.encode()), safe=""),
    "hexadecimal": SECRET.encode().hex(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_hidden_however_it_is_written(way: str) -> None:
    hidden = Redactor([SECRET]).text(f"before {WAYS[way]} after")
    assert HIDDEN in hidden
    assert len(hidden) <= len("before  after") + len(HIDDEN) + 24  # quotes, and what else is in base64
    assert not any(part in hidden for part in ("wJalr", "XU", "FE", "K7", "MD", "EN"))


TOKEN = "Zq7/pl+xW9-kT4_vB2nM8rYc"
CODED = TOKEN.encode()
FRAMED = [f"│ {line} │" for line in textwrap.wrap("x" * 66 + TOKEN, 72)]
ODD_WAYS = {
    "base64 twice": base64.b64encode(base64.b64encode(CODED)).decode(),
    "base64 of more, twice": base64.b64encode(base64.b64encode(b"user:" + CODED)).decode(),
    "pairs with colons": CODED.hex(":"),
    "pairs with spaces": CODED.hex(" ").upper(),
    "numbers as C has them": ", ".join(map(hex, CODED)),
    "a list of numbers": str(list(CODED)),
    "escapes of all bytes": "".join(f"\\x{byte:02x}" for byte in CODED),
    "octal escapes": "".join(f"\\{byte:03o}" for byte in CODED),
    "escapes of JSON": "".join(f"\\u{byte:04x}" for byte in CODED),
    "all of an address": f"https://me:{''.join(f'%{byte:02X}' for byte in CODED)}@host",
    "all by decimal number": "".join(f"&#{byte};" for byte in CODED),
    "all by hexadecimal number": "".join(f"&#x{byte:x};" for byte in CODED),
    "UTF-16": TOKEN.encode("utf-16-be").decode("latin-1"),
    "UTF-16 as bytes": repr(TOKEN.encode("utf-16")),
    "UTF-16 in base64": base64.b64encode(TOKEN.encode("utf-16-le")).decode(),
    "UTF-16 in hexadecimal": TOKEN.encode("utf-16-le").hex(),
    "wrapped": "\n".join(textwrap.wrap("x" * 66 + TOKEN, 76)),
    "wrapped and framed": "\n".join(FRAMED),
    "wrapped and indented": f"{TOKEN[:7]}\n    {TOKEN[7:]}",
    "continued": f"{TOKEN[:7]}\\\n{TOKEN[7:]}",
    "wrapped base64": base64.encodebytes(b"x" * 50 + CODED).decode(),
    "wrapped base64 in YAML": textwrap.indent(base64.encodebytes(b"x" * 50 + CODED).decode(), "    "),
    "wrapped base64 in JSON": json.dumps(base64.encodebytes(b"x" * 50 + CODED).decode().replace("\n", "\r\n")),
    "wrapped by quoted-printable": quopri.encodestring(b"x" * 60 + CODED).decode(),
    "a shell's quotes": shlex.quote(f"{TOKEN}'{TOKEN}"),
}


@pytest.mark.parametrize("way", ODD_WAYS)
def test_a_token_is_hidden_in_odd_spellings_too(way: str) -> None:
    redactor = Redactor([f"{TOKEN}'{TOKEN}" if way == "a shell's quotes" else TOKEN])
    hidden = redactor.text(ODD_WAYS[way])
    assert hidden.count(HIDDEN) == 1
    assert redactor.refuses(ODD_WAYS[way])
    assert not redactor.refuses(hidden)


def test_lines_that_only_together_look_like_a_secret_stay_lines_otherwise() -> None:
    text = "| a_se |\n| cret |\nand more\n"
    assert Redactor(["another_secret_of_mine"]).text(text) == text


def test_long_base64_is_found_over_its_lines() -> None:
    secret = "0123456789abcdef" * 8
    wrapped = base64.encodebytes(f"user:{secret}".encode()).decode()
    assert HIDDEN in Redactor([secret]).text(wrapped)


@pytest.mark.parametrize("way", ["json", "address", "repr", "base64", "hexadecimal"])
@pytest.mark.parametrize("share", [0.6, 0.8])
def test_a_message_that_was_truncated_within_a_secret_shows_no_part_of_it(way: str, share: float) -> None:
    written = WAYS[way][: int(len(WAYS[way]) * share)]
    hidden = Redactor([SECRET]).text(f"before {written}...")
    assert len(hidden) < len("before ...") + len(HIDDEN) + 8
    assert not any(part in hidden for part in ("wJalr", "XU", "FE", "K7"))


def test_a_value_keeps_its_form_and_stays_json() -> None:
    given = {"a_secret": [1, 2.5, None, True, ("x", "\na_secret")], "b": {"c": "see b_secret"}}
    assert Redactor(["a_secret", "b_secret"]).value(given) == {
        HIDDEN: [1, 2.5, None, True, ["x", f"\n{HIDDEN}"]], "b": {"c": f"see {HIDDEN}"},
    }  # fmt: skip


@pytest.mark.parametrize("written", [*WAYS.values(), *ODD_WAYS.values(), TOKEN[:13], "hf_" + "a1" * 9])
def test_in_a_value_each_string_is_hidden_as_by_itself(written: str) -> None:
    redactor, around = Redactor([SECRET, TOKEN]), ["it ends with a letter", "a line\nand \\n one more"]
    given = [around[0], written, around[1], {written: written}]
    alone = redactor.text(written)
    assert redactor.value(given) == [around[0], alone, around[1], {alone: alone}]
    assert redactor.value(around) == around


def test_a_secret_that_holds_another_leaves_nothing_of_either() -> None:
    assert Redactor(["abcdefgh-and-more", "abcdefgh"]).text("abcdefgh-and-more, abcdefgh") == f"{HIDDEN}, {HIDDEN}"


def test_what_is_known_stays_known_and_a_longer_secret_goes_first() -> None:
    redactor = Redactor(["abcdefgh"])
    redactor.know(["abcdefgh-ijklmnop"])
    redactor.know([])
    assert redactor.text("abcdefgh-ijklmnop abcdefgh") == "[secret] [secret]"


def test_bytes_of_any_encoding_stay_but_for_the_secret() -> None:
    assert Redactor(["a_secret"]).content(b"\xff\xfe a_secret \x00") == b"\xff\xfe [secret] \x00"


@pytest.mark.parametrize(
    "text",
    ["http://me:pw@host/x", "token hf_ABCDEFGHIJKLMNOPQR", "AKIAIOSFODNN7EXAMPLE", "sk-proj-0123456789abcdefghij"],
)
def test_what_has_the_shape_of_a_secret_is_hidden_though_nobody_named_it(text: str) -> None:
    assert HIDDEN in Redactor().text(text)


@pytest.mark.parametrize(
    "text",
    ["hf_transfer is not installed", "s3://bucket/a@b:c", "a task-description-of-some-length", "http://h:80/a@b"],
)
def test_plain_text_stays(text: str) -> None:
    assert Redactor(["a_secret"]).text(text) == text


@pytest.mark.parametrize("offset", range(3))
def test_of_a_long_secret_in_base64_nothing_long_is_left_wherever_it_begins(offset: int) -> None:
    long = "".join(random.Random(offset).choices(string.printable, k=2000))
    left = Redactor([long]).text(base64.b64encode(bytes(offset) + long.encode()).decode())
    assert max(map(len, left.split(HIDDEN))) < 8


def test_a_secret_of_any_length_and_characters_is_taken() -> None:
    odd = "[" * 100_000
    assert Redactor([odd]).text(f"it is {odd}.").replace(HIDDEN, "") == "it is ."
    assert Redactor([odd]).text("a list: [1, 2]") == "a list: [1, 2]"


def test_a_stream_writes_no_secret_and_is_else_the_stream_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redactor, "REDACTOR", Redactor(["a_secret"]))
    out = StringIO()
    print("it is", "a_secret", file=RedactedStream(out))
    RedactedStream(out).writelines(["a_secret\n"])
    assert RedactedStream(out).getvalue() == "it is [secret]\n[secret]\n"


def test_standard_streams_are_guarded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, StringIO())
    for _ in range(2):
        redactor.guard({"HF_TOKEN": "hf_abcdefgh", "HOME": "/not/there"})
    print("hf_abcdefgh")
    assert sys.stdout.getvalue() == "[secret]\n"  # type: ignore[attr-defined]
    assert isinstance(sys.stdout._stream, StringIO)  # type: ignore[attr-defined]


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(redactor).failed == doctest.testmod(spellings).failed == 0
