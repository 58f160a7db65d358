"""The ways in which a text can write a value: as it is, escaped, quoted, as bytes, in base64 or hexadecimal. Pure."""

import base64
import html.entities
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

CONTROLS = {"\n": r"(?:\\+r)?\\+n|\r?\n", "\r": r"\\+r", "\t": r"\\+t"}
LINE = 56  # characters of base64; tools wrap longer ones
LONG, SHOWN = 16, 12  # characters of a value of which a part is a secret too, and of the least part
_compiled = cache(re.compile)


class Spelling(NamedTuple):
    """A text without `anchor` cannot match `pattern`, and is looked through faster."""

    anchor: str
    pattern: re.Pattern[str]

    def hidden(self, text: str, by: str) -> str:
        return self.pattern.sub(by, text) if self.anchor in text else text

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
    yield Spelling(_longest_word(value), re.compile("".join(map(_character, value))))
    content = value.encode(errors="surrogateescape")
    for core in dict.fromkeys(map(content_in_base64, [content] * 3, range(3))):
        between = r"(?:\\+n|\s)?" if len(core) > LINE else ""
        pattern = between.join(map(_base64_character, core))
        yield Spelling("" if between else _longest_word(core), re.compile(pattern))
    for digits in (content.hex(), content.hex().upper()):
        yield Spelling(digits, re.compile(digits))


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
        first = re.compile("".join(pattern.pattern for pattern in patterns[:SHOWN]))
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


def _character(character: str) -> str:
    """A pattern of one character in all its escapes, which may be escaped themselves."""
    if character.isascii() and character.isalnum():
        return character
    number, content = ord(character), character.encode(errors="surrogateescape")
    names = [name.rstrip(";") for name, text in html.entities.html5.items() if text == character]
    literal = r"\\*" + re.escape(character)
    forms = [
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
