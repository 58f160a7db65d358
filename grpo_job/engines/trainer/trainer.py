"""What this job changes in TRL's GRPOTrainer: rows, prompts, padding, reference, loading, timing, optimizer steps."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from trl import GRPOTrainer  # Unsloth's patched one, where Unsloth was imported before this file

from grpo_job.engines.interface import RewardFunctions
from grpo_job.engines.patches.flat_optimizer import flatten_8bit
from grpo_job.engines.trainer.adapter import is_saved_in, load_adapter, only_one_adapter
from grpo_job.engines.trainer.callback import ListeningCallback
from grpo_job.engines.trainer.dynamic_sampling import DynamicSampling
from grpo_job.engines.trainer.endings import marked
from grpo_job.engines.trainer.lengths import Batch
from grpo_job.engines.trainer.memory_dry_run import dry_run
from grpo_job.engines.trainer.merging import Room
from grpo_job.engines.trainer.micro_batches import fitted, weighed
from grpo_job.engines.trainer.sampler import RowStream, WarmRows
from grpo_job.engines.trainer.step_size import StepSize
from grpo_job.engines.trainer.warm_start import WarmStart
from grpo_job.inputs.chat_template import Chat
from grpo_job.monitoring.health import WARM_START
from grpo_job.outcomes import Unexpected
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.settings.schema import Settings

NO_ADVANTAGE = 1e-3  # in units of the batch's std; rounding leaves less, a reward that differs more


class JobTrainer(GRPOTrainer):
    """Trains as GRPOTrainer does, over a `RowStream`, and knows the seconds of each part of a step."""

    _buffered_inputs: Any  # TRL's: the micro-batches of a generation
    average_gradients: Callable[[], object] = staticmethod(lambda: None)  # of several ranks, see averaging.py

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        args: Any,
        rows: Sequence[dict[str, Any]],
        rewards: RewardFunctions,
        callback: ListeningCallback,
        chat: Chat,
        settings: Settings,
    ) -> None:
        """`args` is a GRPOConfig, which holds the weights of the `rewards` too; `chat` renders the prompts."""
        self.chat, self.callback = chat, callback
        self.warm_start, self.dynamic = WarmStart(settings), DynamicSampling(settings)
        self.step_size = StepSize(settings)
        self.part_seconds: dict[str, float] = defaultdict(float)
        self.dry_run_sizes: tuple[int, int] | None = None  # see memory_dry_run.py; an engine says so before training
        self.room: Room | None = None  # of a micro-batch, see merging.py; an engine says so before training
        self.fitted: list[Batch] | None = None  # the micro-batches of the last generation, see micro_batches.py
        super().__init__(
            model=model,
            processing_class=tokenizer,
            reward_funcs=[function for function, _ in rewards],
            train_dataset=Dataset.from_list(list(rows)),
            args=args,
            callbacks=[callback],
        )
        only_one_adapter(model)
        callback.attach(self)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Transformers', which only warns where it loads nothing. Raises `Unexpected` unless each weight came back.

        Beside a reference, saved in a sub-folder, transformers would load that alone; it is what training starts from.
        """
        weights = Path(resume_from_checkpoint) / WEIGHTS
        if len(self.model.peft_config) > 1:
            load_adapter(self.model, weights)
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        if not is_saved_in(self.model, weights):
            raise Unexpected(f"{weights}: the adapter in memory is not the checkpoint's after loading it")
        if self.dynamic.is_on:
            self.dynamic.load(Path(resume_from_checkpoint))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """GRPOTrainer's, with the state of dynamic sampling."""
        super()._save_checkpoint(model, trial)
        if self.dynamic.is_on and self.args.should_save:
            self.dynamic.save(Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """GRPOTrainer's; the rate of the next step is that of this run's schedule, which may have more steps now.

        What is loaded holds the rate of the schedule that was saved: 0 at the end of a finished run.
        """
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or not isinstance(self.lr_scheduler, LambdaLR):
            return
        schedule = self.lr_scheduler
        rates = [
            base * rate(schedule.last_epoch) for base, rate in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
        ]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        schedule._last_lr = rates

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        """GRPOTrainer's, with the share of groups that give no gradient, also where rewards are scaled by the batch.

        There TRL counts by the std of the batch, which groups without spread do not lower to 0.
        """
        score, flat = super()._generate_and_score_completions, self._metrics["train"]["frac_reward_zero_std"]
        if self.dynamic.is_on:
            scored = self.dynamic.generate_and_score(self, score)
        else:
            scored = score(inputs)
            if self.scale_rewards == "batch" or self.multi_objective_aggregation == "normalize_then_sum":
                latest = list(self._logs["advantages"])[-self.args.generation_batch_size :]
                groups = torch.tensor(latest).view(-1, self.num_generations)
                flat[-1] = (groups.abs() < NO_ADVANTAGE).all(dim=1).float().mean().item()
        self.step_size.share = 1 - flat[-1]
        return scored

    def create_optimizer(self, *arguments: Any, **options: Any) -> Any:
        """GRPOTrainer's, stepping on long tensors, as far as its groups have something to say."""
        optimizer = super().create_optimizer(*arguments, **options)
        if not self.args.fp16:  # the gradient scaler looks for gradients where the parameters were
            flatten_8bit(optimizer)
        self.step_size.attach(optimizer)
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Transformers', over the steps after the warm start."""
        scheduler = super().create_scheduler(num_training_steps - self.warm_start.steps, optimizer)
        return self.warm_start.put_before(scheduler, optimizer or self.optimizer, self.args.learning_rate)

    @property
    def is_warming_up(self) -> bool:
        """Whether this step learns worked solutions."""
        return bool(self.state.global_step < self.warm_start.steps)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        if self.is_warming_up:
            return self.warm_start.batch(self, generation_batch)
        inputs = super()._prepare_inputs(generation_batch)
        if self._buffered_inputs is not self.fitted:  # a new generation
            self._buffered_inputs = self.fitted = fitted(self, self._buffered_inputs)
            inputs = self.fitted[self._step % self.args.steps_per_generation]
        return inputs

    def step_seconds(self) -> dict[str, float]:
        """Seconds of each part since the last call; `backward` is what no other part explains.

        As the host sees them: a GPU may still work on one part while the host is in the next.
        """
        parts, self.part_seconds = dict(self.part_seconds), defaultdict(float)
        whole = parts.pop("micro_steps", 0.0)
        return {**parts, "backward": max(0.0, whole - sum(parts.values()))}

    def training_step(self, *arguments: Any, **options: Any) -> Any:
        """One micro-step, forward and backward; the last one of a step averages the gradients of all ranks."""
        with self._timed("micro_steps"):
            loss = super().training_step(*arguments, **options)
            if self.accelerator.sync_gradients:
                self.average_gradients()
            return loss

    def _get_train_sampler(self, dataset: Any = None) -> RowStream:
        args = self.args
        micro_steps = args.max_steps * args.gradient_accumulation_steps
        batch = args.per_device_train_batch_size * args.world_size * args.steps_per_generation
        return RowStream(
            len(self.train_dataset if dataset is None else dataset),
            chunk=args.generation_batch_size // self.num_generations,
            group=self.num_generations,
            repeats=self.num_iterations * args.steps_per_generation,
            length=micro_steps * batch,
            shuffle=self.shuffle_dataset,
            seed=args.seed,
            first=self._warm_rows(),
        )

    def _warm_rows(self) -> WarmRows:
        args, steps = self.args, self.warm_start.steps
        solved = [n for n, row in enumerate(self.train_dataset) if row["solution"]] if steps else []
        batches = steps * args.gradient_accumulation_steps * args.world_size
        return WarmRows(solved, args.per_device_train_batch_size, args.steps_per_generation, batches)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """`epoch` counts passes over the rows, as everywhere else; the stream itself is one long epoch."""
        if "loss" in logs:
            generations = (
                max(0, self.state.global_step - self.warm_start.steps)
                * self.args.gradient_accumulation_steps
                / (self.num_iterations * self.args.steps_per_generation)
            )
            prompts = generations * self.args.generation_batch_size / self.num_generations
            if self.dynamic.is_on:
                prompts = self.dynamic.position
            self.state.epoch = prompts / len(self.train_dataset)
        super().log(logs, start_time)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.part_seconds[part] += time.perf_counter() - began

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        """Token ids of each prompt as all parts of the run render it; no images, and nothing further.

        The completions of a group follow each other, and have one prompt.
        """
        groups = [(self.chat.render(prompt), len([*same])) for prompt, same in groupby(prompts)]
        ids = self.processing_class(text=[text for text, _ in groups], add_special_tokens=False)["input_ids"]
        return [[*each] for each, (_, count) in zip(ids, groups, strict=True) for _ in range(count)], None, {}

    def _generate(self, *arguments: Any, **options: Any) -> Any:
        with self._timed("generation"):
            return super()._generate(*arguments, **options)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        """GRPOTrainer's, of completions that tell whether they ended."""
        with self._timed("rewards"):
            return super()._calculate_rewards(inputs, prompts, marked(self, completions, ids), ids)

    def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
        """The loss of one micro-batch, 0 of an empty one; the longest rows are rehearsed before the first one."""
        own_loss = super().compute_loss

        def loss_of(inputs: Any) -> Any:
            return own_loss(model, inputs, *arguments, **options)

        if not inputs:
            return torch.zeros((), device=self.accelerator.device, requires_grad=True)
        if self.is_warming_up:
            self._metrics["train"][WARM_START].append(1.0)
            with self._timed("loss"), self.warm_start.without_reference(self):
                return loss_of(inputs)
        if size := self.dry_run_sizes:
            self.dry_run_sizes = None
            with self._timed("rehearsal"):
                dry_run(self, loss_of, inputs, size)
        with self._timed("loss"), weighed(self, inputs):
            return loss_of(inputs)
