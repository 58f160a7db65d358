"""The container's door, `entrypoint.py`, in a package to which an engine `toy` and a scheme `mem://` were added.

What stands here is all that one adds, beside the two files: a descriptor and an arm for each.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from grpo_job.settings.engines import ENGINES, EngineFacts, Needs
from grpo_job.settings.schemes import SCHEMES, Scheme

# The descriptors, before anything reads the tables.
ENGINES["toy"] = EngineFacts("a CPU", None, Needs(("transformers", "peft"), 7.0), False, card_tags=("toy",))
SCHEMES["mem"] = Scheme("mem://box[/prefix]", r"mem://[a-z]+(/[a-z/]+)?", 1.0, on_network=False)

from grpo_job import engines, stores
from grpo_job.engines.interface import Engine
from grpo_job.stores import Patience, Store

build, open_store = engines.build, stores.open_store


def build_or_toy(engine: str, settings: Any, base: Any, rows: Any, rewards: Any, folder: Path, *more: Any) -> Engine:
    match engine, *more:
        case "toy", None, ranks, _:
            from tests.toys.toy_engine import ToyEngine

            return ToyEngine(settings, base, rows, rewards, folder, ranks)
        case _:
            return build(engine, settings, base, rows, rewards, folder, *more)


def open_store_or_mem(uri: str, **options: Any) -> Store:
    match uri.partition("://"):
        case "mem", _, place:
            from tests.toys.memory_store import MemoryStore

            return MemoryStore(place, patience=options.get("patience") or Patience())
        case _:
            return open_store(uri, **options)


engines.build, stores.open_store = build_or_toy, open_store_or_mem


def show_what_the_store_holds(*_: Any) -> None:
    from tests.toys.memory_store import HELD

    print("the toy store holds:", json.dumps(sorted(HELD)))


if __name__ == "__main__":
    from grpo_job.cli import main
    from grpo_job.runtime import process_exit

    leave = process_exit.leave_silently
    process_exit.leave_silently = lambda code: (show_what_the_store_holds(), leave(code))[1]
    main()
