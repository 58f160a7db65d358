r"""One spelling for LaTeX and Unicode that mean the same: `\left(`, `\dfrac12`, `\text{ cm}`, `≥`, `½`, `x²`, `Ｂ`.

Every replacement is one pass over a short text: the callers bound its length.
"""

import functools
import math
import re
import unicodedata

_BOX = re.compile(r"\\f?boxed\s*\{|\\fbox\s*\{|\\[{}]|[{}]")
_ONE_BOX = re.compile(r"\\(?:f?boxed|fbox)\s*\{(?P<inside>(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\}){1,60})\}")
_JOINED_REACH = 300  # characters
_NAMED_BOX = rf"(?:\b[a-zA-Z](?:_\{{?\d\}}?)? ?= ?)?{_ONE_BOX.pattern.replace('?P<inside>', '?:')}"
_MATH_SIGN = r"(?>(?:\s|\\q?quad(?![a-z])|\$|\\[()\[\]]){0,6})"
_AND = r"(?:,|(?:, ?)?(?:\b(?:and|or)\b|\\text\s*\{\s*(?:and|or)\s*\}))"
_BOXES_JOINED = re.compile(rf"{_NAMED_BOX}(?:{_MATH_SIGN}{_AND}{_MATH_SIGN}{_NAMED_BOX}){{1,9}}")
_SYMBOLS_LISTED = r"""× * · * ⋅ * ∗ * ÷ / ⁄ / ∶ : π \pi √ \sqrt ∞ \infty ≥ \ge ≤ \le ≠ \ne ≈ \approx ± \pm ∪ \cup ∈ \in
    ٫ . ٬ , ∅ \emptyset ℝ \mathbb{R} ℤ \mathbb{Z} ℕ \mathbb{N} ℚ \mathbb{Q} ℂ \mathbb{C} “ " ” " ″ " ‘ ' ’ ' ′ ' ⟨ ( ⟩ )
    ° \degree º \degree … ... → \to"""
_COMMANDS_LISTED = r"""\langle ( \rangle ) \lbrace \{ \rbrace \} \lvert | \rvert | \mid | \vmid | \gt > \lt < \colon :
    \geqslant \ge \geq \ge \ge \ge >= \ge => \ge \leqslant \le \leq \le \le \le <= \le =< \le \neq \ne \ne \ne != \ne
    \cup \cup \in \in \pm \pm +/- \pm \varnothing \emptyset"""
