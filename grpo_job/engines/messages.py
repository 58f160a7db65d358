"""Messages between ranks through torchrun's store: signed JSON, each message under its own key.

Any host that reaches the store's port can write there, and take and put back what it saw. So a message counts only
with the signature of its rank for its place (`word/7`) in this attempt. Imports no torch.
"""

from typing import Any

from grpo_job.engines.ranks import Process
from grpo_job.engines.signer import SIZE, Signer
from grpo_job.engines.words import LARGEST_VALUE, LARGEST_WORD, BadWord, decoded, encoded


class Messages:
    """Those of one rank among `count`. Each rank introduces itself first; what it says then is for these ranks only."""

    def __init__(self, store: Any, number: int, count: int, own: Process, key: bytes) -> None:
        self._store, self._number, self._count = store, number, count
        self._known = {number: own}
        self._strangers = Signer(key)
        self._signer: Signer | None = None

    def introduce(self) -> None:
        """Say which process this rank is."""
        place = f"process/{self._number}"
        content = encoded(self._known[self._number], LARGEST_WORD)
        self._store.set(place, self._strangers.signed(place, self._number, content))

    def process(self, number: int) -> Process | None:
        """Which process that rank is, if it has said so; what it said first counts."""
        place = f"process/{number}"
        if number not in self._known and self._store.check([place]):
            content = self._strangers.verified(place, number, _bounded(self._store.get(place)))
            self._known[number] = _of_kind(decoded(content, LARGEST_WORD), Process, place)
        return self._known.get(number)

    def have_met(self) -> bool:
        """Whether all ranks have introduced themselves. Before it nothing else can be said or heard."""
        if self._signer is None:
            known = [process for number in range(self._count) if (process := self.process(number))]
            if len(known) == self._count:
                self._signer = self._strangers.of(process.nonce for process in known)
        return self._signer is not None

    def say(self, place: str, value: Any) -> None:
        self._store.set(place, self.signed(place, value, LARGEST_WORD))

    def have(self, *places: str) -> bool:
        """Whether something is said at all these places."""
        return self.have_met() and bool(self._store.check(list(places)))

    def heard(self, place: str, rank: int, kind: Any) -> Any:
        """What `rank` said at `place`, of this kind; None if nothing. Raises `BadWord` if another host said it."""
        if not self.have(place):
            return None
        said = self._store.get(place)
        return _of_kind(self.verified(place, rank, _bounded(said)), kind, place)

    def signed(self, place: str, value: Any, most: int = LARGEST_VALUE) -> bytes:
        """`value` in JSON, signed by this rank; all have met."""
        assert self._signer
        return self._signer.signed(place, self._number, encoded(value, most))

    def verified(self, place: str, rank: int, said: bytes) -> Any:
        """What that rank signed for this place; all have met. Raises `BadWord` if it did not."""
        assert self._signer
        return decoded(self._signer.verified(place, rank, said))


def _bounded(said: bytes) -> bytes:
    if len(said) > SIZE + LARGEST_WORD:
        raise BadWord(f"a message between ranks has {len(said)} bytes; allowed: at most {SIZE + LARGEST_WORD}")
    return said


def _of_kind(value: Any, kind: Any, place: str) -> Any:
    if not isinstance(value, kind):
        raise BadWord(f"{place}: a rank received a {type(value).__name__}, which no rank says there")
    return value
