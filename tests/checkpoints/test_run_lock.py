"""A run lock's renewals beside its release."""

import json
import threading
from pathlib import Path

from grpo_job.checkpoints import RunLock
from grpo_job.stores import open_store


def test_a_renewal_under_way_never_overwrites_what_is_left_for_the_next_attempt(tmp_path: Path) -> None:
    remote, begun, left = open_store(f"file://{tmp_path}/mirror"), threading.Event(), threading.Event()
    write = remote.write

    def slow(name: str, content: bytes) -> None:
        if b"released" in content:
            write(name, content)
            left.set()
        else:
            begun.set()
            left.wait(0.5)  # a release that does not wait for this renewal comes first
            write(name, content)

    remote.write = slow  # type: ignore[method-assign]
    lock = RunLock(tmp_path / "run", remote, 0.05, lambda reason: None)
    lock.acquire()
    assert begun.wait(60)
    lock.leave({"ended_with": 0})
    assert lock.release() == ""
    (claim,) = (json.loads(path.read_text()) for path in (tmp_path / "mirror" / "lease").glob("*.json"))
    assert (claim["released"], claim["left"]) == (True, {"ended_with": 0})
