"""Completions from transformers: for the engine without a GPU, an adapter that is served back, and plain TRL."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from grpo_job.engines.interface import Adapter
from grpo_job.engines.trainer.arguments import for_transformers
from grpo_job.evaluation.completion import Completion
from grpo_job.planner.shapes import ModelShape

GENERATION_BATCH = 100
# Below this size threads wait for each other longer than they compute, and one thread gives the same bytes everywhere.
SMALL_MODEL = 20_000_000


def few_threads(config: Mapping[str, Any]) -> None:
    """One thread for a small model; `config` is that of the model."""
    if ModelShape.from_config(config).parameters < SMALL_MODEL:
        torch.set_num_threads(1)


def load_base(folder: Path) -> Any:
    """The base in fp32. Of its own ways to generate only the end tokens stay: transformers would add the others."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
    return model


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Those of the model, one or several, and the tokenizer's: where TRL ends a completion in training."""
    own = model.generation_config.eos_token_id
    ends = own if isinstance(own, list) else [own]
    return list(dict.fromkeys(end for end in (tokenizer.eos_token_id, *ends) if end is not None))


def generate(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    adapter: Adapter,
    max_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    further: Mapping[str, Any] = MappingProxyType({}),
    samples: int = 1,
    seed: int = 0,
    on_answers: Callable[[int, int], object] = lambda done, asked: None,
) -> list[list[Completion]]:
    """`samples` answers to each rendered prompt; greedy at temperature 0. Random numbers stay as they were."""
    drawn = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": top_k, "min_p": min_p}
    generation = GenerationConfig(
        max_new_tokens=max_tokens,
        num_return_sequences=samples,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=end_tokens(model, tokenizer),
        repetition_penalty=repetition_penalty,
        **(drawn if temperature else {}),
        **for_transformers(further),
    )
    was_training = model.training
    model.eval()
    answers: list[Completion] = []
    on_answers(0, samples * len(texts))
    switch = model.disable_adapter() if adapter == "off" else nullcontext()
    with switch, torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, len(texts), GENERATION_BATCH):
            asked = texts[start : start + GENERATION_BATCH]
            batch = tokenizer(
                asked, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
            ).to(model.device)
            out = model.generate(**batch, generation_config=generation)
            drawn_ids = out[:, batch["input_ids"].shape[1] :]
            said = tokenizer.batch_decode(drawn_ids, skip_special_tokens=True)
            answers += [_completion(*one, generation) for one in zip(said, drawn_ids.tolist(), strict=True)]
            on_answers(len(answers), samples * len(texts))
    model.train(was_training)
    return [answers[index : index + samples] for index in range(0, len(answers), samples)]


def _completion(text: str, ids: list[int], generation: GenerationConfig) -> Completion:
    """`ids` are padded where others of the batch were longer; stop strings end a completion without an end token."""
    ends = [place for place, token in enumerate(ids) if token in generation.eos_token_id]
    if ends:
        return Completion(text, ends[0] + 1, truncated=False)
    while ids and ids[-1] == generation.pad_token_id:
        ids = ids[:-1]
    return Completion(text, len(ids), len(ids) >= generation.max_new_tokens)
