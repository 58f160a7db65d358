"""Has a process of the job's own import this package, which may be installed or lie beside its entry point."""

import os
import site
from collections.abc import Mapping
from pathlib import Path

PLACE = str(Path(__file__).parents[2])


def finding_this_package(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the folder of this package in PYTHONPATH, unless Python looks there anyway.

    >>> finding_this_package({"PYTHONPATH": "/more"})["PYTHONPATH"] == os.pathsep.join([PLACE, "/more"])
    True
    """
    if PLACE in (*site.getsitepackages(), site.getusersitepackages()):
        return dict(environment)
    more = environment.get("PYTHONPATH")
    return {**environment, "PYTHONPATH": os.pathsep.join([PLACE, more] if more else [PLACE])}
