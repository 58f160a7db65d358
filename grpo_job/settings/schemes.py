"""What is known of each URI scheme without its client: one entry in SCHEMES, from which every table and check is made.

Below the settings' types because they check addresses; the code of a store is in `grpo_job/stores/`, behind an arm of
`stores.open_store`.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from grpo_job.outcomes import InvalidRun


class Scheme(NamedTuple):
    """One URI scheme, and where below a URI of it things are kept."""

    form: str
    """what a person writes, for help and errors"""
    pattern: str
    """regular expression of the whole URI"""
    publish_seconds: float
    """to send an adapter, before it was measured"""
    on_network: bool
    """`check --offline` does not ask it"""
    place_of_run: Callable[[str, str], str] = lambda uri, run: f"{uri.rstrip('/')}/{run}"
    """URI of `GRPO_CHECKPOINT_TO`, name of the run -> URI of its checkpoints"""
    place_of_takeover_request: Callable[[str], str | None] = lambda place: None
    """URI of a run's checkpoints -> where another attempt asks to take the run over; None if it needs no such place"""


def _branch_of_run(uri: str, run: str) -> str:
    return f"{uri}-{run}" if "@" in uri else f"{uri}@run-{run}"


# A pattern has no room for credentials: they belong in the clients' own variables, for an address is printed.
SCHEMES: dict[str, Scheme] = {
    "hf": Scheme(
        form="hf://owner/name[@branch]",
        pattern=r"hf://[\w.-]+/[\w.-]+(@[\w./-]+)?",
        publish_seconds=20.0,
        on_network=True,
        place_of_run=_branch_of_run,
        place_of_takeover_request=lambda place: place.replace("@", "@bell-"),
    ),
    "s3": Scheme(
        form="s3://bucket[/prefix]", pattern=r"s3://[a-z0-9][a-z0-9.-]+(/[^@]*)?", publish_seconds=10.0, on_network=True
    ),
    "file": Scheme(form="file:///folder", pattern=r"file:///.+", publish_seconds=2.0, on_network=False),
}


def forms() -> str:
    """`hf://owner/name[@branch], s3://bucket[/prefix], file:///folder`."""
    return ", ".join(scheme.form for scheme in SCHEMES.values())


def scheme_of(uri: str) -> Scheme:
    """The scheme of `uri`. Raises `InvalidRun` with the accepted forms if there is no such scheme."""
    found = SCHEMES.get(uri.partition("://")[0])
    if found is None:
        raise InvalidRun(f"{uri!r} is not an address of a store; allowed: {forms()}.")
    return found


def is_place(uri: str) -> bool:
    """Whether `uri` has one of the accepted forms.

    >>> is_place("s3://bucket/runs"), is_place("s3://"), is_place("gs://bucket")
    (True, False, False)
    """
    found = SCHEMES.get(uri.partition("://")[0])
    return bool(found and re.fullmatch(found.pattern, uri))
