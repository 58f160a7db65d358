"""The ways in which a text can write a value: as it is, escaped, quoted, as bytes, in base64 or hexadecimal. Pure.

Each may be of UTF-8 or UTF-16, wrapped at any column, and base64 in base64 once more.
"""

import base64
import html.entities
import math
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

CONTROLS = {"\n": r"(?:\\+r)?\\+n|\r?\n", "\r": r"\\+r", "\t": r"\\+t"}
ENDS, BEGINS = " \t\r\\|│┃=", " \t|│┃#>*"  # what frames and indents a line
LINE_END = r"\n|(?:\\+r)?\\+n"
BREAK = rf"(?:[{re.escape(ENDS)}]*(?:{LINE_END})[{re.escape(BEGINS)}]*)?"
BETWEEN = r"[^0-9A-Za-z]{1,4}"
NUL = r"(?:\0|\\+(?:x00|u0000|0{1,3}))"  # between the characters of UTF-16
ESCAPES = (  # the mark of each, all of it, and what of it is written in one way if it has digits only
    ("%", "%(?:25)*{0:02x}", "{0:02x}"), ("\\", r"\\+x{0:02x}", "x{0:02x}"), ("\\", r"\\+u00{0:02x}", "u00{0:02x}"),
    ("\\", r"\\+0*{0:o}", "{0:o}"), ("&", "&(?:amp;)*#0*{0};", "{0};"), ("&", "&(?:amp;)*#x0*{0:x};", "{0:x};"),
)  # fmt: skip
LONG, SHOWN = 16, 12  # characters of a value of which a part is a secret too, and of the least part
PIECE, MOST = 512, 8192  # characters that are looked for together, and of a value; patterns take long to compile
_compiled = cache(re.compile)


class Spelling(NamedTuple):
    """A text without `anchor` cannot match `source`, and is looked through faster.

    `wrapped`: what matches the same broken into lines; "" if it never is.
    """

    anchor: str
    source: str
    wrapped: str = ""

    @property
    def pattern(self) -> re.Pattern[str]:
        return _compiled(self.source)

    def hidden(self, text: str, by: str, unwrapped: str = "") -> str:
        """The text without the spelling; `unwrapped` is the text as `without_breaks` makes it."""
        text = self.pattern.sub(by, text) if self.anchor in text else text
        return _compiled(self.wrapped).sub(by, text) if self.wrapped and self.is_in(unwrapped) else text

    def is_in(self, text: str) -> bool:
        return self.anchor in text and bool(self.pattern.search(text))


class Beginning(NamedTuple):
    """The first characters of a long spelling, and patterns of the others: messages are truncated anywhere."""

    first: Spelling
    others: tuple[re.Pattern[str], ...]

    def hidden(self, text: str, by: str) -> str:
        """Without the beginning of the spelling and what follows of it."""
        parts, end = [], 0
        for found in self.first.pattern.finditer(text) if self.first.anchor in text else ():
            if found.start() >= end:
                parts += [text[end : found.start()], by]
                end = found.end()
                for other in self.others:
                    if not (more := other.match(text, end)):
                        break
                    end = more.end()
        return "".join([*parts, text[end:]])


def spellings(value: str) -> Iterator[Spelling]:
    """Every way to write `value`: escapes of JSON, HTML, addresses, shells and Python, nested too; base64; hexadecimal.

    >>> way, *_ = spellings("a/b+c")
    >>> [way.hidden(text, "*") for text in ("a/b+c", r"'a\\/b+c'", "a%2fb%252Bc", "a&#x2F;b&#43;c")]
    ['*', "'*'", '*', '*']
    """
    known = value[:MOST]
    size = math.ceil(len(known) / max(1, math.ceil(len(known) / PIECE)))  # no piece is much shorter than another
    for piece in dict.fromkeys(known[start : start + size] for start in range(0, len(known), size)):
        yield from _of_piece(piece)


def _of_piece(value: str) -> Iterator[Spelling]:
    characters = [*map(_character, value)]
    yield Spelling(_longest_word(value), "".join(characters), BREAK.join(characters) if len(value) >= LONG else "")
    content = value.encode(errors="surrogateescape")
    wide = b"".join(unit.to_bytes(2, "little") for letter in value for unit in _utf16_units(ord(letter)))
    for core in _cores(content):
        yield _in_base64(core)
        yield from map(_in_base64, _cores(core.encode()))
    yield from map(_in_base64, _cores(wide))
    yield from (*_in_numbers(content), *_in_numbers(wide))
    for anchor in ("\0", "\\"):
        yield Spelling(anchor, NUL.join(characters))


