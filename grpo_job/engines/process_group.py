"""Communication between the processes of a run: `Ranks` over torch.distributed, started by torchrun.

Words go through the store that torchrun keeps: rank 0 sets them, the others look for them, so that they can wait for
an evaluation, or a download, of any length and still hear signals. What all ranks do together goes through a gloo
group of its own, beside the one that the trainer reduces its gradients with. All of it is signed JSON: bytes that come
from another host are neither run nor believed.
"""

import os
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psutil
import torch
import torch.distributed as dist

from grpo_job.engines.messages import Messages
from grpo_job.engines.ranks import Command, Process
from grpo_job.engines.signer import SIZE
from grpo_job.engines.words import LARGEST_VALUE, BadWord
from grpo_job.outcomes import Interrupted, Outcome, Unexpected

LOOK_SECONDS = 0.05
# A hang is the watchdog's to end, long before: rank 0, which waits for the others, does nothing. These end a wait on
# a GPU while the ranks load, which looks like work, and a hang of rank 0 that even its watchdog does not see; rank 0
# may evaluate between two steps.
TRAINER_SECONDS = 1800
TOGETHER_SECONDS = 3600
# For all to hear how the run ended, before the launcher ends who did not.
GOODBYE_SECONDS = 10.0


class ProcessGroup:
    """The ranks of a run of several processes; see `Ranks`. Made at the start of each process."""

    def __init__(self, ask: Callable[[str], object], key: bytes = b"") -> None:
        """`ask`: what another rank was asked is asked of this process too, when it has a word for all.

        `key`: what all ranks of the run sign with.
        """
        self._ask = ask
        self.number, self.count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self._here = int(os.environ.get("LOCAL_WORLD_SIZE") or self.count)
        process = psutil.Process()
        own = Process(os.uname().nodename, process.pid, process.create_time(), secrets.token_hex(16))
        self._messages = Messages(self._connect(), self.number, self.count, own, key)
        # Over another connection: the main thread may be waiting in the first.
        self._watched = Messages(self._connect(), self.number, self.count, own, key)
        self._words, self._shared, self._has_left = 0, 0, False
        self._joined: Any = None
        self._messages.introduce()

    def broadcast(self, word: Command) -> None:
        """From rank 0 to all others. Raises `Interrupted` where one of them was asked to stop."""
        self._meet()
        for number in range(1, self.count):
            if reason := self._messages.heard(f"asked/{number}", number, str):
                self._ask(reason)
                raise Interrupted(f"{reason} was received by rank {number}")
        self._put(word)

    def receive(self, asked: Callable[[], str | None]) -> Command:
        """The next word of rank 0; while it is waited for, rank 0 may learn what this process was `asked`."""
        told, place = False, f"word/{self._words}"
        while not self._messages.have(place):
            if not told and (reason := asked()) and self._messages.have_met():
                self._messages.say(f"asked/{self.number}", reason)
                told = True
            time.sleep(LOOK_SECONDS)
        word: Command = self._messages.heard(place, 0, Command)
        self._words += 1
        if isinstance(word, Outcome):
            self.leave()
        return word

    def heard_the_end(self, seconds: float) -> Outcome | None:
        """How the run ended, where rank 0 says so within this time."""
        end = time.monotonic() + seconds
        while not self._messages.have("ending"):
            if time.monotonic() > end:
                return None
            time.sleep(LOOK_SECONDS)
        self.leave()
        ending: Outcome = self._messages.heard("ending", 0, Outcome)
        return ending

    def share(self, value: Any) -> Any:
        """Rank 0's `value`, on every rank."""
        place = self._place_of_all()
        content = self._messages.signed(place, value) if self.number == 0 else b""
        size = torch.tensor([len(content)])
        dist.broadcast(size, src=0, group=self._group())
        told = _bytes(content, _size(size))
        dist.broadcast(told, src=0, group=self._group())
        return value if self.number == 0 else self._messages.verified(place, 0, told.numpy().tobytes())

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, on every rank."""
        place = self._place_of_all()
        content = self._messages.signed(place, value)
        sizes = [torch.tensor([0]) for _ in range(self.count)]
        dist.all_gather(sizes, torch.tensor([len(content)]), group=self._group())
        longest = max(map(_size, sizes))
        told = [_bytes(b"", longest) for _ in range(self.count)]
        dist.all_gather(told, _bytes(content, longest), group=self._group())
        return [
            self._messages.verified(place, number, each[: int(size)].numpy().tobytes())
            for number, (each, size) in enumerate(zip(told, sizes, strict=True))
        ]

    def barrier(self) -> None:
        """Wait for all."""
        dist.barrier(group=self._group())

    def lost(self, wait: float = 0.0) -> Outcome | None:
        """How another rank ended before its time, where one did; looked for so many seconds. From any thread."""
        end = time.monotonic() + wait
        try:
            while (found := self._lost()) is None and time.monotonic() < end:
                time.sleep(LOOK_SECONDS)
        except RuntimeError:  # the store went with its process
            return Unexpected("the launcher was killed").outcome()
        except BadWord as error:
            return error.outcome()
        return found

    def leave(self, failure: Outcome | None = None) -> None:
        """Say that this process ends, and how where that is not in order."""
        if self._messages.have_met():
            self._messages.say(f"left/{self.number}", failure)
        self._has_left = failure is None

    def end(self, ending: Outcome) -> bool:
        """Rank 0 sends how the run ended. Returns whether all others have heard it; on another rank, whether it has."""
        if self.number:
            return self._has_left
        try:
            return self._tell(ending)
        except (RuntimeError, BadWord):  # the launcher is gone, and with it whoever could hear; or another host speaks
            return False

    def _tell(self, ending: Outcome) -> bool:
        if not self._within_the_goodbye(self._messages.have_met):
            return False
        self._messages.say("ending", ending)
        self._put(ending)
        others = [f"left/{number}" for number in range(1, self.count)]
        return self._within_the_goodbye(lambda: self._messages.have(*others))

    def _within_the_goodbye(self, happened: Callable[[], bool]) -> bool:
        end = time.monotonic() + GOODBYE_SECONDS
        while not (true := happened()) and time.monotonic() < end and not self.lost():
            time.sleep(LOOK_SECONDS)
        return true

    def _meet(self) -> None:
        """Wait until every rank has said which process it is."""
        end = time.monotonic() + TRAINER_SECONDS
        while not self._messages.have_met():
            if lost := self.lost():
                raise Unexpected(lost.reason)
            if time.monotonic() > end:
                raise Unexpected(f"not all of {self.count} ranks have started within {TRAINER_SECONDS} s")
            time.sleep(LOOK_SECONDS)

    def _place_of_all(self) -> str:
        """Where the next value is signed for that all ranks hear together."""
        self._meet()
        self._shared += 1
        return f"together/{self._shared}"

    def _group(self) -> Any:
        """The gloo group, and with it the one that the trainer finds, joined by all at the first use."""
        if self._joined is None:
            wait = timedelta(seconds=TRAINER_SECONDS)
            if torch.cuda.is_available():
                device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
                torch.cuda.set_device(device)
                # Bound to its device and with a part for the CPU: vLLM takes no other for the groups that it makes.
                dist.init_process_group("cpu:gloo,cuda:nccl", timeout=wait, device_id=device)
            else:
                dist.init_process_group("gloo", timeout=wait)
            self._joined = dist.new_group(backend="gloo", timeout=timedelta(seconds=TOGETHER_SECONDS))
        return self._joined

    def _put(self, word: Command) -> None:
        self._messages.say(f"word/{self._words}", word)
        self._words += 1

    def _lost(self) -> Outcome | None:
        for number in (number for number in range(self.count) if number != self.number):
            if self._watched.have(place := f"left/{number}"):
                if failure := self._watched.heard(place, number, Outcome | None):
                    return Outcome(failure.code, failure.kind, f"rank {number}: {failure.reason}")
            elif self._is_gone(number):
                return Unexpected(f"rank {number} was killed").outcome()
        return None

    def _is_gone(self, number: int) -> bool:
        """Whether the process of that rank is known to have ended; of another machine nothing is known."""
        told = self._watched.process(number)
        if told is None:  # it ended, if it did, before it could say which process it is
            return number // self._here == self.number // self._here and _siblings() < self._here
        if told.host != os.uname().nodename:
            return False
        try:
            process = psutil.Process(told.pid)
            return bool(process.create_time() != told.created or process.status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True

    @staticmethod
    def _connect() -> Any:
        place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = dist.TCPStore(*place, is_master=False, timeout=timedelta(seconds=TOGETHER_SECONDS))
        return dist.PrefixStore("grpo-job", store)


def _size(told: torch.Tensor) -> int:
    if not SIZE < (size := int(told)) <= SIZE + LARGEST_VALUE:
        raise BadWord(f"a rank announces {size} bytes; allowed: at most {SIZE + LARGEST_VALUE}")
    return size


def _bytes(content: bytes, size: int) -> torch.Tensor:
    """`content`, followed by zeros up to `size`."""
    filled = torch.zeros(size, dtype=torch.uint8)
    filled[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else filled[:0]
    return filled


def _siblings() -> int:
    """Processes that live of those that the launcher started on this machine, this one included."""
    launched = psutil.Process(os.getppid()).children()
    return sum(process.status() != psutil.STATUS_ZOMBIE for process in launched)
