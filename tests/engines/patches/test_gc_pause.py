"""Garbage is looked for neither while a model loads nor in the middle of a decode, and again behind it."""

import gc

import pytest

from grpo_job.engines.patches.gc_pause import keep_what_is_loaded, no_collection


@pytest.mark.parametrize("enabled", [True, False])
def test_within_nothing_is_collected_and_behind_it_all_is_as_it_was(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with no_collection():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_what_is_loaded_is_looked_at_by_no_later_collection() -> None:
    gc.unfreeze()
    loaded = [[] for _ in range(1000)]
    keep_what_is_loaded()
    assert gc.get_freeze_count() >= len(loaded)
    gc.unfreeze()
