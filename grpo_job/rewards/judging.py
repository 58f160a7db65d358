"""A model behind an OpenAI-compatible address judges completions: the reward `judge`.

Its parameters are set with GRPO_REWARD_OPTIONS, the key with OPENAI_API_KEY. All completions of a batch are asked at
once. What cannot be judged in time pays None, and is counted and told; `judgements.py` keeps what was judged.
"""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grpo_job.rewards import judge_prompt
from grpo_job.rewards.judgements import JUDGEMENTS, Judged

SCORE = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*", re.ASCII)
AGAIN = (408, 409, 425, 429)  # of the answers below 500, those that another try may get past
PAUSE, LONGEST_PAUSE = 0.1, 8.0  # seconds before another try, doubled each time
REPLY_TOKENS = 16


def _seconds(retry_after: str) -> float:
    """Of the header; a date counts as none."""
    return float(retry_after) if re.fullmatch(r"[0-9]{1,6}", retry_after) else 0.0


class Service(NamedTuple):
    """The address, and what may be spent there; see `judge`."""

    url: str
    model: str
    highest: float
    seconds: float
    concurrency: int
    tries: int
    most_calls: int | None
    most_tokens: int | None


async def judge(
    completions: Sequence[Any],
    *,
    url: str = "",
    model: str = "",
    prompt_file: str = "",
    highest: float = 10.0,
    seconds: float = 45.0,
    concurrency: int = 64,
    tries: int = 4,
    most_calls: int | None = None,
    most_tokens: int | None = None,
    **columns: Any,
) -> list[float | None]:
    """Pays the score given by the model `model` at `url`, divided by `highest`; None if it gives none in time.

    `url` ends in `/v1`; `prompt_file` has `{question}`, `{completion}`, `{answer}`, `{highest}` or any column in
    braces; a row that has no value of one that it names pays None. A batch takes at most `seconds`; a call is tried
    `tries` times. The reply must be one number from 0 to `highest` and nothing else. Raises `ValueError` where the
    service refuses for good, or the budget of `most_calls` or `most_tokens` is spent.

    >>> asyncio.run(judge([], url="http://127.0.0.1:8000/v1", model="qwen"))
    []
    """
    if not (url and model):
        needed = '{"judge": {"url": "https://.../v1", "model": "..."}}'
        raise ValueError(f"it needs GRPO_REWARD_OPTIONS={needed}")
    service = Service(url.rstrip("/"), model, highest, seconds, concurrency, tries, most_calls, most_tokens)
    template, names = judge_prompt.read(prompt_file), judge_prompt.needed(prompt_file)
    texts = [each if isinstance(each, str) else each[-1]["content"] for each in completions]
    values = [judge_prompt.values_of(columns, number, text, highest) for number, text in enumerate(texts)]
    asked = [judge_prompt.filled(template, each) for each in values]
    keys = [hashlib.sha256(json.dumps([url, model, highest, text]).encode()).hexdigest()[:32] for text in asked]
    for key, each in zip(keys, values, strict=True):
        if key not in JUDGEMENTS.known and (lacking := judge_prompt.lacking(names, each)):
            JUDGEMENTS.add(key, Judged(None, failure=f"the row has no {lacking}, which its prompt_file names"))
    await _judge_all(service, dict(zip(keys, asked, strict=True)))
    return [JUDGEMENTS.known[key].score for key in keys]


async def _judge_all(service: Service, asked: Mapping[str, str]) -> None:
    """Ask for what is not known yet, side by side; what is late is cut."""
    import httpx

    new = {key: text for key, text in asked.items() if key not in JUDGEMENTS.known}
    if not new:
        return
    end, room = time.monotonic() + service.seconds, asyncio.Semaphore(service.concurrency)
    limits = httpx.Limits(max_connections=service.concurrency)
    headers = {"Authorization": f"Bearer {JUDGEMENTS.key}"} if JUDGEMENTS.key else {}
    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=service.seconds) as client:
        calls = [_Call(service, client, room, end, text) for text in new.values()]
        judged = await asyncio.gather(*(call.judged() for call in calls), return_exceptions=True)
    for key, one in sorted(zip(new, judged, strict=True), key=lambda pair: pair[0]):
        if isinstance(one, Judged):
            JUDGEMENTS.add(key, one)
    for one in judged:
        if isinstance(one, BaseException):
            raise one


class _Call:
    """One completion's judgement, tried until it is there, the tries or the time are spent."""

    def __init__(self, service: Service, client: Any, room: asyncio.Semaphore, end: float, text: str) -> None:
        self.service, self.client, self.room, self.end, self.text = service, client, room, end, text
        self.calls = self.tokens = 0
        self.wait = 0.0  # seconds before another try that the service asked for
        self.failure = ""

    async def judged(self) -> Judged:
        try:
            async with asyncio.timeout(self.end - time.monotonic()):
                score = await self._tried()
        except TimeoutError:
            score, self.failure = None, self.failure or "no reply in time"
        return Judged(score, self.calls, self.tokens, "" if score is not None else self.failure)

    async def _tried(self) -> float | None:
        for number in range(self.service.tries):
            if number:
                await asyncio.sleep(max(self.wait, min(LONGEST_PAUSE, PAUSE * 2**number)))
            async with self.room:
                score = await self._once()
            if score is not None:
                return score
        return None

    async def _once(self) -> float | None:
        import httpx

        JUDGEMENTS.spend(self.service.most_calls, self.service.most_tokens)
        self.calls += 1
        body = {
            "model": self.service.model,
            "messages": [{"role": "user", "content": self.text}],
            "temperature": 0,
            "max_tokens": REPLY_TOKENS,
        }
        try:
            reply = await self.client.post(f"{self.service.url}/chat/completions", json=body)
        except httpx.HTTPError as error:
            self.failure = f"{type(error).__name__}: {error}"
            return None
        if reply.status_code != 200:
            self.failure = f"HTTP {reply.status_code}: {' '.join(reply.text.split())[:200]}"
            self.wait = _seconds(reply.headers.get("Retry-After", ""))
            if reply.status_code < 500 and reply.status_code not in AGAIN:
                raise ValueError(f"{self.service.url} refuses: {self.failure}")
            return None
        return self._score(reply)

    def _score(self, reply: Any) -> float | None:
        try:
            found = reply.json()
            said = found["choices"][0]["message"]["content"]
            tokens = int((found.get("usage") or {}).get("total_tokens") or 0)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            self.failure = f"the reply is no chat completion: {' '.join(reply.text.split())[:200]}"
            return None
        self.tokens += tokens
        JUDGEMENTS.tokens += tokens
        number = SCORE.fullmatch(said) if isinstance(said, str) else None
        if number is None or float(number[1]) > self.service.highest:
            self.failure = f"the reply is no number from 0 to {self.service.highest:g}: {str(said)[:200]!r}"
            return None
        return float(number[1]) / self.service.highest
