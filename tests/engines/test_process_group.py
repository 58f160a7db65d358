"""Whoever reaches the port of a run's store can write there; no rank believes it, and none waits for ever."""

import json
import os
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import torch
import torch.distributed as dist

from grpo_job.engines.process_group import ProcessGroup
from grpo_job.engines.ranks import Answer, TakeRows, Train
from grpo_job.engines.signer import SIZE, Signer
from grpo_job.engines.words import LARGEST_WORD, BadWord, encoded
from grpo_job.outcomes import Outcome
from grpo_job.settings.redaction.secrets import secret_values

KEY = b"a key that only the ranks of this run know"
Meet = Callable[..., list[ProcessGroup]]


class Attacker:
    """A client of a run's store, without its key."""

    def __init__(self, port: int) -> None:
        self.store = dist.PrefixStore("grpo-job", dist.TCPStore("127.0.0.1", port, timeout=timedelta(seconds=20)))

    def sees(self, place: str) -> bytes:
        said: bytes = self.store.get(place)
        return said

    def writes(self, place: str, said: bytes) -> None:
        self.store.set(place, said)


@pytest.fixture
def torchrun() -> dist.TCPStore:
    return dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


@pytest.fixture
def attacker(torchrun: dist.TCPStore) -> Attacker:
    return Attacker(torchrun.port)


@pytest.fixture
def meet(torchrun: dist.TCPStore, monkeypatch: pytest.MonkeyPatch) -> Meet:
    def ranks(*keys: bytes) -> list[ProcessGroup]:
        monkeypatch.setenv("WORLD_SIZE", str(len(keys)))
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(torchrun.port))
        groups = []
        for number, key in enumerate(keys):
            monkeypatch.setenv("RANK", str(number))
            groups.append(ProcessGroup(lambda reason: None, key))
        return groups

    return ranks


def nobody_asked() -> None:
    return None


def deep() -> bytes:
    return b"[" * 100_000 + b"]" * 100_000


FORGED = {
    "a valid word": encoded(Outcome(0, "finished", "all is well")),
    "a word with a signature of zeros": bytes(SIZE) + encoded(Train(None)),
    "a word signed with another key": Signer(b"guessed").signed("word/0", 0, encoded(Train(None))),
    "nothing": b"",
    "a part of a signature": b"abc",
    "a pickle": pickle.dumps(Outcome(0, "finished", "")),
    "deep JSON": bytes(SIZE) + deep(),
    "too much": bytes(SIZE + LARGEST_WORD + 1),
}


@pytest.mark.parametrize("said", FORGED.values(), ids=FORGED)
def test_what_rank_0_did_not_say_ends_the_rank_that_hears_it(said: bytes, meet: Meet, attacker: Attacker) -> None:
    _, second = meet(KEY, KEY)
    attacker.writes("word/0", said)
    with pytest.raises(BadWord, match=r"is not signed with this run's key|allowed: at most"):
        second.receive(nobody_asked)


@pytest.mark.parametrize("place", ["word/0", "left/1", "process/0"])
def test_words_of_another_place_or_rank_are_refused(place: str, meet: Meet, attacker: Attacker) -> None:
    first, second = meet(KEY, KEY)
    first.broadcast(TakeRows(7))
    assert second.receive(nobody_asked) == TakeRows(7)
    second.leave()
    attacker.writes("word/1", attacker.sees(place))
    with pytest.raises(BadWord, match=r"^word/1: what rank 0 should have said is not signed"):
        second.receive(nobody_asked)


@pytest.mark.parametrize("place", ["asked/1", "left/1", "process/1"])
def test_rank_0_names_what_another_host_said_for_a_rank(place: str, meet: Meet, attacker: Attacker) -> None:
    first, _ = meet(KEY, KEY)
    attacker.writes(place, encoded("SIGTERM" if place == "asked/1" else Outcome(4, "hopeless", "give up")))
    if place == "asked/1":
        with pytest.raises(BadWord, match=r"^asked/1: what rank 1 should have said"):
            first.broadcast(Answer())
    else:
        lost = first.lost()
        assert lost
        assert (lost.code, lost.kind) == (1, "unexpected")
        assert lost.reason.startswith(f"{place}: what rank 1 should have said is not signed with this run's key")


