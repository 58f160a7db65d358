r"""One spelling for LaTeX and Unicode that mean the same: `\left(`, `\dfrac12`, `\text{ cm}`, `\geq`, smart quotes.

Every replacement is one pass over a short text: the callers bound its length.
"""

import math
import re

_BOX = re.compile(r"\\f?boxed\s*\{|\\fbox\s*\{|\\[{}]|[{}]")
_WORDS = r"(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|mbox|operatorname|bf|rm)"
_SPELLINGS = tuple(
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])\s*\.?", ""),
        (r"\\(?:displaystyle|textstyle|limits)(?![a-zA-Z])", " "),
        (r"\\!", ""),
        (r"\\[,;:] ?", "\u2009"),
        (r"\\(?:quad|qquad)(?![a-zA-Z])|(?<!\\)\\ ", " "),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\frac\s*(\d)\s*(\d)(?!\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*\{([^{}]*)\}\s*(\d|[a-z](?![a-z]))", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\d)\s*\{([^{}]*)\}", r"\\frac{\1}{\2}"),
        (r"\\sqrt\s*(\d|[a-z](?![a-z]))", r"\\sqrt{\1}"),
        (rf"(?<=[\d}}])\s*\\{_WORDS}\s*\{{(?:~|\s)*([^{{}}]*)\}}", r" \1"),
        (rf"\\{_WORDS}\s*\{{(?:~|\s)*([^{{}}]*)\}}", r"\1"),
        (r"\\langle(?![a-zA-Z])|⟨", "("),
        (r"\\rangle(?![a-zA-Z])|⟩", ")"),
        (r"\\lbrace(?![a-zA-Z])", r"\\{"),
        (r"\\rbrace(?![a-zA-Z])", r"\\}"),
        (r"\\[lr]vert(?![a-zA-Z])|\\v?mid(?![a-zA-Z])", "|"),
        (r"\\(?:geqslant|geq|ge)(?![a-zA-Z])|≥|>=|=>", r"\\ge "),
        (r"\\(?:leqslant|leq|le)(?![a-zA-Z])|≤|<=", r"\\le "),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\infty(?![a-zA-Z])|∞", r"\\infty"),
        (r"\+\\infty", r"\\infty"),
        (r"\\cup(?![a-zA-Z])|∪", r"\\cup "),
        (r"\\in(?![a-zA-Z])|∈", r"\\in "),
        (r"\\pm(?![a-zA-Z])|±|\+/-", r"\\pm "),
        (r"\\exp\s*\(([^()]*)\)", r"e^{\1}"),
        (r"[“”]", '"'),
        (r"[‘’]", "'"),
        (r"\\([$%])", r"\1"),
    )
)
_BINOMIAL = re.compile(r"\\[dt]?binom\s*\{(\d{1,2})\}\s*\{(\d{1,2})\}")
_REPEATING = re.compile(r"(\d{0,6})\.(\d{0,6})\\overline\s*\{(\d{1,6})\}")
_BEGIN = re.compile(r"\\(begin|end)\{[pbBvV]?matrix\}")


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


def spelled_alike(text: str) -> str:
    r"""The text in one spelling.

    >>> spelled_alike(r"\left( \dfrac12 , 5\text{ cm} \right)")
    '( \\frac{1}{2} , 5 cm )'
    """
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    text = _BINOMIAL.sub(_binomial, text)
    text = _REPEATING.sub(_repeating, text)
    return _BEGIN.sub(r"\\\1{pmatrix}", text).strip()


def _binomial(match: re.Match[str]) -> str:
    return str(math.comb(int(match[1]), int(match[2])))


def _repeating(match: re.Match[str]) -> str:
    whole, once, again = match[1] or "0", match[2], match[3]
    divisor = 10 ** len(once) * (10 ** len(again) - 1)
    value = int(whole + once + again) - int(whole + once)
    return f"{value}/{divisor}"
