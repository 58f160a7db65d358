"""What the Hub's errors mean: whether a retry can help, and the message with the cure."""

import json
import re
from socket import gaierror

import httpx
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from grpo_job.outcomes import InvalidRun, Outage, causes, in_one_line
from grpo_job.stores.retries import StoreFailed, TooSlow, is_untrusted

FROM_HUB = (httpx.HTTPError, OSError, ValueError, RuntimeError, TooSlow)
LONGEST_WORDS = 300
HOPELESS = (LocalTokenNotFoundError, OfflineModeIsEnabled, IsADirectoryError, NotADirectoryError, PermissionError)
# RuntimeError: the client was closed. The threads share one, and the library closes it on some errors.
PASSING = (httpx.HTTPError, OSError, RuntimeError, TooSlow, json.JSONDecodeError)
LOST = (httpx.TransportError, ConnectionError, TimeoutError, gaierror, TooSlow)  # no answer came
OURS = (httpx.UnsupportedProtocol, OfflineModeIsEnabled)  # none came because of a setting


def wait(error: BaseException) -> float | None:
    """The least number of seconds to wait before a retry; None if a retry cannot help."""
    if isinstance(error, HOPELESS) or is_untrusted(error):
        return None
    response = response_of(error)
    if response is None:
        return 0.0 if isinstance(error, PASSING) else None
    return _asked_to_wait(response) if _is_passing(response) else None


def refusal(error: BaseException, sentence: str) -> InvalidRun:
    """What an error of a library that reads from the Hub means before training, whatever it is wrapped in."""
    response = response_of(error)
    kinds = [type(cause) for cause in causes(error)]
    # A bare OSError: a file arrived with another size than the Hub told.
    lost = any(issubclass(kind, LOST) or kind is OSError for kind in kinds)
    ours = is_untrusted(error) or any(issubclass(kind, OURS) for kind in kinds)
    passing = _is_passing(response) if response is not None else lost and not ours
    return (Outage if passing else InvalidRun)(sentence)


def response_of(error: BaseException) -> httpx.Response | None:
    """The Hub's response, from inside whatever the client wrapped around it; None if there was none."""
    for cause in causes(error):
        if isinstance(cause, HfHubHTTPError) and cause.response is not None:
            return cause.response
    return None


def status_of(error: BaseException) -> int:
    """The HTTP status of the Hub's response, 0 if there was none."""
    response = response_of(error)
    return 0 if response is None else response.status_code


def is_missing(error: BaseException) -> bool:
    """Whether the Hub says that there is no such file, branch or repository."""
    missing = (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError)
    return isinstance(error, missing) and status_of(error) in (401, 404)


def failed(error: BaseException, uri: str, endpoint: str) -> StoreFailed:
    """The failure with the message that a user reads."""
    return StoreFailed(f"{uri}: {_cure(error, uri, endpoint)}.", outage=wait(error) is not None)


def _cure(error: BaseException, uri: str, endpoint: str) -> str:
    owner = uri.removeprefix("hf://").split("/")[0]
    if isinstance(error, LocalTokenNotFoundError):
        return f"no Hugging Face token was found: set HF_TOKEN to one that may write to {owner}"
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so the Hub cannot be used: unset it"
    if isinstance(error, (RepositoryNotFoundError, RevisionNotFoundError)):
        return "there is no such repository or branch, or the token cannot see it: correct the name or HF_TOKEN"
    match status_of(error):
        case 401:
            return f"{endpoint} does not accept the token (mistyped, revoked or expired): set HF_TOKEN to a valid one"
        case 402 | 403 | 413 if re.search(r"storage|quota", words := _words(error), re.IGNORECASE):
            return f"the storage of {owner} is full: free some space there, or choose another owner{words}"
        case 403:
            return f"the token cannot write there: set HF_TOKEN to one with write access to {owner}{_words(error)}"
        case 429:
            return f"the rate limit of the Hub is reached ({in_one_line(error)}): try again later"
        case 400 | 404 | 412 | 413 | 422:
            return f"the Hub refused the request ({in_one_line(error)}): correct what it names"
    if response_of(error) is None and wait(error) is None:
        return f"{in_one_line(error)}: correct it"
    return f"unexpected response from {endpoint} ({in_one_line(error)}): check HF_ENDPOINT and the network"


def _words(error: BaseException) -> str:
    """The Hub's own words in brackets, "" if it said nothing."""
    found = [cause.server_message for cause in causes(error) if isinstance(cause, HfHubHTTPError)]
    said = " ".join((next(iter(found), "") or "").split())[:LONGEST_WORDS].rstrip(".")
    return f" (the Hub says: {said})" if said else ""


def _is_passing(response: httpx.Response) -> bool:
    return response.status_code >= 500 or response.status_code in (408, 409, 425, 429)


def _asked_to_wait(response: httpx.Response) -> float:
    asked = response.headers.get("Retry-After", "")
    if asked.isdigit():
        return float(asked)
    limit = re.search(r"r\s*=\s*0\s*;\s*t\s*=\s*(\d+)", response.headers.get("ratelimit", ""))
    return float(limit[1]) if limit else 0.0
