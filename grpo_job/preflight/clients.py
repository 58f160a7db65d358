"""Checks the variables of the clients before one of them is asked."""

from collections.abc import Iterator, Mapping

from grpo_job.inputs.sources import RowSource
from grpo_job.preflight.findings import Finding
from grpo_job.settings.schema import Settings
from grpo_job.settings.schemes import scheme_of
from grpo_job.stores import client_variables


def findings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """A failure for each variable that a client cannot use; a warning where the run needs no network."""
    for fault in client_variables.faults(environment):
        yield Finding("failed" if _needs_network(settings) else "warned", "client variables", fault)


def _needs_network(settings: Settings) -> bool:
    named = [settings.model, settings.dataset, settings.eval_dataset]
    places = [*settings.publish_to, settings.checkpoint_to]
    return (
        any(not is_local(name) for name in named if name)
        or any(scheme_of(uri).on_network for uri in places if uri)
        or bool(settings.report_to)
    )


def is_local(name: str) -> bool:
    """Whether a model or rows are on this machine, or would be if they existed."""
    try:
        return name.startswith(("/", ".", "~")) or RowSource("", name).is_local
    except OSError:  # a folder that this user may not enter: the check of what is there says so
        return True
