"""What counts as a secret: variables, the files that they name, the clients' own files, addresses."""

import doctest
import json
import os
from pathlib import Path

import pytest

from grpo_job.settings import key_file
from grpo_job.settings.reader import resolve
from grpo_job.settings.redaction import secrets
from grpo_job.settings.redaction.redactor import HIDDEN, Redactor
from grpo_job.settings.redaction.secrets import secret_values


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def found(home: Path, **environment: str) -> set[str]:
    return set(secret_values({"HOME": str(home), **environment}))


def written(home: Path, name: str, content: str) -> str:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return str(path)


def test_variables_are_secret_by_their_name(home: Path) -> None:
    told = found(
        home, HF_TOKEN="hf_abcdefgh", AWS_SECRET_ACCESS_KEY="wJalrXUtn", WANDB_API_KEY="0123456789",
        MLFLOW_TRACKING_PASSWORD="long enough", OPENAI_APIKEY="quite-long", KEYBOARD="not secret",
    )  # fmt: skip
    assert told == {"hf_abcdefgh", "wJalrXUtn", "0123456789", "long enough", "quite-long"}


def test_a_token_is_secret_by_its_shape_in_any_variable(home: Path) -> None:
    assert found(home, NOTE="hf_ABCDEFGHIJKLMNOPQRST") == {"hf_ABCDEFGHIJKLMNOPQRST"}


def test_what_a_secrets_file_holds_is_secret_and_its_place_is_not(home: Path) -> None:
    place = written(home, "token", "hf_in_a_file\n")
    assert found(home, HF_TOKEN_PATH=place, GOOGLE_APPLICATION_CREDENTIALS=place, DB_PASSWORD_FILE="/not/there") == {
        "hf_in_a_file"
    }


def test_a_secrets_file_may_be_named_from_the_current_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(home, "keys/ranks", "a key in a file\n")
    monkeypatch.chdir(home)
    assert found(home, GRPO_RANKS_KEY_PATH="keys/ranks") == {"a key in a file"}


def test_a_key_that_only_settings_name_is_secret(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "REDACTOR", redactor := Redactor(["another"]))
    place = written(home, "key", f"{'k3y' * 12}\n")
    resolve({}, {"ranks_key_path": place})
    assert redactor.text(f"{'k3y' * 12} another") == f"{HIDDEN} {HIDDEN}"


@pytest.mark.parametrize("name", ["anywhere", ".aws/credentials"])
def test_every_value_of_a_credentials_file_is_secret_but_what_people_must_read(home: Path, name: str) -> None:
    place = written(
        home, name, "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key=wJalr/XUtn=FE\n"
        "region = us-east-1\n# a comment that is long\n[other]\nmy_own = 'quoted value'\n",
    )  # fmt: skip
    told = found(home, AWS_SHARED_CREDENTIALS_FILE=place)
    assert {"AKIDEXAMPLE", "wJalr/XUtn=FE", "quoted value"} <= told
    assert not {"us-east-1", "[default]", "# a comment that is long"} & told


def test_values_of_a_json_file_are_secret_by_key_and_line(home: Path) -> None:
    key = {
        "type": "service_account",
        "private_key": "-----BEGIN-----\nMIIEvQIB\nADANBgkq\n",
        "project_id": "my-project",
    }
    told = found(home, GOOGLE_APPLICATION_CREDENTIALS=written(home, "key.json", json.dumps(key)))
    assert {"MIIEvQIB", "ADANBgkq"} <= told
    assert not {"service_account", "my-project", "-----A-----"} & told


def test_the_clients_own_files_are_read_wherever_they_are(home: Path) -> None:
    written(home, ".cache/huggingface/token", "hf_default_token\n")
    written(home, "elsewhere/token", "hf_moved_token")
    written(home, "elsewhere/stored_tokens", "[mine]\nhf_token = hf_stored_token\n")
    written(home, ".netrc", "machine api.wandb.ai\n  login user\n  password 0123456789abcdef\n")
    written(home, ".mlflow/credentials", "[mlflow]\nmlflow_tracking_password = mlflow-pass\n")
    assert found(home) == {"hf_default_token", "0123456789abcdef", "mlflow-pass"} | {
        "[mlflow]\nmlflow_tracking_password = mlflow-pass", "mlflow_tracking_password = mlflow-pass",
    }  # fmt: skip
    moved = found(home, HF_HOME=str(home / "elsewhere"))
    assert {"hf_moved_token", "hf_stored_token"} <= moved
    assert "hf_default_token" not in moved


def test_a_pipe_in_place_of_a_file_is_not_waited_for(home: Path) -> None:
    os.mkfifo(home / "pipe")
    assert found(home, HF_TOKEN_PATH=str(home / "pipe")) == set()


def test_a_password_in_an_address_is_secret_in_any_variable(home: Path) -> None:
    told = found(
        home, HF_ENDPOINT="https://me:pass%2Fword@hub.example/x", HTTPS_PROXY="http://me:with/slash@proxy:3128",
        MLFLOW_TRACKING_URI="http://h/x?access_token=abc123def456", PLAIN="http://host:8080/path@v1",
    )  # fmt: skip
    assert told == {"pass%2Fword", "pass/word", "with/slash", "abc123def456"}


def test_values_are_stripped_and_several_lines_are_secret_one_by_one(home: Path) -> None:
    assert found(home, HF_TOKEN=" hf_one_line\nhf_two_lines\n") == {
        "hf_one_line\nhf_two_lines", "hf_one_line", "hf_two_lines",
    }  # fmt: skip


def test_short_values_occur_by_chance_and_stay(home: Path) -> None:
    assert found(home, TOKENIZERS_PARALLELISM="false", A_KEY="1234567") == set()


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(secrets).failed == 0
