"""Stores on the test Hub, and what there is to see of them."""

import re
from collections.abc import Callable

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.stores import Patience, Store, open_store
from tests.servers.fixtures import QUICK
from tests.servers.hub import HubServer


@pytest.fixture
def open(hub: HubServer) -> Callable[..., Store]:
    def opened(
        uri: str = "hf://alice/adapter", *, private: bool = True, patience: Patience = QUICK, **environment: str
    ) -> Store:
        given = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token("alice")} | environment
        return open_store(uri, private=private, environment=given, patience=patience)

    return opened


def commits(hub: HubServer, name: str = "alice/adapter", branch: str = "main") -> list[str]:
    return [commit.title for commit in hub.repos["model", name].history(branch)]


def refusal(store: Store) -> str:
    with pytest.raises(InvalidRun) as refused:
        store.check()
    (sentence,) = refused.value.faults
    assert re.fullmatch(r"hf://[^\n]*\.", sentence)
    return sentence