def test_an_earlier_attempt_with_the_same_key_cannot_be_played_again(
    meet: Meet, attacker: Attacker, torchrun: dist.TCPStore
) -> None:
    first, second = meet(KEY, KEY)
    first.broadcast(Train(None))
    second.receive(nobody_asked)
    earlier = {place: attacker.sees(place) for place in ("process/0", "word/0")}
    _, second = meet(KEY, KEY)
    attacker.writes("word/0", earlier["word/0"])
    with pytest.raises(BadWord, match=r"^word/0: "):
        second.receive(nobody_asked)
    _, second = meet(KEY, KEY)
    for place, said in earlier.items():
        attacker.writes(place, said)
    with pytest.raises(BadWord, match=r"^word/0: "):
        second.receive(nobody_asked)


def test_who_a_rank_is_cannot_be_changed_after_all_have_met(meet: Meet, attacker: Attacker) -> None:
    first, second = meet(KEY, KEY)
    first.broadcast(Answer())
    assert second.receive(nobody_asked) == Answer()
    assert first.lost() is None
    attacker.writes("process/1", b"somebody else")
    first.broadcast(TakeRows(3))
    assert second.receive(nobody_asked) == TakeRows(3)
    assert first.lost() is None


@pytest.mark.parametrize("keys", [(KEY, b""), (b"", KEY), (KEY, KEY[::-1])])
def test_machines_with_different_keys_say_which_setting_differs(keys: tuple[bytes, bytes], meet: Meet) -> None:
    first, second = meet(*keys)
    with pytest.raises(BadWord, match="the machines differ in GRPO_RANKS_KEY_PATH"):
        second.receive(nobody_asked)
    with pytest.raises(BadWord, match="the machines differ in GRPO_RANKS_KEY_PATH"):
        first.broadcast(Answer())
    assert not first.end(Outcome(1, "unexpected", "why"))


def test_without_a_key_what_is_said_arrives(meet: Meet) -> None:
    first, second = meet(b"", b"")
    first.broadcast(TakeRows(7))
    assert second.receive(nobody_asked) == TakeRows(7)


@pytest.mark.parametrize("replayed", [False, True])
def test_what_is_shared_by_all_is_believed_only_from_rank_0_and_once(
    replayed: bool, meet: Meet, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = meet(KEY, KEY)
    wire: list[bytes] = []

    def broadcast(told: torch.Tensor, **_: Any) -> None:
        if os.environ["RANK"] == "0":
            wire.append(told.numpy().tobytes())
        else:
            told.copy_(torch.frombuffer(bytearray(wire.pop(0)), dtype=told.dtype))

    monkeypatch.setattr(dist, "broadcast", broadcast)
    monkeypatch.setattr(ProcessGroup, "_group", lambda self: None)

    def share(group: ProcessGroup, value: Any) -> Any:
        monkeypatch.setenv("RANK", str(group.number))
        return group.share(value)

    share(first, {"a": 1})
    heard = list(wire)
    assert share(second, None) == {"a": 1}
    share(first, {"a": 2})
    if replayed:
        wire[:] = heard
    else:
        forged = json.dumps({"dict": [["a", 3]]}).encode()
        wire[:] = [torch.tensor([SIZE + len(forged)]).numpy().tobytes(), bytes(SIZE) + forged]
    with pytest.raises(BadWord, match=r"^together/2: what rank 0 should have said is not signed"):
        share(second, None)


def test_the_key_of_the_launcher_is_a_secret() -> None:
    assert "0123456789abcdef" in secret_values({"LAUNCHER_RANKS_KEY": "0123456789abcdef", "HOME": "/not/there"})
