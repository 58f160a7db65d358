"""What Kubernetes' Job controller does with a Job of one pod: from its rules and the endings of pods to its fate. Pure.

After `pkg/controller/job` of Kubernetes 1.31 and newer: the first matching rule of podFailurePolicy decides; a failure
that is not ignored counts against backoffLimit; podReplacementPolicy says when a replacement may start;
activeDeadlineSeconds ends it all. Left out: several pods, suspension, and time lost to scheduling.
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 10, 600  # before a replacement; doubles with each failure that counted
MOST_PODS = 10_000  # an endless Job is told as such


class PodEnding(NamedTuple):
    """How one pod ended.

    `code` is its container's exit code, None where no kubelet could tell. `disrupted`: it has the condition
    DisruptionTarget. `told_dead`: its phase is Failed or Succeeded; False while it is only being deleted.
    """

    code: int | None
    disrupted: bool = False
    told_dead: bool = True
    seconds: float = 600


class Fate(NamedTuple):
    """What became of the Job; how many pods it took, how many counted, and how many were alive at once at most."""

    outcome: Literal["Complete", "Failed", "Waiting", "Endless"]
    reason: str
    pods: int
    counted: int
    at_once: int


def fate(spec: dict[str, Any], endings: Iterable[PodEnding], container: str = "grpo-job") -> Fate:
    """The fate of a Job with this `spec`, whose pods end as told, one after another."""
    limit, deadline = spec.get("backoffLimit", 6), spec.get("activeDeadlineSeconds", float("inf"))
    seconds, pods, counted, at_once = 0.0, 0, 0, 1

    def ended(outcome: Literal["Complete", "Failed", "Waiting", "Endless"], reason: str) -> Fate:
        return Fate(outcome, reason, pods, counted, at_once)

    for ending in endings:
        pods += 1
        seconds += ending.seconds
        if seconds > deadline:
            return ended("Failed", "DeadlineExceeded")
        if not ending.told_dead:
            if spec.get("podReplacementPolicy", "TerminatingOrFailed") == "Failed":
                return ended("Waiting", "the pod is being deleted")
            at_once = 2
        if ending.code == 0 and ending.told_dead:
            return ended("Complete", "CompletionsReached")
        action = action_for(spec.get("podFailurePolicy"), ending, container)
        if action == "FailJob":
            return ended("Failed", "PodFailurePolicy")
        if action == "Count":
            counted += 1
            if counted > limit:
                return ended("Failed", "BackoffLimitExceeded")
            seconds += min(FIRST_DELAY_SECONDS * 2 ** (counted - 1), LONGEST_DELAY_SECONDS)
        if pods == MOST_PODS:
            break
    return ended("Endless", "more pods to come")


def action_for(policy: dict[str, Any] | None, ending: PodEnding, container: str) -> str:
    """The action of the first rule that matches; a failure that no rule matches counts."""
    for rule in policy["rules"] if policy else ():
        if _matches(rule, ending, container):
            return str(rule["action"])
    return "Count"


def _matches(rule: dict[str, Any], ending: PodEnding, container: str) -> bool:
    if conditions := rule.get("onPodConditions"):
        has = {"DisruptionTarget": "True"} if ending.disrupted else {}
        return any(has.get(wanted["type"]) == wanted["status"] for wanted in conditions)
    codes = rule["onExitCodes"]
    if not ending.code or codes.get("containerName", container) != container:
        return False  # no code, or success: neither In nor NotIn looks at it
    return (ending.code in codes["values"]) == (codes["operator"] == "In")
