"""Signs the messages between ranks, so that no other host can forge them. Pure.

The key is that of the run: made by the launcher on one machine, read from GRPO_RANKS_KEY_PATH on several. Without one
the signatures only tell words apart.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import NamedTuple

from grpo_job.engines.words import BadWord

SIZE = 32  # bytes of a signature


class Signer(NamedTuple):
    """Signs with `key` for one attempt, its `session`: the words of an earlier attempt have other signatures."""

    key: bytes
    session: str = ""

    def of(self, nonces: Iterable[str]) -> "Signer":
        """The signer of the attempt whose ranks have drawn these numbers: none of them is met again."""
        return self._replace(session=hashlib.sha256(json.dumps([*nonces]).encode()).hexdigest())

    def signed(self, place: str, rank: int, content: bytes) -> bytes:
        """`content` after its HMAC-SHA256 (RFC 2104) over session, place (a channel and a number), rank and itself."""
        signer = hmac.new(self.key, json.dumps([self.session, place, rank]).encode() + b"\0", hashlib.sha256)
        signer.update(content)
        return signer.digest() + content

    def verified(self, place: str, rank: int, said: bytes) -> bytes:
        """The content that `rank` signed for this place. Raises `BadWord` if it did not."""
        content = said[SIZE:]
        if not hmac.compare_digest(said, self.signed(place, rank, content)):
            raise BadWord(
                f"{place}: what rank {rank} should have said is not signed with this run's key: another host wrote it, "
                "or the machines differ in GRPO_RANKS_KEY_PATH; give all of them the same key and close the run's "
                "ports to other hosts (docs/security.md)"
            )
        return content
