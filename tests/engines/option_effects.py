"""What shows that an option of GRPOConfig acts, seen on the engine of a CPU: one function per kind of effect."""

import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.inputs import base_model
from grpo_job.planner.candidates import Work
from grpo_job.planner.plan import plan
from grpo_job.planner.shapes import GB, Gpu, ModelShape
from grpo_job.planner.wishes import Wishes
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings

ROWS = [{"prompt": [{"role": "user", "content": f"What is {n} + 2?"}], "answer": str(n + 2)} for n in range(24)]
SETTINGS = {
    "GRPO_RECIPE": "smoke", "GRPO_MAX_STEPS": "3", "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "8", "GRPO_NUM_GENERATIONS": "4",
    "GRPO_MAX_COMPLETION_LENGTH": "12", "GRPO_LEARNING_RATE": "1e-2",
}  # fmt: skip
WIDE = 0.7  # std of the difference between old and new log-probabilities, far beyond any clip


def by_length(completions: Sequence[Any], **_: Any) -> list[float]:
    return [float(len(str(completion))) for completion in completions]


def by_vowels(completions: Sequence[Any], **_: Any) -> list[float]:
    return [float(sum(letter in "aeiou" for letter in str(completion))) for completion in completions]


def settings_of(variables: Mapping[str, str]) -> Settings:
    return resolve({**SETTINGS, **variables}).settings


def engine(folder: Path, settings: Settings) -> PlainTrl:
    """The sample, whose chat template also reads `brief`."""
    base, rewards = folder / "base", [(by_length, 1.0), (by_vowels, 0.5)]
    shutil.copytree(base_model.fetch("sample", None).folder, base)
    template = base / "chat_template.jinja"
    template.write_text("{% if brief %}Be brief. {% endif %}" + template.read_text())
    return PlainTrl(settings, base_model.fetch(str(base), None), ROWS, rewards, folder / "run")


def learned(made: PlainTrl) -> Any:
    """The weights of the LoRA after training."""
    made.train(Counts())
    return [weight.detach().clone() for name, weight in made.model.named_parameters() if "lora_B" in name]


def logged(made: PlainTrl) -> Any:
    """The steps whose metrics were logged."""
    counts = Counts()
    made.train(counts)
    return counts.steps


def optimizer(made: PlainTrl) -> Any:
    """The kind of optimizer and its numbers."""
    built = made.trainer.create_optimizer()
    return type(built), [{k: v for k, v in group.items() if k != "params"} for group in built.param_groups]


def rates(made: PlainTrl) -> Any:
    """The learning rate of each step."""
    made.trainer.create_optimizer_and_scheduler(made.planned_steps)
    found = []
    for _ in range(made.planned_steps):
        found.append(made.trainer.lr_scheduler.get_last_lr()[0])
        made.trainer.optimizer.step()
        made.trainer.lr_scheduler.step()
    return found


def order(made: PlainTrl) -> Any:
    """The rows of all steps, in order, each as often as it is learned from."""
    return list(made.trainer._get_train_sampler())


def steps(made: PlainTrl) -> Any:
    return made.planned_steps


def scored(made: PlainTrl) -> dict[str, Any]:
    """One generation with its advantages, masks and ratios; the same random numbers each time."""
    torch.manual_seed(7)
    trainer = made.trainer
    return trainer._generate_and_score_completions([ROWS[index] for index in order(made)[:8]])


def drawn(made: PlainTrl) -> Any:
    return scored(made)["completion_ids"]


def width(made: PlainTrl) -> Any:
    return {name: value.shape[1] for name, value in scored(made).items() if name.endswith("_ids")}


def advantages(made: PlainTrl) -> Any:
    return scored(made)["advantages"]


def learnable(made: PlainTrl) -> Any:
    return scored(made)["completion_mask"]


def loss(made: PlainTrl) -> Any:
    """Of completions whose old and reference log-probabilities are far from the new ones."""
    trainer = made.trainer
    inputs = off_policy(made)
    trainer.current_gradient_accumulation_steps = 1
    return trainer._compute_loss(trainer.model, inputs).detach()


def off_policy(made: PlainTrl) -> dict[str, Any]:
    """Four completions of random tokens, of different lengths; their log-probabilities shifted by random numbers."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(20, 300, (4, 16), generator=generator)
    mask = (torch.arange(10) < torch.tensor([[10], [4], [7], [2]])).int()
    inputs = {
        "prompt_ids": ids[:, :6], "prompt_mask": torch.ones(4, 6, dtype=torch.int), "completion_ids": ids[:, 6:],
        "completion_mask": mask, "advantages": torch.tensor([1.0, -1.0, 0.5, -0.5]), "num_items_in_batch": mask.sum(),
    }  # fmt: skip
    attention = torch.cat([inputs["prompt_mask"], mask], dim=1)
    with torch.no_grad():
        new, _, _ = made.trainer._get_per_token_logps_and_entropies(made.trainer.model, ids, attention, 10)
    for name in ("old_per_token_logps", "ref_per_token_logps"):
        inputs[name] = new + WIDE * torch.randn(new.shape, generator=generator)
    return inputs


def corrected(made: PlainTrl) -> Any:
    """The ratio by which a completion of vLLM is weighed, whose log-probabilities there were others."""
    trainer = made.trainer
    trainer.use_vllm, trainer.vllm_generation = True, Vllm(trainer)
    trainer._last_loaded_step = trainer.state.global_step
    return scored(made).get("importance_sampling_ratio")


def place(settings: Settings) -> Any:
    """The folder of the run."""
    return settings.folder_of_run


def planned(settings: Settings) -> Any:
    """What a GPU of 26 GB runs."""
    shape = ModelShape(151_936, 2048, 11008, 36, 2048, 256, tied=True, attention_bias=True, heads=16, key_value_heads=2)
    share, recompute = settings.vllm_gpu_memory_utilization, settings.gradient_checkpointing
    wishes = Wishes(gradient_checkpointing=recompute, gpu_memory_utilization=share)
    made = plan(Gpu("26 GB", 26 * GB, (8, 9)), shape, Work(1024, 824, 200, 4, 4, 8, 250), wishes)
    return made.gradient_checkpointing, made.kv_cache_bytes


OF_SETTINGS = (place, planned)  # seen without an engine


class Vllm:
    """Stands in for TRL's: each answer has six random tokens, whose log-probabilities are nearly the trainer's."""

    def __init__(self, trainer: Any) -> None:
        self.trainer, self.chance = trainer, random.Random(5)

    def generate(self, prompts: list[list[int]], **_: Any) -> Any:
        answers = [[self.chance.randrange(20, 300) for _ in range(6)] for _ in prompts]
        return prompts, answers, [self._scored(*both) for both in zip(prompts, answers, strict=True)], None

    def _scored(self, prompt: list[int], answer: list[int]) -> list[list[float]]:
        ids = torch.tensor([prompt + answer])
        with torch.no_grad():
            score = self.trainer._get_per_token_logps_and_entropies
            (own,), _, _ = score(self.trainer.model, ids, torch.ones_like(ids), len(answer))
        return [[float(value) + self.chance.uniform(-0.2, 0.2)] for value in own]


class Counts:
    """A listener that asks for nothing and remembers which steps were logged."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.steps.append(step)

    def __getattr__(self, name: str) -> Any:
        return {"measure": lambda step: {}}.get(name, lambda *_: None)