_SYMBOLS, _COMMANDS = (
    {symbol: spelling + " " * spelling[1:].isalpha() for symbol, spelling in zip(words[::2], words[1::2], strict=True)}
    for words in (_SYMBOLS_LISTED.split(), _COMMANDS_LISTED.split())
)
# Invisible: marks of the web, and of scripts that run from the right.
_UNSEEN = "\u00ad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"
_CHARACTERS = (
    dict.fromkeys(map(ord, _UNSEEN), "")
    | dict.fromkeys(map(ord, "\u2212\u2013\u2010\u2011\ufe63\uff0d"), "-")
    | {ord(character): spelling for character, spelling in _SYMBOLS.items()}
)
_WORDS = r"(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|mbox|operatorname|bf|rm)"
_INSIDE = r"((?:[^{}]|\{[^{}]*\})*)"
_SPELLINGS = tuple(
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])\s*\.?|\\! ?|\+(?=\\infty)", ""),
        (r"\\(?:displaystyle|textstyle|limits)(?![a-zA-Z])", " "),
        (r"\\[,;:] ?|(?<=\d)~(?=\w)", "\u2009"),
        (r"\\(?:quad|qquad)(?![a-zA-Z])|(?<!\\)\\ ", " "),
        (r"\{,\}", ","),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d(?!\d)|[a-z](?![a-z])))", r"\\frac{\1\2}{\3\4}"),
        (r"\\mathb[bf]\s*\{?\s*([RZNQC])(?![a-zA-Z])\s*\}?|\\Bbb\s*\{?\s*([RZNQC])\s*\}?", r"\\mathbb{\1\2}"),
        (r"\^\s*\{\s*\\circ\s*\}|\^\s*\\circ(?![a-zA-Z])|\\(?:degree|circ)(?![a-zA-Z])", " degrees "),
        (r"\\frac\{([^{}]*)\}\{-(\d+)\}", r"-\\frac{\1}{\2}"),
        (r"\\(sin|cos|tan)\s*\^\s*\{-1\}", r"\\arc\1"),
        (rf"(?<=[\d}}])\s*\\{_WORDS}\s*\{{(?:~|\s)*{_INSIDE}\}}", r" \1"),
        (rf"\\{_WORDS}\s*\{{(?:~|\s)*{_INSIDE}\}}", r"\1"),
        (r"\\(?:times|cdot|ast)(?![a-zA-Z])\s*|(?<=\d) x (?=\d)", "*"),
        (r"(?<=[\w)}])\*\*(?=[\w({-])", "^"),
        (r"\\([$%#&])", r"\1"),
        (r"\.(\d{0,6})\((\d{1,6})\)", r".\1\\overline{\2}"),
        (r"\.(\d{0,6}?)(\d{1,6}?)\2{2,}(?:\.\.\.|\\l?dots)", r".\1\\overline{\2}"),
        (r"\.(\d{0,6})(\d)\u0305", r".\1\\overline{\2}"),
    )
)
_WRAPPED = (
    re.compile(r"(\*\*|\*|__|_|`+|\"|')(?P<inside>.+)\1", re.DOTALL),
    re.compile(r"\$\$?(?P<inside>[^$]+)\$\$?"),
    re.compile(r"\\[(\[](?P<inside>.+)\\[)\]]", re.DOTALL),
    re.compile(r"\\(?:text|textbf|mathrm)\s*\{(?P<inside>[^{}]*)\}"),
    re.compile(r"“(?P<inside>[^“”]+)”"),
)
# Letters of scripts without spaces (Han, kana, Hangul, Thai to Khmer), but for those that make another number of the
# digits beside them (ten thousand, a point, "or", "at least", "and a half", minus, ordinals, parts), deny or ask.
_LETTER = r"[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3]"
_OTHER = r"\d万萬亿億兆千百十点點又或以多余만억천백십"
COUNTER = rf"(?![{_OTHER}半吗嗎])[\u3400-\u9fff\uac00-\ud7a3]"  # 个, 元, 개
_TOUCHING = re.compile(
    rf"(?<=\d)(?![{_OTHER}]|分[の之]|.{{0,2}}半|ではな|吗|嗎)(?={_LETTER})"
    rf"|(?<={_LETTER})(?<![{_OTHER}第负負])(?<!分[の之])(?<!イナス)(?<!ลบ)(?<!不是)(?=[-\u2212]?[$€£¥]?\.?\d)"
)
_RAISED, _LOWERED = re.compile("[⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ]+"), re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_BINOMIAL = re.compile(r"\\[dt]?binom\s*\{(\d{1,2})\}\s*\{(\d{1,2})\}|\{(\d{1,2})\s*\\choose\s*(\d{1,2})\}")
_FACTORIAL = re.compile(r"(?<![\w.!])(\d{1,2})!(?![!\w])")
_REPEATING = re.compile(r"(\d{0,6})\.(\d{0,6})\\(?:overline|bar)\s*\{?(\d{1,6})\}?")
_BEGIN = re.compile(
    r"[(\[{|]?\s*\\begin\{(?:[pbBvV]?matrix|array\}\{[lcr|]{1,9})\}(.*?)\\end\{[a-zA-Z]{5,7}\}\s*[)\]}|]?", re.S
)


def boxes(text: str) -> list[str]:
    r"""What stands in each `\boxed{...}` whose braces balance, in the order in which they close.

    >>> boxes(r"\boxed{\frac{1}{2}} and \boxed{3")
    ['\\frac{1}{2}']
    """
    opened: list[int | None] = []  # where each open brace's box begins; None for other braces
    found = []
    for brace in _BOX.finditer(text):
        if brace[0].endswith("{") and len(brace[0]) > 2:
            opened.append(brace.end())
        elif brace[0] == "{":
            opened.append(None)
        elif brace[0] == "}" and opened and (start := opened.pop()) is not None:
            found.append(text[start : brace.start()].strip())
    return found


