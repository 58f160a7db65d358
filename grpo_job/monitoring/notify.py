"""One POST when a run ends: `text` as Slack reads it, and the facts as plain fields beside it. Never stops the run."""

import html
import threading
from collections.abc import Callable, Mapping
from typing import Any

from grpo_job.settings import notify_url
from grpo_job.settings.redaction.redactor import REDACTOR

TRY_SECONDS = 5.0  # of one try, whatever the server does meanwhile
TRIES = 2
AGAIN = (408, 425, 429)  # of the answers below 500, those that another try may get past
LONGEST_REASON = 1000  # characters
# What an attempt sends of what is known of its end.
SENT = (
    "run_id", "model", "state", "exit_code", "reason", "verdict", "measure", "before", "after", "p_value", "rows",
    "steps", "planned", "minutes", "cost", "published", "run_folder",
)  # fmt: skip


class NotSent(Exception):
    """Why the address did not take the message; `again`: another try may help."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


def send(
    environment: Mapping[str, str], facts: Mapping[str, Any], warn: Callable[[str], None], *, seconds: float | None
) -> bool | None:
    """Post the end of a run; whether it arrived, None if no address is set.

    `seconds`: there is time for one try of so many seconds; None: for `TRIES`. What goes wrong is one warning.
    """
    where = notify_url.NAME
    try:
        url = notify_url.of(environment)
        if url is None:
            return None
        where = notify_url.shown(url)
        _send(url, message(facts), TRIES if seconds is None else 1, min(seconds or TRY_SECONDS, TRY_SECONDS))
    except Exception as failure:  # whatever a client or a server does, the run has ended as it did
        warn(f"the end of the run was not posted to {where}: {failure or type(failure).__name__}")
        return False
    return True


def message(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON that is posted, without secrets."""
    reason = str(facts.get("reason") or "")
    reason = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."
    fields = {name: facts.get(name) for name in SENT} | {"reason": reason}
    # As Slack wants it: else `<!channel>` in a reason would call everybody.
    text = html.escape(told({**facts, "reason": reason}), quote=False)
    body: dict[str, Any] = REDACTOR.value({"text": text, **fields})
    return body


def told(facts: Mapping[str, Any]) -> str:
    """The message for a person, in a few lines.

    >>> print(told({"run_id": "smoke-1", "state": "finished", "exit_code": 0, "reason": "trained", "minutes": 1.25}))
    grpo-job smoke-1: finished (exit 0) after 1.2 min
    trained
    >>> print(told({"run_id": "a", "state": "interrupted", "exit_code": 75, "reason": "SIGTERM was received",
    ...             "minutes": 9.0, "cost": 0.31, "steps": 14, "planned": 100}))
    grpo-job a: interrupted (exit 75) after 9.0 min, $0.31, at step 14 of 100
    SIGTERM was received
    """
    took = f" after {facts['minutes']:.1f} min" if facts.get("minutes") is not None else ""
    took += f", ${facts['cost']:.2f}" if facts.get("cost") is not None else ""
    took += f", at step {facts['steps']} of {facts['planned']}" if facts["exit_code"] and facts.get("planned") else ""
    lines = [f"grpo-job {facts.get('run_id') or 'run'}: {facts['state']} (exit {facts['exit_code']}){took}"]
    if facts.get("after") is not None and facts.get("before") is not None:
        form = "{:.1%}" if facts.get("share", True) else "{:.3g}"
        before, after = (form.format(facts[when]) for when in ("before", "after"))
        lines.append(
            f"{facts.get('measure') or 'accuracy'}: {before} → {after}, {facts.get('verdict') or 'no verdict'}"
        )
    lines += [f"published: {uri}" for uri in facts.get("published") or ()]
    return "\n".join([*lines, str(facts["reason"])])


def _send(url: str, body: Mapping[str, Any], tries: int, seconds: float) -> None:
    """Post within `tries` × `seconds`. Raises `NotSent` with the reason of the last try."""
    for left in reversed(range(tries)):
        try:
            _within(seconds, lambda: _post(url, body, seconds))
        except NotSent as failure:
            if not (left and failure.again):
                raise
        else:
            return


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Work in a thread that is left behind when it is late, such as in a name server that does not answer."""
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            work()
            ended.append(None)
        except BaseException as error:  # it belongs to the caller
            ended.append(error)

    thread = threading.Thread(target=run, name="notify", daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:  # not tried again: it may have arrived
        raise NotSent(f"no reply within {seconds:g} s", again=False)
    if ended[0]:
        raise ended[0]


def _post(url: str, body: Mapping[str, Any], seconds: float) -> None:
    """One request, whose reply is not read beyond its first line and headers. Follows no redirect."""
    import httpx

    with httpx.Client(timeout=seconds, follow_redirects=False) as client:
        try:
            with client.stream("POST", url, json=dict(body)) as reply:
                code = reply.status_code
        except httpx.ConnectError as error:
            raise NotSent(f"{type(error).__name__}: {error}", again=True) from error
    if 300 <= code < 400:
        raise NotSent(f"HTTP {code}: redirects are not followed; set the address that it leads to", again=False)
    if not 200 <= code < 300:
        raise NotSent(f"HTTP {code}", again=code >= 500 or code in AGAIN)