def without_breaks(text: str) -> str:
    """The text with its lines put together, without what frames and indents them; "" if it has one only."""
    lines = _compiled(LINE_END).split(text) if "\\n" in text else text.split("\n")
    return "".join(line.rstrip(ENDS).lstrip(BEGINS) for line in lines) if len(lines) > 1 else ""


def _cores(content: bytes) -> Iterable[str]:
    return dict.fromkeys(map(content_in_base64, [content] * 3, range(3)))


def _in_base64(core: str) -> Spelling:
    characters = [*map(_base64_character, core)]
    return Spelling(_longest_word(core), "".join(characters), BREAK.join(characters))


def _in_numbers(content: bytes) -> Iterator[Spelling]:
    """Hexadecimal as one word or in pairs, a list of numbers, and escapes of all bytes, letters and digits too."""
    for pairs in ([f"{byte:02x}" for byte in content], [f"{byte:02X}" for byte in content]):
        yield Spelling(pairs[0] + pairs[1], "".join(pairs), BREAK.join(pairs))
        yield Spelling(pairs[0], BETWEEN.join(pairs))
        yield Spelling("0x", BETWEEN.join(f"0[xX]0?{pair.lstrip('0') or '0'}" for pair in pairs))
    yield Spelling(f"{content[0]}", BETWEEN.join(map(str, content)))
    for mark, form, one in ESCAPES:
        source = "(?i:" + "".join(form.format(byte) for byte in content) + ")"
        followed = (one.format(byte) for byte in content[:-1])
        anchor = next((each for each in followed if each.strip("xu;").isdigit()), "")
        yield Spelling(f"{anchor}{mark}", source)


def beginnings(value: str) -> Iterator[Beginning]:
    """The beginnings of the longer spellings of a long value.

    >>> [way.hidden("it is 0123456789ABCDE... and 0123456789", "*") for way in beginnings("0123456789ABCDEF")][0]
    'it is *... and 0123456789'
    """
    if len(value) < LONG:
        return
    content = value.encode(errors="surrogateescape")
    for characters in (value, content_in_base64(content, 0), content.hex()):
        patterns = [_compiled(_character(character)) for character in characters]
        first = "".join(pattern.pattern for pattern in patterns[:SHOWN])
        yield Beginning(Spelling(_longest_word(characters[:SHOWN]), first), tuple(patterns[SHOWN:]))


def content_in_base64(content: bytes, offset: int) -> str:
    """The characters that `content` has in base64, `offset` bytes behind the start, whatever surrounds it.

    >>> content_in_base64(b"secret", 1) in base64.b64encode(b":secret!").decode()
    True
    """
    coded = base64.b64encode(bytes(offset) + content).decode()
    return coded[-(-offset * 8 // 6) : (offset + len(content)) * 8 // 6]


def _longest_word(value: str) -> str:
    """No spelling touches ASCII letters and digits."""
    return max(re.findall("[A-Za-z0-9]+", value), key=len, default="")


def _base64_character(character: str) -> str:
    alike = {"+": "-", "/": "_"}.get(character)
    return f"(?:{_character(character)}|{alike})" if alike else character


@cache
def _character(character: str) -> str:
    """A pattern of one character in all its escapes, which may be escaped themselves."""
    if character.isascii() and character.isalnum():
        return character
    number, content = ord(character), character.encode(errors="surrogateescape")
    names = [name.rstrip(";") for name, text in html.entities.html5.items() if text == character]
    literal = r"\\*" + re.escape(character)
    forms = [r"""'"'"'""", r"'\\+''"] if character == "'" else []  # of a shell
    forms += [
        f"(?:{literal}){{1,2}}" if character in "'\"" else literal,  # doubled in CSV and YAML
        "".join(f"%(?:25)*{byte:02x}" for byte in content),
        "".join(rf"\\+x{byte:02x}" for byte in content),
        rf"\\+x{number:02x}",
        "".join(rf"\\+u{unit:04x}" for unit in _utf16_units(number)),
        rf"\\+U{number:08x}",
        "&(?:amp;)*(?:" + "|".join([f"#0*{number}", f"#x0*{number:x}", *sorted(set(names))]) + ");",
    ]
    forms += [CONTROLS[character]] if character in CONTROLS else []
    forms += [r"\+"] if character == " " else []
    return f"(?i:{'|'.join(forms)})"


def _utf16_units(number: int) -> tuple[int, ...]:
    """By hand: a codec is imported when it is first used, and then the disk may be out of reach.

    >>> [hex(unit) for unit in _utf16_units(ord("\U0001f600"))]
    ['0xd83d', '0xde00']
    """
    if number < 0x10000:
        return (number,)
    high, low = divmod(number - 0x10000, 0x400)
    return 0xD800 + high, 0xDC00 + low
