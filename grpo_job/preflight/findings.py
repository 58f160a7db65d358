"""What a check found, as a line of the table and as JSON."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from grpo_job.outcomes import InvalidRun

T = TypeVar("T")
Status = Literal["passed", "warned", "failed", "skipped"]


class Finding(NamedTuple):
    """`name` is what was checked; `sentence` is the result, and the cure if something is wrong."""

    status: Status
    name: str
    sentence: str


class Findings(list[Finding]):
    """All findings of one preflight, in the order of the checks."""

    def attempt(self, name: str, step: Callable[[], T], *, refused: Status = "failed") -> T | None:
        """The result of `step`; if it raises `InvalidRun`, None, and one finding for each fault is added."""
        try:
            return step()
        except InvalidRun as refusal:
            self.extend(Finding(refused, name, fault) for fault in refusal.faults)
            return None

    def faults(self) -> list[str]:
        """The sentences of all failed checks."""
        return [finding.sentence for finding in self if finding.status == "failed"]


def lines(findings: Sequence[Finding]) -> list[str]:
    """The table. Failed checks are first, where a user looks first.

    >>> print(*lines([Finding("failed", "disk", "full"), Finding("passed", "rows", "ten")]), sep="\\n")
    failed   disk  full
    passed   rows  ten
    1 passed, 0 warned, 1 failed, 0 skipped
    """
    order: list[Status] = ["failed", "warned", "skipped", "passed"]
    width = max((len(finding.name) for finding in findings), default=0)
    table = []
    for finding in sorted(findings, key=lambda finding: order.index(finding.status)):
        first, *further = finding.sentence.split("\n")
        table.append(f"{finding.status:7}  {finding.name:{width}}  {first}")
        table += [" " * (width + 11) + line for line in further]
    return [*table, tally(findings)]


def tally(findings: Sequence[Finding]) -> str:
    """`12 passed, 1 warned, 0 failed, 0 skipped`."""
    number = Counter(finding.status for finding in findings)
    return ", ".join(f"{number[status]} {status}" for status in ("passed", "warned", "failed", "skipped"))


def as_json(
    findings: Sequence[Finding], settings: Mapping[str, Any] | None = None, shown: Mapping[str, Any] | None = None
) -> str:
    """JSON: whether a run can start, every finding, the settings with their origins, and what is `shown` of rows."""
    ok = all(finding.status != "failed" for finding in findings)
    found = {
        "ok": ok,
        "findings": [finding._asdict() for finding in findings],
        "settings": settings or {},
        **(shown or {}),
    }
    return json.dumps(found, indent=1, ensure_ascii=False)


def of_settings(faults: Sequence[str]) -> Findings:
    """Findings for faults in settings, after which nothing else is checked."""
    return Findings(Finding("failed", "settings", fault) for fault in faults)
