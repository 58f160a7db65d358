"""What the reward `judge` was told in this run, in memory and in a file: nothing is asked for twice.

Each checkpoint holds the file, so a resumed run goes on with it.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Judged(NamedTuple):
    """One judgement: its score, None where there is none; the calls and tokens that it took; why it failed."""

    score: float | None
    calls: int = 0
    tokens: int = 0
    failure: str = ""


def lines_of(file: Path) -> list[str]:
    """The lines of a file of judgements, damaged ones too; none if it is missing."""
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []


def read_line(line: str) -> tuple[str, Judged] | None:
    """What was asked, as a digest, and its judgement; None for a line that is damaged: it is asked for again."""
    try:
        key, score, calls, tokens, failure, *check = json.loads(line)
        judged = Judged(None if score is None else float(score), int(calls), int(tokens), str(failure))
        return (key, judged) if check in ([], [_check(key, judged)]) else None
    except (ValueError, TypeError, RecursionError):
        return None


def _line(key: str, judged: Judged) -> str:
    return json.dumps([key, *judged, _check(key, judged)])


def _check(key: str, judged: Judged) -> str:
    """A digest of the line, because what a damaged score pays would change the training."""
    return hashlib.sha256(json.dumps([key, *judged]).encode()).hexdigest()[:8]


class Judgements:
    """All judgements of a run, by what was asked."""

    def __init__(self) -> None:
        self.known: dict[str, Judged] = {}
        self.file: Path | None = None
        self.key = ""  # of the service
        self.hide: Callable[[str], str] = str  # secrets in what a service replied
        self.calls = self.tokens = 0

    def keep_in(self, file: Path) -> None:
        """Go on with what is in `file`, and add to it: also what was judged before there was one, such as by checks."""
        earlier, self.file = self.known, file
        read = [read_line(line) for line in lines_of(file)]
        self.known = dict(each for each in read if each)
        self.calls = sum(judged.calls for judged in self.known.values())
        self.tokens = sum(judged.tokens for judged in self.known.values())
        for key, judged in earlier.items():
            if key not in self.known:
                self.add(key, judged)
                self.calls, self.tokens = self.calls + judged.calls, self.tokens + judged.tokens

    def add(self, key: str, judged: Judged) -> None:
        self.known[key] = judged
        if self.file:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(_line(key, judged._replace(failure=self.hide(judged.failure))) + "\n")

    def totals(self) -> dict[str, Any]:
        """Completions that were judged and that were not, calls and tokens, and why the last one failed."""
        failures = [judged.failure for judged in self.known.values() if judged.failure]
        return {
            "judged": len(self.known) - len(failures),
            "failed": len(failures),
            "calls": self.calls,
            "tokens": self.tokens,
            "last_failure": failures[-1] if failures else None,
        }

    def spend(self, most_calls: int | None, most_tokens: int | None) -> None:
        """Count a call. Raises `ValueError` where the budget of the whole run is spent."""
        for name, spent, most in (("calls", self.calls, most_calls), ("tokens", self.tokens, most_tokens)):
            if most is not None and spent >= most:
                raise ValueError(f"its budget is spent: {spent} of {most} {name} (most_{name})")
        self.calls += 1


JUDGEMENTS = Judgements()