def last_box(text: str) -> str:
    r"""What stands in the last `\boxed{...}`, with those that `and`, `or` or a comma joins to it; empty where in none.

    >>> last_box(r"\boxed{1}. So $x = \boxed{2}$ or $x = \boxed{3}$."), last_box(r"\boxed{2}, so \boxed{3}")
    ('x = 2 or x = 3', '3')
    """
    found = boxes(text)
    last = found[-1] if found else ""
    for joined in _BOXES_JOINED.finditer(text, max(0, text.rfind("box") - _JOINED_REACH)):
        if len(set(boxes(joined[0]))) > 1 and not boxes(text[joined.end() :]):
            return _ONE_BOX.sub(lambda box: box["inside"].strip(), re.sub(r"\$|\\[()\[\]]", "", joined[0])).strip()
    return last


def apart(text: str) -> str:
    """The text with a space between digits and letters of scripts without spaces: `42元`, but not `42万` or `3分の2`.

    >>> apart("共有42个")
    '共有 42 个'
    """
    return text if text.isascii() else _TOUCHING.sub(" ", text)


def unwrap(text: str) -> str:
    r"""The text without what surrounds a value: white space, Markdown, math signs, `\boxed{}`, a last period.

    >>> unwrap(r"**\boxed{72}.**")
    '72'
    """
    text = re.sub(r"^[*•]\s+", "", text.strip())
    for _ in range(8):  # as deep as anyone nests them
        text = _inside(text.rstrip(".;。．").rstrip() if not text.endswith("..") else text)
    return text


def _inside(text: str) -> str:
    for wrapped in _WRAPPED:
        if match := wrapped.fullmatch(text):
            return match["inside"].strip()
    if text.endswith("}") and text.startswith(("\\boxed", "\\fbox")):
        found = boxes(text)
        if found and len(re.sub(r"\s", "", found[-1])) + len(r"\boxed{}") >= len(re.sub(r"\s", "", text)):
            return found[-1]
    return text


@functools.lru_cache(maxsize=4096)
def spelled_alike(text: str) -> str:
    r"""The text in one spelling.

    >>> spelled_alike(r"\left( \dfrac12 , 5\text{ cm} \right)"), spelled_alike("2½ ≥ x²")
    ('( \\frac{1}{2} , 5 cm )', '2 1/2 \\ge   x^{2}')
    """
    if not text.isascii():
        text = apart(unicodedata.normalize("NFC", text))
        text = _RAISED.sub(lambda match: f"^{{{_simple(match[0])}}}", text)
        text = _LOWERED.sub(lambda match: f"_{{{_simple(match[0])}}}", text)
        text = "".join(map(_plain_character, text.translate(_CHARACTERS)))
    text = re.sub(r"\\[A-Za-z]+|[<>!]=|=[<>]|\+/-", lambda match: _COMMANDS.get(match[0], match[0]), text)
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    text = _BINOMIAL.sub(lambda match: str(math.comb(*(int(each) for each in match.groups() if each))), text)
    text = _FACTORIAL.sub(lambda match: str(math.factorial(int(match[1]))), text)
    text = _REPEATING.sub(_repeating, text)
    return _BEGIN.sub(r"\\begin{pmatrix}\1\\end{pmatrix}", text).strip()


def _plain_character(character: str) -> str:
    """Digits and letters of every script and width as ASCII, and `½` as ` 1/2`; spaces stay what they are."""
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.decimal(character))
    kind = unicodedata.decomposition(character).partition("> ")[0]
    if kind == "<fraction":
        return " " + _simple(character).replace("\u2044", "/")
    return _simple(character) if kind in ("<wide", "<circle", "<font") else character


def _simple(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("\u2212", "-")


def _repeating(match: re.Match[str]) -> str:
    whole, once, again = match[1] or "0", match[2], match[3]
    divisor = 10 ** len(once) * (10 ** len(again) - 1)
    value = int(whole + once + again) - int(whole + once)
    return f"{value}/{divisor}"
