"""What each of several ranks does with its part: rows, answers, gradients."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler

from grpo_job.engines import settle
from grpo_job.engines.base import TrainerEngine, VllmTrainerEngine
from grpo_job.engines.patches.flat_optimizer import flatten
from grpo_job.engines.process_group import ProcessGroup
from grpo_job.engines.ranks import Answer
from grpo_job.engines.trainer.averaging import GradientAverage
from grpo_job.engines.trainer.sampler import RowStream
from grpo_job.phases.attempt import Attempt
from grpo_job.phases.outcome import record_outcome
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import resolve


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_rows_of_all_ranks_are_those_of_one_process_in_their_order(ranks: int) -> None:
    def stream() -> RowStream:
        return RowStream(50, chunk=8, group=2, repeats=2, length=96, shuffle=True, seed=3)

    shards = [BatchSamplerShard(BatchSampler(stream(), 16 // ranks, False), ranks, rank) for rank in range(ranks)]
    together = [index for batches in zip(*shards, strict=True) for batch in batches for index in batch]
    assert together == list(stream())


class Meeting:
    """Ranks that are threads of this process."""

    def __init__(self, count: int) -> None:
        self.count, self.values, self.said = count, [None] * count, []  # type: ignore[var-annotated]
        self.together = threading.Barrier(count)

    def gather(self, number: int, value: Any) -> list[Any]:
        self.values[number] = value
        self.together.wait()
        values = list(self.values)
        self.together.wait()
        return values


class Seat:
    def __init__(self, meeting: Meeting, number: int) -> None:
        self.meeting, self.number, self.count = meeting, number, meeting.count

    def broadcast(self, word: Any) -> None:
        self.meeting.said.append(word)

    def share(self, value: Any) -> Any:
        return self.gather(value)[0]

    def gather(self, value: Any) -> list[Any]:
        return self.meeting.gather(self.number, value)


class Echo(TrainerEngine):
    """Answers a prompt with its rank, the prompt and the seed of each sample."""

    def __init__(self, ranks: Any, tensor_parallel: int) -> None:
        self.ranks, self.tensor_parallel, self.asked = ranks, tensor_parallel, 0

    def answer(self, prompts: Any, *, seed: int = 0, samples: int = 1, **_: Any) -> list[list[str]]:
        group = self.ranks.number // self.tensor_parallel
        self.asked += 1
        return [
            [f"{group}: {prompt} {seed + place * samples + sample}" for sample in range(samples)]
            for place, prompt in enumerate(prompts)
        ]


def on_ranks(count: int, tensor_parallel: int, prompts: list[str], **options: Any) -> tuple[list[list[str]], list[Any]]:
    """What rank 0 gets, and what it said to the others on the way.

    Each rank answers once, also where no prompt is left for it: a fold may gather the base's parts from all.
    """
    meeting = Meeting(count)
    engines = [Echo(Seat(meeting, number), tensor_parallel) for number in range(count)]
    others = [threading.Thread(target=engine.join_generation) for engine in engines[1:]]
    for other in others:
        other.start()
    answers = engines[0].generate(prompts, **options)  # type: ignore[arg-type]
    for other in others:
        other.join()
    assert [engine.asked for engine in engines] == [1] * count
    return answers, meeting.said


@pytest.mark.parametrize(("count", "tensor_parallel"), [(2, 1), (4, 1), (2, 2), (4, 2)])
@pytest.mark.parametrize("prompts", [1, 3, 8])
def test_the_ranks_answer_together_what_one_would_with_the_same_seeds(
    count: int, tensor_parallel: int, prompts: int
) -> None:
    asked = [f"prompt {number}" for number in range(prompts)]
    answers, said = on_ranks(count, tensor_parallel, asked, seed=7, samples=2, adapter="on")
    expected = [[f"{asked[place]} {7 + 2 * place + sample}" for sample in range(2)] for place in range(prompts)]
    assert [[answer.partition(": ")[2] for answer in one] for one in answers] == expected
    assert said == [Answer()]
    groups = {one[0].partition(": ")[0] for one in answers}
    assert len(groups) == min(prompts, count // tensor_parallel)


class Vllm:
    """As far as an engine closes it: in several processes it would wait for the others."""

    def __init__(self) -> None:
        self.llm_engine = self.engine_core = self
        self.closed = False

    def shutdown(self) -> None:
        self.closed = True


@pytest.mark.parametrize("count", [1, 2])
def test_only_an_engine_of_one_process_takes_vllm_and_its_process_group_down(count: int) -> None:
    engine = VllmTrainerEngine()
    engine.ranks, engine.llm = Seat(Meeting(count), 0), Vllm()  # type: ignore[assignment]
    engine.close()
    assert engine.llm.closed == (count == 1)


def test_between_two_steps_the_others_listen_already() -> None:
    meeting = Meeting(2)
    engine, other = (Echo(Seat(meeting, number), 1) for number in range(2))
    engine.training = True
    listening = threading.Thread(target=lambda: other._answer_share(other.ranks.share(None)))
    listening.start()
    assert len(engine.generate(["a", "b"])) == 2  # type: ignore[list-item]
    listening.join()
    assert meeting.said == []


def test_what_another_rank_was_asked_gives_rank_0_its_grace_and_a_signal_in_it_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchrun = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    interruption = Interruption()
    interruption.second_signal_ends = False
    for name, value in {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": torchrun.port}.items():
        monkeypatch.setenv(name, str(value))
    ranks = []
    for number in (0, 1):
        monkeypatch.setenv("RANK", str(number))
        ranks.append(ProcessGroup(interruption.ask))
    other = threading.Thread(target=lambda: ranks[1].receive(lambda: "SIGTERM"), daemon=True)
    other.start()
    torchrun.wait(["grpo-job/asked/1"])
    settings = {"GRPO_RECIPE": "smoke", "GRPO_OUTPUT_DIR": str(tmp_path), "GRPO_RUN_ID": "run"}
    attempt = Attempt(resolve(settings).settings, interruption, ranks=ranks[0])
    graces = []

    def flush(seconds: float) -> None:
        graces.append(seconds)
        interruption._handle(signal.SIGTERM, None)  # torchrun's, when the other rank has ended

    monkeypatch.setattr(attempt, "flush_mirror", flush)
    with attempt.lock(), record_outcome(attempt):
        ranks[0].broadcast(Answer())
    assert attempt.outcome.code == 75
    assert attempt.outcome.reason.startswith("SIGTERM was received by rank 1: ")
    assert [grace > 0 for grace in graces] == [True]
    assert ranks[0].end(attempt.outcome)
    other.join()


@pytest.mark.parametrize(("engine", "gpus", "index"), [("unsloth", "5", "0"), ("trl", "4,5", "1")])
def test_a_rank_of_unsloth_sees_its_own_gpu_alone(
    engine: str, gpus: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "expandable_segments:False")
    settle(engine, Seat(Meeting(2), 1))  # type: ignore[arg-type]
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["LOCAL_RANK"]) == (gpus, index)


class TorchSeat:
    """One of two ranks, which share by torch's own means."""

    count = 2

    def gather(self, value: Any) -> list[Any]:
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values


def layers() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Linear(16, 16), torch.nn.Linear(16, 1))


def steps(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, own: slice, average: Callable[[], object] = lambda: None
) -> None:
    for step in range(5):
        batch = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
        model(batch[own]).square().mean().backward()
        average()
        optimizer.step()
        model.zero_grad()


def train_rank(rank: int, folder: str) -> None:
    """As the trainer does: the parameters are views of long ones, their gradients are averaged one by one."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model = layers()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    flatten(optimizer, lambda parameter: parameter.dim())
    steps(model, optimizer, slice(4 * rank, 4 * rank + 4), GradientAverage(model, TorchSeat()))  # type: ignore[arg-type]
    torch.save(model.state_dict(), f"{folder}/{rank}.pt")


@pytest.mark.slow
def test_long_tensors_step_on_averaged_gradients_as_short_ones_of_one_process_do(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(train_rank, (str(tmp_path),), nprocs=2)
    model = layers()
    steps(model, torch.optim.AdamW(model.parameters(), lr=1e-2), slice(0, 8))
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for name, expected in model.state_dict().items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], expected, atol=1e-5)
