r"""Reads a short formula, LaTeX or plain, as a function of its letters: `\frac{x}{2}`, `2sqrt(3)`, `\log_2 x`, `|x|`.

A grammar of numbers, single letters, `+ - * / ^`, roots, logarithms and trigonometry. Whatever else stands there
makes it no formula. Evaluation takes at most as many operations as the text has characters, each on numbers of a
fixed precision and a bounded size, so it always ends soon. Nothing here is executed as code.
"""

import functools
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

LONGEST = 150  # characters
_LARGEST = 2_000  # bits of a power's result; larger ones have no value here

Values = Mapping[str, Any]
Evaluate = Callable[[Any, Values], Any]  # of an mpmath context and the letters' values

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|(\\[A-Za-z]+)|([A-Za-z])|([-+*/^_(){}\[\]|]))")
_FUNCTIONS_LISTED = "sin cos tan sec csc cot arcsin arccos arctan sinh cosh tanh exp ln log"
_FUNCTIONS = {f"\\{name}" for name in _FUNCTIONS_LISTED.split()}
_SPELLED = "|".join(["sqrt", "pi", *_FUNCTIONS_LISTED.split()])  # also without a backslash
_NAMES = {"\\arcsin": "asin", "\\arccos": "acos", "\\arctan": "atan"}
_GREEK = {f"\\{name}" for name in str.split("alpha beta gamma delta theta lambda mu phi omega sigma rho tau")}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_SIGNS = {"\\cdot": "*", "\\times": "*", "\\div": "/"}
_OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_ENDS, _NOT_IN_ARGUMENT = set("+-)]}^_"), _FUNCTIONS | set("([*/")
_DEEPEST = 12


class Formula(NamedTuple):
    """What the text says, and the letters that it is a function of, sorted."""

    evaluate: Evaluate
    letters: tuple[str, ...]


class NoFormula(ValueError):
    """The text is none, or has no value within bounds."""


@functools.lru_cache(maxsize=4096)
def formula(text: str) -> Formula | None:
    """The text as a formula, or None.

    >>> formula("2x + y").letters, formula("2x +") is None, formula("no formula") is None
    (('x', 'y'), True, True)
    """
    if len(text) > LONGEST or not _has_small_parts(text):
        return None
    try:
        reader = _Reader(text)
        evaluate = reader.sum()
        if reader.rest:
            return None
        return Formula(evaluate, tuple(sorted(set(reader.letters))))
    except (NoFormula, IndexError):
        return None


def _has_small_parts(text: str) -> bool:
    """Letters of a word that is not a product of variables, such as `no` or `cells`, make it no formula."""
    plain = re.sub(rf"\\[A-Za-z]+|(?<![A-Za-z])(?:{_SPELLED})(?![A-Za-z])", " 1 ", text)
    words = re.findall(r"[A-Za-z]+", plain)
    if not re.search(r"[\d+*/^|(-]", plain) and not re.fullmatch(r"(?=.*[xyz])[a-z](?: ?[a-z]){0,2}|[a-zA-Z]", text):
        return False
    return all(len(word) <= 2 or set(word) <= set("wxyz") for word in words) and len(set("".join(words))) <= 6


