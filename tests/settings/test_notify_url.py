"""GRPO_NOTIFY_URL: its form, and that what follows the host is nowhere to be seen."""

import doctest
import json
from pathlib import Path

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings import notify_url, table
from grpo_job.settings.reader import resolve
from grpo_job.settings.redaction.redactor import Redactor
from grpo_job.settings.redaction.secrets import secret_values

TOKEN = "0123456789abcdefghijklmn"
URL = f"https://hooks.example.com:8443/services/T0/{TOKEN}"


def refusal(**environment: str) -> str:
    with pytest.raises(InvalidRun) as refused:
        resolve(environment)
    return str(refused.value)


def test_doctests() -> None:
    assert doctest.testmod(notify_url).failed == 0


def test_settings_hold_the_host_only() -> None:
    resolved = resolve({"GRPO_NOTIFY_URL": f" {URL}\n"})
    assert resolved.settings.notify_url == "https://hooks.example.com:8443/..."
    shown = "\n".join(table.lines(resolved)) + json.dumps(table.as_dict(resolved)) + repr(resolved)
    assert "https://hooks.example.com:8443/..." in shown
    assert TOKEN not in shown
    assert notify_url.of({"GRPO_NOTIFY_URL": f" {URL}\n"}) == URL


def test_it_may_be_in_a_file_whose_place_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text(f"{URL}\n")
    given = {"GRPO_NOTIFY_URL_PATH": str(file)}
    assert resolve(given).settings.notify_url_path == str(file)
    assert notify_url.of(given) == URL
    assert TOKEN not in Redactor(secret_values(given)).text(f"it went to {URL}")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x", "file:///etc/passwd", "hooks.example.com/x", "https://", "https:///x", "http://host:port/x",
        "http://host:99999/x", "https://host/a b", "https://host/\nx", "http://[::1/x", "https://höst/x", "gopher",
        "http://host:0/x", "https://" + "x" * 5000, "javascript:alert(1)", "https://./x",
    ],
)  # fmt: skip
def test_another_form_is_refused_without_being_shown(url: str, tmp_path: Path) -> None:
    said = refusal(GRPO_NOTIFY_URL=url)
    assert said.startswith("GRPO_NOTIFY_URL: a value (not shown) was given; ")
    assert "allowed: one address such as https://" in said
    assert url == "https://" or url not in said
    (tmp_path / "hook").write_text(url)
    said = refusal(GRPO_NOTIFY_URL_PATH=str(tmp_path / "hook"))
    assert said.startswith("GRPO_NOTIFY_URL_PATH: ")
    assert url == "https://" or url not in said


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_file_without_an_address_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "hook").write_text(content)
    assert "GRPO_NOTIFY_URL_PATH: " in refusal(GRPO_NOTIFY_URL_PATH=str(tmp_path / "hook"))
    assert "Is a directory" in refusal(GRPO_NOTIFY_URL_PATH=str(tmp_path))


def test_an_address_where_its_file_should_be_is_not_shown() -> None:
    said = refusal(GRPO_NOTIFY_URL_PATH=URL)
    assert said.startswith("GRPO_NOTIFY_URL_PATH: a value (not shown) was given")
    assert TOKEN not in said


def test_a_secret_is_taken_from_the_environment_only(tmp_path: Path) -> None:
    with pytest.raises(InvalidRun, match="it is a secret; allowed: the environment variable") as refused:
        resolve({}, {"notify_url": URL})
    assert TOKEN not in str(refused.value)
    (tmp_path / "job.yaml").write_text(f"notify_url: {URL}\n")
    said = refusal(GRPO_CONFIG=str(tmp_path / "job.yaml"))
    assert "it is a secret" in said
    assert TOKEN not in said


def test_only_one_of_both(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text(URL)
    said = refusal(GRPO_NOTIFY_URL=URL, GRPO_NOTIFY_URL_PATH=str(tmp_path / "hook"))
    assert "set the same thing; allowed: only one of them" in said


def test_another_setting_may_not_hold_it() -> None:
    said = refusal(GRPO_NOTIFY_URL=URL, GRPO_SYSTEM_PROMPT=f"post to {URL}")
    assert "a setting must not hold a secret" in said
    assert TOKEN not in said


def test_a_name_that_people_try_is_told_the_right_one_without_the_address() -> None:
    said = refusal(GRPO_SLACK_WEBHOOK_URL=URL)
    assert "use instead: GRPO_NOTIFY_URL" in said
    assert TOKEN not in said
