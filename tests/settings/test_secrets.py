"""What counts as a secret, and that it is told by no text."""

import doctest
from pathlib import Path

from grpo_job.settings import secrets
from grpo_job.settings.secrets import redacted, secret_values


def test_variables_are_secret_by_their_name() -> None:
    found = secret_values({
        "HF_TOKEN": "hf_abcdefgh", "AWS_SECRET_ACCESS_KEY": "wJalrXUtn", "WANDB_API_KEY": "0123456789",
        "MLFLOW_TRACKING_PASSWORD": "long enough", "KEYBOARD": "not secret", "HOME": "/home/someone",
    })  # fmt: skip
    assert set(found) == {"hf_abcdefgh", "wJalrXUtn", "0123456789", "long enough"}


def test_what_a_secrets_file_holds_is_secret_and_its_place_is_not(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_in_a_file\n")
    assert secret_values({"HF_TOKEN_PATH": str(tmp_path / "token"), "DB_PASSWORD_FILE": "/not/there"}) == [
        "hf_in_a_file"
    ]


def test_a_secret_that_holds_another_leaves_nothing_of_either() -> None:
    secrets = secret_values({"A_TOKEN": "abcdefgh", "B_TOKEN": "abcdefgh-and-more"})
    assert redacted("abcdefgh-and-more, abcdefgh", secrets) == "[secret], [secret]"


def test_short_values_occur_by_chance_and_stay() -> None:
    assert secret_values({"TOKENIZERS_PARALLELISM": "false", "A_KEY": "1234567"}) == []


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(secrets).failed == 0