class _Reader:
    """Recursive descent. `rest` holds the tokens that are still to be read, the next one last."""

    def __init__(self, text: str) -> None:
        text = re.sub(rf"(?<![\\A-Za-z])({_SPELLED})(?![A-Za-z])", r"\\\1", text)
        tokens, place = [], 0
        while place < len(text.rstrip()):
            match = _TOKEN.match(text, place)
            if match is None:
                raise NoFormula
            tokens.append(_SIGNS.get(match[0].strip(), match[0].strip()))
            place = match.end()
        self.rest = tokens[::-1]
        self.letters: list[str] = []
        self.depth = self.bars = 0

    def next(self) -> str:
        return self.rest[-1] if self.rest else ""

    def take(self, expected: str = "") -> str:
        if not self.rest or (expected and self.rest[-1] != expected):
            raise NoFormula
        return self.rest.pop()

    def sum(self) -> Evaluate:
        """Terms with their signs."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise NoFormula
        negative = self.next() == "-"
        if self.next() in ("-", "+"):
            self.take()
        total = _negated(self.product()) if negative else self.product()
        while self.next() in ("+", "-"):
            total = _combined(self.take(), total, self.product())
        self.depth -= 1
        return total

    def product(self, *, stop_at_functions: bool = False) -> Evaluate:
        """Factors, also such as stand side by side."""
        ends = _ENDS | _NOT_IN_ARGUMENT if stop_at_functions else _ENDS
        result = self.power()
        while sign := self.next():
            if sign in ends or (sign == "|" and self.bars):
                break
            if sign in ("*", "/"):
                result = _combined(self.take(), result, self.signed_power())
            else:
                result = _combined("*", result, self.power())
        return result

    def signed_power(self) -> Evaluate:
        if self.next() == "-":
            self.take()
            return _negated(self.power())
        return self.power()

    def power(self) -> Evaluate:
        base = self.atom()
        if self.next() != "^":
            return base
        self.take()
        exponent = self.signed_power()
        return lambda m, values: _power(m, base(m, values), exponent(m, values))

    def atom(self) -> Evaluate:
        """A number, letter, group or function with its argument."""
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return lambda m, _: m.mpf(token)
        if token in _CLOSING:
            return self.group(token)
        if token == "|":
            self.bars += 1
            inside = self.sum()
            self.bars -= 1
            self.take("|")
            return lambda m, values: abs(inside(m, values))
        if token in ("\\pi", "e", "i"):
            return {"\\pi": lambda m, _: +m.pi, "e": lambda m, _: +m.e, "i": lambda m, _: m.mpc(0, 1)}[token]
        if token.isalpha() or token in _GREEK:
            self.letters.append(token)
            return lambda _, values: values[token]
        return self.command(token)

    def group(self, opening: str) -> Evaluate:
        bars, self.bars = self.bars, 0
        inside = self.sum()
        self.bars = bars
        self.take(_CLOSING[opening])
        return inside

    def argument(self) -> Evaluate:
        """Of `\\frac`: a group in braces, or one digit or letter."""
        if self.next() and self.next() in "{(":
            return self.group(self.take())
        return self.atom()

    def command(self, token: str) -> Evaluate:
        if token == "\\frac":
            above, below = self.argument(), self.argument()
            return _combined("/", above, below)
        if token == "\\sqrt":
            degree = self.group(self.take()) if self.next() == "[" else None
            before = len(self.letters)
            inside = self.argument()
            real = len(self.letters) == before
            return lambda m, values: _root(m, inside(m, values), degree(m, values) if degree else m.mpf(2), real=real)
        if token in _FUNCTIONS:
            return self.function(token)
        raise NoFormula

    def function(self, token: str) -> Evaluate:
        base = exponent = None
        if token == "\\log" and self.next() == "_":
            self.take()
            base = self.argument()
        if self.next() == "^":
            self.take()
            exponent = self.argument()
        bracketed = self.next() and self.next() in "({["
        inside = self.group(self.take()) if bracketed else self.product(stop_at_functions=True)

        def value(m: Any, values: Values) -> Any:
            result = _function(m, token, inside(m, values), base(m, values) if base else m.mpf(10))
            return _power(m, result, exponent(m, values)) if exponent else result

        return value


def _negated(operand: Evaluate) -> Evaluate:
    return lambda m, values: -operand(m, values)


def _combined(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    combine = _OPERATIONS[sign]
    return lambda m, values: combine(left(m, values), right(m, values))


def _power(m: Any, base: Any, exponent: Any) -> Any:
    if base and abs(exponent) * (abs(m.mag(base)) + 1) > _LARGEST:
        raise NoFormula
    return m.power(base, exponent)


def _root(m: Any, radicand: Any, degree: Any, *, real: bool) -> Any:
    """The principal root; of a negative number the real one where the degree is odd."""
    if real and m.im(radicand) == 0 and m.re(radicand) < 0 and degree % 2 == 1:
        return -_power(m, -radicand, 1 / degree)
    return m.sqrt(radicand) if degree == 2 else _power(m, radicand, 1 / degree)


def _function(m: Any, token: str, argument: Any, base: Any) -> Any:
    if abs(argument) > _LARGEST and token not in ("\\ln", "\\log"):
        raise NoFormula
    if token == "\\ln":
        return m.log(argument)
    if token == "\\log":
        return m.log(argument) / m.log(base)
    return getattr(m, _NAMES.get(token, token[1:]))(argument)
