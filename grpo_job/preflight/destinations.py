"""Can the run write to its destinations: each one is written to, read and cleaned up, all at the same time."""

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from grpo_job.outcomes import InvalidRun
from grpo_job.preflight.findings import Finding, of_refusal
from grpo_job.settings import notify_url
from grpo_job.settings.schema import Settings
from grpo_job.settings.schemes import scheme_of
from grpo_job.stores import client_errors, open_store


class Places:
    """Checks all destinations in the background, because each may take 30 seconds to fail."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], *, offline: bool, largest: int = 0) -> None:
        """`largest`: bytes of the largest file that the run will send."""
        named = dict.fromkeys(settings.publish_to, "GRPO_PUBLISH_TO")
        if settings.checkpoint_to:
            named[settings.checkpoint_to] = "GRPO_CHECKPOINT_TO"
        self._pool = ThreadPoolExecutor(max_workers=max(1, len(named)), thread_name_prefix="place")
        self._asked = {
            uri: self._pool.submit(_probe, uri, variable, settings, environment, largest)
            for uri, variable in named.items()
            if not (offline and scheme_of(uri).on_network)
        }
        self._skipped = [uri for uri in named if uri not in self._asked]
        self._told = settings.notify_url or _host_in(settings.notify_url_path)

    def findings(self) -> Iterator[Finding]:
        """One or more for each destination; waits for the checks."""
        for uri in self._skipped:
            yield Finding("skipped", "destination", f"{uri} was not checked because of --offline")
        for answer in self._asked.values():
            yield from answer.result()
        self._pool.shutdown()
        if self._told:
            yield Finding("passed", "notification", f"one POST to {self._told} when the run ends, stops or fails")


def _host_in(path: str | None) -> str | None:
    """Where the address in the file of GRPO_NOTIFY_URL_PATH leads, without what is secret."""
    url = notify_url.of({notify_url.PATH_NAME: path}) if path else None
    return notify_url.shown(url) if url else None


def _probe(uri: str, variable: str, settings: Settings, environment: Mapping[str, str], largest: int) -> list[Finding]:
    heard = _Warnings()
    logger = logging.getLogger("grpo_job.stores")
    logger.addHandler(heard)
    try:
        open_store(uri, private=settings.publish_private, environment=environment).check(
            claims=variable == "GRPO_CHECKPOINT_TO", largest=largest
        )
    except InvalidRun as refusal:
        return of_refusal("destination", refusal, prefix=f"{variable}: ")
    except Exception as error:  # whatever a client raises, the place cannot be written
        return [Finding("failed", "destination", f"{variable}: {uri}: {client_errors.told(error)}")]
    finally:
        logger.removeHandler(heard)
    warned = [Finding("warned", "destination", said) for said in heard.said if uri in said]
    return warned or [Finding("passed", "destination", f"{uri}: read/write check passed")]


class _Warnings(logging.Handler):
    """Collects the warnings of a store whose check passes."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
