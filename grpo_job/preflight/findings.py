"""What a check found, as a line of the table and as JSON."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from grpo_job.outcomes import InvalidRun, Outage, RunEnded, Unasked
from grpo_job.settings.redaction.redactor import REDACTOR
from grpo_job.stores import client_errors

logger = logging.getLogger(__name__)
# What a check asks about is set by these.
VARIABLES = {
    "model": "GRPO_MODEL", "tokenizer": "GRPO_MODEL", "machine": "GRPO_MODEL", "rows": "GRPO_DATASET",
    "rows to choose by": "GRPO_DATASET", "first row": "GRPO_DATASET", "evaluation": "GRPO_EVAL_DATASET",
    "rewards": "GRPO_REWARDS", "measure": "GRPO_MEASURE", "GPU": "CUDA_VISIBLE_DEVICES", "outputs": "GRPO_OUTPUT_DIR",
    "cache": "GRPO_CACHE_DIR", "run folder": "GRPO_OUTPUT_DIR", "engine": "GRPO_ENGINE", "processes": "GRPO_PROCESSES",
}  # fmt: skip

T = TypeVar("T")
Status = Literal["passed", "warned", "failed", "skipped"]


class Finding(NamedTuple):
    """`name` is what was checked; `sentence` is the result, and the cure if something is wrong."""

    status: Status
    name: str
    sentence: str
    outage: bool = False  # it failed because something cannot be reached now


class Findings(list[Finding]):
    """All findings of one preflight, in the order of the checks."""

    def attempt(self, name: str, step: Callable[[], T], *, offline: bool = False) -> T | None:
        """The result of `step`; if it raises, None, and a finding for each fault is added.

        What is not known `offline` is skipped.

        Any error of a client is a finding too, so that the other checks are still made.
        """
        try:
            return step()
        except InvalidRun as refusal:
            unasked = offline and isinstance(refusal, Unasked)
            self.extend(of_refusal(name, refusal, "skipped" if unasked else "failed"))
        except RunEnded:
            raise
        except Exception as error:
            logger.debug("the check of %s failed", name, exc_info=True)
            self.append(Finding("failed", name, f"{VARIABLES.get(name, name)}: {client_errors.told(error)}"))
        return None

    def gather(self, name: str, checks: Callable[[], Iterable[Finding]]) -> None:
        """Add the findings of `checks`, up to the one that raises."""

        def add() -> None:
            for finding in checks():
                self.append(finding)

        self.attempt(name, add)

    def faults(self) -> list[str]:
        """The sentences of all failed checks."""
        return [finding.sentence for finding in self if finding.status == "failed"]

    def refusal(self) -> InvalidRun:
        """Every fault: an `Outage` if nothing else failed."""
        only_outages = all(finding.outage for finding in self if finding.status == "failed")
        return (Outage if only_outages else InvalidRun)(*self.faults())


def of_refusal(name: str, refusal: InvalidRun, status: Status = "failed", prefix: str = "") -> list[Finding]:
    """A finding for each fault; of an outage, the sentence says so."""
    outage = isinstance(refusal, Outage)
    told = f"{prefix}an outage, try again later: " if outage else prefix
    return [Finding(status, name, f"{told}{fault}", outage) for fault in refusal.faults]


def lines(findings: Sequence[Finding]) -> list[str]:
    """The table. Failed checks are first, where a user looks first.

    >>> print(*lines([Finding("failed", "disk", "full"), Finding("passed", "rows", "ten")]), sep="\\n")
    failed   disk  full
    passed   rows  ten
    1 passed, 0 warned, 1 failed, 0 skipped
    """
    order: list[Status] = ["failed", "warned", "skipped", "passed"]
    table, width = [], indent(findings) - 11
    for finding in sorted(findings, key=lambda finding: order.index(finding.status)):
        first, *further = finding.sentence.split("\n")
        table.append(f"{finding.status:7}  {finding.name:{width}}  {first}")
        table += [" " * indent(findings) + line for line in further]
    return [*table, tally(findings)]


def indent(findings: Sequence[Finding]) -> int:
    """The column of the table in which the sentences begin."""
    return 11 + max((len(finding.name) for finding in findings), default=0)


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
        "findings": [_as_dict(finding) for finding in findings],
        "settings": settings or {},
        **(shown or {}),
    }
    return json.dumps(REDACTOR.value(found), indent=1, ensure_ascii=False)


def _as_dict(finding: Finding) -> dict[str, Any]:
    """`outage` is there only if it is one."""
    return {name: value for name, value in finding._asdict().items() if value is not False}


def of_settings(faults: Sequence[str]) -> Findings:
    """Findings for faults in settings, after which nothing else is checked."""
    return Findings(Finding("failed", "settings", fault) for fault in faults)
