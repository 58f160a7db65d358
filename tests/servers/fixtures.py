"""The servers that stores and publishing are tested against, as pytest fixtures to import by name."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from grpo_job.inputs.rendering import Message, Template
from grpo_job.stores import Patience
from tests.servers.hub import HubServer
from tests.servers.s3 import S3Server

# Enough for a server on this machine; a test that waits longer than this has failed.
QUICK = Patience(seconds=120, call=30, first_wait=0.01, longest_wait=0.1)


@pytest.fixture(autouse=True)
def as_the_door_sets_it(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the job's door does before any import, and no credentials of the developer's own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    absent = str(tmp_path_factory.getbasetemp() / "absent")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", absent)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", absent)
    monkeypatch.setenv("AWS_CONFIG_FILE", absent)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


_read_model, _read_data = Loader.load_service_model, Loader.load_data_with_path


@cache
def _model_of(service: str, kind: str, version: str | None = None) -> Any:
    return _read_model(Loader(), service, kind, version)


@cache
def _data_of(name: str) -> Any:
    return _read_data(Loader(), name)


@pytest.fixture(autouse=True)
def one_reading_of_boto3s_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each store has a session of its own, which reads megabytes of JSON: S3's model, and all endpoints."""

    def load(_: Loader, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        return _model_of(service_name, type_name, api_version)

    monkeypatch.setattr(Loader, "load_service_model", load)
    monkeypatch.setattr(Loader, "load_data_with_path", lambda _, name: _data_of(name))


_ask = Template._asked
_answers: dict[str, list[Any]] = {}


@pytest.fixture(autouse=True)
def one_process_for_equal_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each examination starts three processes for the rows; the answers to equal questions to equal files are kept."""

    def asked(template: Template, prompts: Sequence[Sequence[Message]], tokenizer: str | None) -> list[Any]:
        known = [template.source, template.special_tokens, template.options, prompts]
        file = Path(tokenizer).read_bytes() if tokenizer and Path(tokenizer).is_file() else repr(tokenizer).encode()
        question = hashlib.sha256(json.dumps(known).encode() + file).hexdigest()
        if question not in _answers:
            _answers[question] = _ask(template, prompts, tokenizer)
        return list(_answers[question])

    monkeypatch.setattr(Template, "_asked", asked)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server) -> S3Server:
    s3_server.reset()
    s3_server.client().create_bucket(Bucket="bucket")
    return s3_server


class Hasty:
    sleep = staticmethod(lambda seconds: time.sleep(seconds / 100))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients' own pauses between their retries, a hundred times shorter."""
    monkeypatch.setattr("huggingface_hub.utils._http.time", Hasty)
    monkeypatch.setattr("botocore.endpoint.time", Hasty)
