"""The POST at the end of a run, to a real server: what it holds, what goes wrong, and that no secret is told."""

import socket
from pathlib import Path
from typing import Any

import pytest

from grpo_job.monitoring import notify
from grpo_job.settings.redaction.redactor import REDACTOR
from grpo_job.settings.redaction.secrets import secret_values
from tests.servers.hook import PATH, Hook, hook

FACTS: dict[str, Any] = {
    "run_id": "gsm8k-1", "model": "sample", "state": "finished", "exit_code": 0, "reason": "trained & published",
    "measure": "accuracy", "before": 0.362, "after": 0.831, "verdict": "improved", "p_value": 1e-9, "rows": 500,
    "steps": 250, "planned": 250, "minutes": 12.34, "cost": None, "published": ["hf://me/model"],
    "run_folder": "/outputs/gsm8k-1", "share": True,
}  # fmt: skip


def sent(url: str, *, seconds: float | None = None, **facts: Any) -> tuple[bool | None, list[str]]:
    """Whether it arrived, and the warnings, as the log has them."""
    environment = {"GRPO_NOTIFY_URL": url}
    REDACTOR.know(secret_values(environment))
    warned: list[str] = []
    arrived = notify.send(environment, {**FACTS, **facts}, lambda text: warned.append(text), seconds=seconds)
    return arrived, warned


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_the_message_is_slacks_with_plain_fields_beside_it() -> None:
    with hook() as server:
        assert sent(server.url) == (True, [])
    (body,) = server.bodies
    assert body["text"] == (
        "grpo-job gsm8k-1: finished (exit 0) after 12.3 min\naccuracy: 36.2% → 83.1%, improved\n"
        "published: hf://me/model\ntrained &amp; published"
    )
    assert {name: body[name] for name in notify.SENT} == {name: FACTS[name] for name in notify.SENT}


def test_a_run_that_did_not_finish_says_at_which_step_and_what_it_cost() -> None:
    with hook() as server:
        sent(server.url, state="interrupted", exit_code=75, steps=14, planned=100, cost=0.3149)
    assert server.bodies[0]["text"].startswith(
        "grpo-job gsm8k-1: interrupted (exit 75) after 12.3 min, $0.31, at step 14 of 100\n"
    )


def test_a_reason_calls_nobody_and_is_short_and_without_secrets() -> None:
    with hook() as server:
        sent(server.url, reason=f"<!channel> {server.url} " + "x" * 5000)
    (body,) = server.bodies
    assert "&lt;!channel&gt;" in body["text"]
    assert PATH not in str(body)
    assert len(body["reason"]) < 1100


def test_without_an_address_nothing_is_sent() -> None:
    assert sent("") == sent("none") == (None, [])


@pytest.mark.parametrize(
    ("statuses", "calls", "arrived"),
    [((500, 200), 2, True), ((500,), 2, False), ((429, 204), 2, True), ((404,), 1, False), ((403,), 1, False)],
)
def test_a_refusal_is_tried_again_once_where_that_may_help(
    statuses: tuple[int, ...], calls: int, arrived: bool
) -> None:
    with hook(*statuses) as server:
        told, warned = sent(server.url)
    assert (told, len(server.bodies), len(warned)) == (arrived, calls, 0 if arrived else 1)
    if not arrived:
        assert f"was not posted to http://127.0.0.1:{server.server_address[1]}/...: HTTP {statuses[-1]}" in warned[0]


@pytest.mark.parametrize("leads_to", ["file:///etc/passwd", "own"])
def test_no_redirect_is_followed(leads_to: str) -> None:
    with hook() as other, hook(302, leads_to=other.url if leads_to == "own" else leads_to) as server:
        told, warned = sent(server.url)
    assert (told, other.bodies, len(server.bodies)) == (False, [], 1)
    assert "redirects are not followed" in warned[0]


def test_a_server_that_stalls_is_left_after_one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "TRY_SECONDS", 0.2)
    with hook(stalls=True) as server:
        told, warned = sent(server.url)
        assert len(server.bodies) <= 1
    assert (told, len(warned)) == (False, 1)
    assert "no reply within 0.2 s" in warned[0]


def test_in_a_grace_period_there_is_one_try() -> None:
    with hook(500) as server:
        assert sent(server.url, seconds=30.0)[0] is False
    assert len(server.bodies) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_dead_host_is_one_warning_without_the_secret_part(host: str) -> None:
    told, warned = sent(f"http://{host}:{closed_port()}{PATH}")
    assert (told, len(warned)) == (False, 1)
    assert f"http://{host}:" in warned[0]
    assert "0123456789abcdef" not in REDACTOR.text(warned[0])


def test_the_address_may_be_in_a_file_that_vanishes(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    warned: list[str] = []
    with hook() as server:
        file.write_text(f"{server.url}\n")
        environment = {"GRPO_NOTIFY_URL_PATH": str(file)}
        assert notify.send(environment, FACTS, warned.append, seconds=None) is True
        file.unlink()
        assert notify.send(environment, FACTS, warned.append, seconds=None) is False
    assert len(server.bodies) == len(warned) == 1
    assert "it cannot be read (No such file or directory)" in warned[0]


def test_the_path_is_the_whole_address(tmp_path: Path) -> None:
    with hook() as server:
        sent(f"{server.url}?thread=3")
    assert server.paths == [f"{PATH}?thread=3"]
    assert isinstance(server, Hook)
