"""Every way a pod can end, and what becomes of the Job: the rules of the manifests in the simulated controller."""

from collections.abc import Iterable
from itertools import chain, cycle, repeat
from typing import Any

import pytest

from grpo_job.outcomes import EXIT_CODES, EXIT_INTERRUPTED
from grpo_job.phases.outcome import MOST_FRUITLESS_ATTEMPTS
from tests.k8s.job_controller import Fate, PodEnding, fate
from tests.k8s.manifests import WITH_JOBS, jobs, load, of_kind

KILLED = 137  # 128 + SIGKILL
DONE = PodEnding(0)
INTERRUPTED = PodEnding(EXIT_INTERRUPTED)
PREEMPTED = PodEnding(EXIT_INTERRUPTED, disrupted=True)
PREEMPTED_AND_KILLED = PodEnding(KILLED, disrupted=True)
NODE_GONE = PodEnding(None, disrupted=True)
NODE_SILENT = PodEnding(None, disrupted=True, told_dead=False)
OUT_OF_MEMORY = PodEnding(KILLED)
HANG_ENDED_BY_ITSELF = PodEnding(1, seconds=1900)
HANG_KILLED = PodEnding(KILLED, seconds=2000)
REFUSED_BY_KUBELET = PodEnding(None, seconds=1)  # admitted nowhere: a GPU that went away between two steps
# The job says 1 instead of 75 when attempt after attempt brings no checkpoint.
FRUITLESS = [PREEMPTED] * (MOST_FRUITLESS_ATTEMPTS - 1) + [PodEnding(1, disrupted=True)]

FATES: list[tuple[str, Iterable[PodEnding], Fate]] = [
    ("finished", [DONE], Fate("Complete", "CompletionsReached", 1, 0, 1)),
    ("unexpected once", [PodEnding(1), DONE], Fate("Complete", "CompletionsReached", 2, 1, 1)),
    ("unexpected always", repeat(PodEnding(1)), Fate("Failed", "BackoffLimitExceeded", 4, 4, 1)),
    ("refused", [PodEnding(2)], Fate("Failed", "PodFailurePolicy", 1, 0, 1)),
    ("unpublished", [PodEnding(3)], Fate("Failed", "PodFailurePolicy", 1, 0, 1)),
    ("hopeless", [PodEnding(4)], Fate("Failed", "PodFailurePolicy", 1, 0, 1)),
    ("held by another", [PodEnding(5)], Fate("Failed", "PodFailurePolicy", 1, 0, 1)),
    ("interrupted once", [INTERRUPTED, DONE], Fate("Complete", "CompletionsReached", 2, 0, 1)),
    ("interrupted often, with progress", [*[INTERRUPTED] * 40, DONE], Fate("Complete", "CompletionsReached", 41, 0, 1)),
    ("evicted, saved in time", [PREEMPTED, DONE], Fate("Complete", "CompletionsReached", 2, 0, 1)),
    ("evicted, killed in saving", [PREEMPTED_AND_KILLED, DONE], Fate("Complete", "CompletionsReached", 2, 0, 1)),
    ("evicted, yet unpublished", [PodEnding(3, disrupted=True)], Fate("Failed", "PodFailurePolicy", 1, 0, 1)),
    ("node gone", [NODE_GONE, DONE], Fate("Complete", "CompletionsReached", 2, 0, 1)),
    ("node silent", [NODE_SILENT, DONE], Fate("Waiting", "the pod is being deleted", 1, 0, 1)),
    ("out of memory once", [OUT_OF_MEMORY, DONE], Fate("Complete", "CompletionsReached", 2, 1, 1)),
    ("out of memory always", repeat(OUT_OF_MEMORY), Fate("Failed", "BackoffLimitExceeded", 4, 4, 1)),
    ("a hang that ends itself", [HANG_ENDED_BY_ITSELF, DONE], Fate("Complete", "CompletionsReached", 2, 1, 1)),
    ("a hang that liveness kills", repeat(HANG_KILLED), Fate("Failed", "BackoffLimitExceeded", 4, 4, 1)),
    ("refused by the kubelet", [REFUSED_BY_KUBELET, DONE], Fate("Complete", "CompletionsReached", 2, 1, 1)),
    ("interrupted for ever, fruitless", cycle(FRUITLESS), Fate("Failed", "BackoffLimitExceeded", 12, 4, 1)),
    ("interrupted for ever, with progress", repeat(PREEMPTED), Fate("Failed", "DeadlineExceeded", 145, 0, 1)),
    ("killed for ever, without a word", repeat(PREEMPTED_AND_KILLED), Fate("Failed", "DeadlineExceeded", 145, 0, 1)),
]  # fmt: skip


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    (job,) = of_kind(load("job.yaml"), "Job")
    return dict(job["spec"])


