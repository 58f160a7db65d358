"""Plain TRL as a contestant: its documented settings, the job's rows, prompt, rewards and grading.

The settings are those of TRL's guide "PEFT integration" for GRPO with LoRA, and GRPOConfig's defaults for the rest;
on a GPU vLLM generates in the same process. Only model, rows, system prompt, rewards, steps and seed are read from the
environment. The adapter is evaluated greedily through transformers, with the job's grading.

    GRPO_MODEL=... GRPO_DATASET=... GRPO_OUTPUT_DIR=... GRPO_RUN_ID=... python -m benchmarks.learning.plain_trl
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpo_job import preflight, rewards
from grpo_job.engines.patches import cpu_log_probs
from grpo_job.evaluation import grading, verdict
from grpo_job.evaluation.completion import Completion
from grpo_job.phases import evaluate
from grpo_job.run_folder.files import write_json, write_jsonl
from grpo_job.run_folder.paths import RunFolder
from grpo_job.settings.reader import resolve
from grpo_job.settings.schema import Settings

LEARNING_RATE = 1e-5  # ten times the default, as the guide has it for LoRA
LORA = {"r": 32, "lora_alpha": 16, "lora_dropout": 0.05, "bias": "none", "task_type": "CAUSAL_LM"}


def main() -> None:
    settings = resolve({**os.environ, "GRPO_ENGINE": "trl"}).settings
    checked = preflight.check(settings, os.environ)
    run = RunFolder(Path(settings.output_dir) / str(settings.run_id)).open()
    trainer = make_trainer(settings, checked, run)
    write_json(run.settings, {"settings": {"per_device_train_batch_size": trainer.args.per_device_train_batch_size}})
    records = {"before": ask(trainer, settings, checked.rows.held_out, adapter=False)}
    trainer.train()
    records["after"] = ask(trainer, settings, checked.rows.held_out, adapter=True)
    write_jsonl(run.before, records["before"])
    write_jsonl(run.after, records["after"])
    write_jsonl(run.metrics, trainer.state.log_history)
    trainer.save_model(str(run.adapter))
    measure = evaluate.measure_of(settings, checked.rewards, checked.rows.held_out)
    write_json(run.verdict, verdict.judge(records["before"], records["after"], measure))
    write_json(run.summary, {"steps": {"done": trainer.state.global_step}, "ending": {"code": 0, "reason": "trained"}})
    os._exit(0)  # vLLM's threads would hold the process


def make_trainer(settings: Settings, checked: preflight.Checked, run: RunFolder) -> Any:
    os.environ.update(HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_USE_FLASHINFER_SAMPLER="0")
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from torch.distributed.elastic.utils.distributed import get_free_port
    from trl import GRPOConfig, GRPOTrainer

    os.environ["MASTER_PORT"] = str(get_free_port())  # TRL would try 29500 first, as every run beside this one does
    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        cpu_log_probs.install()
    paid = rewards.as_trl_functions(checked.rewards, settings.reward_timeout_seconds)
    rows = [{"prompt": row["prompt"], "answer": row["answer"]} for row in checked.rows.train]
    where = {"use_vllm": True, "vllm_mode": "colocate"} if on_gpu else {"use_cpu": True, "bf16": False}
    return GRPOTrainer(
        model=str(checked.base.folder),
        reward_funcs=[function for function, _ in paid],
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(**LORA),
        args=GRPOConfig(
            output_dir=str(run.checkpoints), learning_rate=LEARNING_RATE, max_steps=settings.max_steps,
            reward_weights=[weight for _, weight in paid], seed=settings.seed, report_to="none", save_strategy="no",
            logging_steps=1, **where,
        ),
    )  # fmt: skip


def ask(trainer: Any, settings: Settings, rows: Sequence[dict[str, Any]], *, adapter: bool) -> list[dict[str, Any]]:
    """The records of an evaluation; see `grading.ask`."""
    tokens = min(settings.max_completion_length, trainer.args.max_completion_length)
    return grading.ask(lambda prompts: greedy(trainer, prompts, tokens, adapter=adapter), rows, evaluate.GRADERS)


def greedy(trainer: Any, prompts: Sequence[Any], tokens: int, *, adapter: bool) -> list[list[Completion]]:
    """One greedy answer to each prompt, by transformers."""
    from grpo_job.engines.rollouts import on_cpu

    model, tokenizer = trainer.accelerator.unwrap_model(trainer.model), trainer.processing_class
    texts = [tokenizer.apply_chat_template(one, tokenize=False, add_generation_prompt=True) for one in prompts]
    return on_cpu.generate(model, tokenizer, texts, adapter="on" if adapter else "off", max_tokens=tokens)


if __name__ == "__main__":
    main()
