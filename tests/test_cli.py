"""The doors: which command runs, how settings reach it, and the exit code of each ending."""

import io
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

import click
import pytest
from click.testing import CliRunner

from grpo_job import cli, job, outcomes, preflight
from grpo_job.outcomes import Outcome, StopNow
from grpo_job.phases import tell_checks
from grpo_job.preflight import Examined
from grpo_job.preflight.findings import Finding, Findings
from grpo_job.runtime import launched, machine, process_exit
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import Resolved

Invoke = Callable[..., tuple[int | None, str, str]]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Call the door in this process: exit code, standard output and standard error."""
    codes: list[int] = []
    monkeypatch.setattr(process_exit, "end_process", codes.append)
    monkeypatch.setattr(cli, "_steer_libraries", lambda settings: 0)

    def call(*arguments: str, **environment: str) -> tuple[int | None, str, str]:
        codes.clear()
        ended = CliRunner().invoke(cli.main, arguments, env=environment, obj=Interruption(), catch_exceptions=False)
        return (codes[0] if codes else ended.exit_code), ended.stdout, ended.stderr

    return call


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Resolved]:
    """The settings of each run that the door starts; none is trained."""
    started: list[Resolved] = []

    def run(resolved: Resolved, environment: Any, interruption: Interruption) -> Outcome:
        started.append(resolved)
        return Outcome(0, "finished", "")

    monkeypatch.setattr(job, "run", run)
    return started


def ending_with(raised: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> Outcome:
        raise raised

    monkeypatch.setattr(job, "run", run)


@pytest.mark.parametrize("command", [(), ("run",)])
def test_without_a_command_it_runs(command: tuple[str, ...], invoke: Invoke, runs: list[Resolved]) -> None:
    assert invoke(*command, GRPO_MAX_STEPS="7") == (0, "", "")
    assert [resolved.settings.max_steps for resolved in runs] == [7]


@pytest.mark.parametrize("command", [(), ("run",)])
@pytest.mark.parametrize("spelling", ["max_steps=3", "GRPO_MAX_STEPS=3", " max_steps =3"])
def test_set_wins_over_the_environment(
    command: tuple[str, ...], spelling: str, invoke: Invoke, runs: list[Resolved]
) -> None:
    assert invoke(*command, "--set", spelling, GRPO_MAX_STEPS="7")[0] == 0
    assert (runs[0].settings.max_steps, runs[0].origins["max_steps"]) == (3, "command line")


def test_a_value_may_hold_an_equals_sign(invoke: Invoke, runs: list[Resolved]) -> None:
    invoke("--set", "system_prompt=1 + 1 = 2")
    assert runs[0].settings.system_prompt == "1 + 1 = 2"


def test_set_without_a_value_is_refused(invoke: Invoke, runs: list[Resolved]) -> None:
    code, _, said = invoke("--set", "max_steps")
    assert code == 2
    assert "--set max_steps: no value was given; allowed: --set NAME=VALUE" in said
    assert runs == []


def test_a_misspelt_name_on_the_command_line_is_refused_with_the_nearest(invoke: Invoke) -> None:
    code, _, said = invoke("run", "--set", "maxsteps=3")
    assert code == 2
    assert "did you mean GRPO_MAX_STEPS?" in said


def test_an_unknown_command_or_option_ends_with_2_and_help_with_0(invoke: Invoke) -> None:
    assert invoke("trane")[0] == 2
    assert invoke("run", "--fast")[0] == 2
    code, said, _ = invoke("--help")
    assert code == 0
    assert all(command in said for command in ("run", "check"))


KNOWN = [kind for kind in vars(outcomes).values() if isinstance(kind, type) and issubclass(kind, outcomes.RunEnded)]


@pytest.mark.parametrize("kind", [kind for kind in KNOWN if kind is not outcomes.RunEnded])
def test_a_known_ending_gives_its_code_and_its_reason_without_a_traceback(
    kind: type[outcomes.RunEnded], invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending_with(kind("because of this"), monkeypatch)
    code, _, said = invoke()
    assert code == kind.code
    assert said == f"grpo-job: {kind.kind} (exit {kind.code})\nbecause of this\n"


def test_an_unknown_error_gives_1_with_its_traceback(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    ending_with(ZeroDivisionError("somewhere"), monkeypatch)
    code, _, said = invoke()
    assert code == 1
    assert said.startswith("Traceback")
    assert said.endswith("grpo-job: unexpected (exit 1)\nZeroDivisionError: somewhere\n")


def test_an_error_that_holds_a_secret_is_told_without_it(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (ZeroDivisionError("with hf_abcdefghijkl"), outcomes.PublishFailed("with hf_abcdefghijkl")):
        ending_with(error, monkeypatch)
        _, _, said = invoke(HF_TOKEN="hf_abcdefghijkl")
        assert "with [secret]" in said
        assert "hf_abcdefghijkl" not in said


def test_a_signal_before_the_run_is_recorded_gives_75(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    ending_with(StopNow("SIGTERM"), monkeypatch)
    code, _, said = invoke()
    assert code == 75
    assert "SIGTERM was received" in said


def test_a_signal_while_a_command_is_imported_gives_75(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise StopNow("SIGTERM")

    monkeypatch.setattr(launched, "escape_what_cannot_be_shown", stop)
    code, _, said = invoke("run")
    assert (code, said) == (75, "grpo-job: interrupted (exit 75)\nSIGTERM was received before the run began\n")


def test_check_prints_the_settings_also_when_a_check_fails(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = ("GRPO_MODEL: not there", "GRPO_DATASET: not there either")
    found = Findings(Finding("failed", "model", fault) for fault in faults)
    monkeypatch.setattr(preflight, "examine", lambda *_, **__: Examined(found, None))
    code, printed, said = invoke("check", GRPO_RECIPE="smoke")
    assert code == 2
    assert "GRPO_MODEL" in printed
    assert said == "grpo-job: refused (exit 2)\nGRPO_MODEL: not there\nGRPO_DATASET: not there either\n"


def test_check_prints_no_secret_of_the_environment(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "examine", lambda *_, **__: Examined(Findings(), None))
    _, printed, said = invoke("check", HF_TOKEN="hf_abcdefghijkl", AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI")
    assert "hf_abcdefghijkl" not in printed + said
    assert "wJalr" not in printed + said


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_has_a_short_name(option: str, invoke: Invoke) -> None:
    assert invoke(option)[1].startswith("Usage")
    assert invoke("check", option)[1].startswith("Usage")


@pytest.mark.parametrize("name", sorted(cli.main.commands))
def test_what_a_command_does_is_told_whole_at_a_narrow_terminal(name: str) -> None:
    columns = 60 - 6 - max(map(len, cli.main.commands))
    assert not cli.main.commands[name].get_short_help_str(columns).endswith("...")


def test_the_version_is_that_of_the_package(invoke: Invoke) -> None:
    assert invoke("--version") == (0, f"grpo-job {metadata.version('grpo-job')}\n", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "container", "environment", "ran"),
    [
        (True, False, {}, False),
        (False, False, {}, True),
        (True, True, {}, True),
        (True, False, {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}, True),
    ],
    ids=["a person", "a pipe", "a container", "a rank"],
)
def test_nothing_said_shows_help_to_a_person_and_runs_for_a_machine(
    terminal: bool, container: bool, environment: dict[str, str], ran: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal() if terminal else io.StringIO())
    monkeypatch.setattr(sys, "stdout", Terminal() if terminal else io.StringIO())
    monkeypatch.setattr(machine, "is_command_of_container", lambda environment: container)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    context = click.Context(cli.main)
    try:
        assert cli.main.parse_args(context, []) == []
    except click.exceptions.Exit:
        assert not ran
    else:
        assert ran
        assert context._protected_args == ["run"]


@pytest.fixture
def two_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Findings([Finding("failed", "model", "not there"), Finding("passed", "rows", "ten")])
    monkeypatch.setattr(preflight, "examine", lambda *_, **__: Examined(found, None))


def test_check_prints_findings_then_what_was_chosen_and_the_rest_on_demand(invoke: Invoke, two_findings: None) -> None:
    _, short, _ = invoke("check", GRPO_RECIPE="smoke")
    assert short.startswith("failed   model  not there\npassed   rows   ten\n1 passed")
    assert short.index("1 failed") < short.index("Chosen:") < short.index("GRPO_RECIPE")
    assert "GRPO_HEALTH_STEPS" not in short
    assert "GRPO_HEALTH_STEPS" in invoke("check", "--all")[1]


def test_a_narrow_terminal_continues_a_finding_below_its_first_word() -> None:
    found = Findings([Finding("warned", "disk", "60.2 GB free, about 204 MB needed"), Finding("passed", "rows", "ten")])
    assert tell_checks.painted(found, 40)[:2] == [
        "\x1b[35mwarned\x1b[0m   disk  60.2 GB free, about 204\n               MB needed",
        "\x1b[32mpassed\x1b[0m   rows  ten",
    ]


@pytest.mark.parametrize(("unwanted", "start"), [("", "\x1b[31mfailed\x1b[0m   model"), ("1", "failed   model")])
def test_check_is_coloured_at_a_terminal_unless_that_is_unwanted(
    unwanted: str, start: str, invoke: Invoke, two_findings: None
) -> None:
    environment = {"NO_COLOR": unwanted}
    printed = CliRunner().invoke(cli.main, ["check"], env=environment, obj=Interruption(), color=True).stdout
    assert printed.startswith(start)