@pytest.mark.parametrize(("endings", "expected"), [case[1:] for case in FATES], ids=[case[0] for case in FATES])
def test_the_job_does_the_right_thing_with_every_ending(
    endings: Iterable[PodEnding], expected: Fate, spec: dict[str, Any]
) -> None:
    assert fate(spec, endings) == expected


def test_without_its_rules_the_job_would_burn_money_or_lose_a_run(spec: dict[str, Any]) -> None:
    bare = {key: value for key, value in spec.items() if key not in ("podFailurePolicy", "podReplacementPolicy")}
    assert fate(bare, repeat(PodEnding(2))).pods == 4
    assert fate(bare, [*[PREEMPTED] * 4, DONE]).outcome == "Failed"
    assert fate(bare, [NODE_SILENT, DONE]).at_once == 2


def test_without_the_rule_for_1_an_evicted_run_without_progress_would_not_end_before_its_deadline(
    spec: dict[str, Any],
) -> None:
    rules = [rule for rule in spec["podFailurePolicy"]["rules"] if rule["action"] != "Count"]
    endless = {**spec, "podFailurePolicy": {"rules": rules}}
    assert fate(endless, cycle(FRUITLESS)).reason == "DeadlineExceeded"
    assert fate({**endless, "activeDeadlineSeconds": float("inf")}, cycle(FRUITLESS)).outcome == "Endless"


ACTIONS = {
    "not retry": "FailJob",
    "not retry; publish": "FailJob",
    "retry a few times": "Count",
    "retry without counting it against the backoff limit": "Ignore",
}


@pytest.mark.parametrize("source", WITH_JOBS)
def test_the_rules_hold_every_exit_code_under_the_action_that_it_asks_for(source: str) -> None:
    wanted: dict[str, list[int]] = {}
    for row in EXIT_CODES:
        if row.code:
            wanted.setdefault(ACTIONS[row.cluster_should], []).append(row.code)
    for job in jobs(source):
        rules = job["spec"]["podFailurePolicy"]["rules"]
        by_code = [rule for rule in rules if "onExitCodes" in rule]
        assert {rule["action"]: rule["onExitCodes"]["values"] for rule in by_code} == wanted
        assert {rule["onExitCodes"]["operator"] for rule in by_code} == {"In"}
        assert rules[len(by_code) :] == [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
        ]


@pytest.mark.parametrize("source", WITH_JOBS)
def test_every_job_tries_again_a_few_times_and_not_for_ever(source: str) -> None:
    for job in jobs(source):
        spec = job["spec"]
        pods_at_once = spec.get("parallelism", 1)
        assert 1 <= spec["backoffLimit"] / pods_at_once <= 4
        assert spec["podReplacementPolicy"] == "Failed"
        assert spec["activeDeadlineSeconds"] <= 86400


def test_a_chain_of_different_endings_adds_up(spec: dict[str, Any]) -> None:
    story = chain([PREEMPTED, PodEnding(1), NODE_GONE, OUT_OF_MEMORY, PREEMPTED_AND_KILLED, PodEnding(1)], [DONE])
    assert fate(spec, story) == Fate("Complete", "CompletionsReached", 7, 3, 1)
