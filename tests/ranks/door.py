"""The container's door, `entrypoint.py`, with hooks in each process that trains."""

import base64
import os
import pickle
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from grpo_job.cli import main
from grpo_job.runtime.signals import Interruption
from grpo_job.runtime.world import is_rank

HOOKS = "TEST_HOOKS"

if __name__ == "__main__":
    interruption = Interruption().install()
    if is_rank(os.environ) or os.environ["GRPO_PROCESSES"] == "1":
        for hook in pickle.loads(base64.b64decode(os.environ[HOOKS])):
            hook()
    main(obj=interruption)
