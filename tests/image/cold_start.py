"""How long `check` takes in a container that is started anew; `make image-test` prints it."""

import statistics
import time

from tests.image.containers import run

STARTS = 5


def seconds() -> float:
    begun = time.perf_counter()
    done = run("check", flags=("--tmpfs=/cache", "--tmpfs=/outputs"), GRPO_RECIPE="smoke")
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - begun


if __name__ == "__main__":
    taken = [seconds() for _ in range(STARTS)]
    spread = f"{min(taken):.1f} to {max(taken):.1f} s in {STARTS} starts"
    print(f"check answers {statistics.median(taken):.1f} s after its container is asked for ({spread})")
