"""The toy store does what every store must do, so that the run with it proves something."""

from collections.abc import Callable

import pytest

from grpo_job.stores import Patience, Store
from tests.stores.cases import StoreCases
from tests.toys.memory_store import HELD, MemoryStore


class TestMemoryStore(StoreCases):
    @pytest.fixture
    def open(self) -> Callable[[], Store]:
        HELD.clear()
        return lambda: MemoryStore("box/some/prefix", patience=Patience())

    @pytest.fixture
    def writes(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
        write, written = MemoryStore.write, []

        def counted(store: MemoryStore, name: str, content: bytes) -> None:
            written.append(name)
            write(store, name, content)

        monkeypatch.setattr(MemoryStore, "write", counted)
        return lambda: len(written)
