"""What the reward `judge` takes beyond its slowest completion: a service that takes 2 s and fails in 30 % of calls.

python -m benchmarks.judge [COMPLETIONS]
"""

import sys
import time

from grpo_job.rewards import as_trl_function, load
from tests.servers.judge import judging

SECONDS, FAILING, ROUNDS = 2.0, 0.3, 3


def main(completions: int) -> None:
    for number in range(ROUNDS):
        with judging(lambda text: "5", seconds=SECONDS, failing=FAILING) as server:
            options = {"judge": {"url": server.url, "model": "stub", "tries": 8}}
            [reward] = load([("judge", 1.0)], options=options)
            texts = [f"{number}.{each}" for each in range(completions)]
            began = time.monotonic()
            paid = as_trl_function(reward, 60)(completions=texts, answer=["5"] * completions)
            took, slowest = time.monotonic() - began, max(server.seconds_of(text) for text in server.asked)
        calls, judged = len(server.bodies), sum(score is not None for score in paid)
        print(
            f"{judged} of {completions} judged in {calls} calls: the slowest {slowest:.2f} s, "
            f"the whole reward {took:.2f} s ({took / slowest - 1:+.1%})"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
