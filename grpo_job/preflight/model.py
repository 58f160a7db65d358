"""Checks that the job can train this model: configuration, weights, tokenizer. Downloads nothing large."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from grpo_job.inputs.base_model import BaseModel
from grpo_job.inputs.chat_template import Chat
from grpo_job.outcomes import InvalidRun
from grpo_job.planner import learning_rate
from grpo_job.planner.shapes import ModelShape
from grpo_job.preflight import weights
from grpo_job.preflight.findings import Finding
from grpo_job.settings import plain_files
from grpo_job.settings.schema import Settings

Check = Callable[[BaseModel, Mapping[str, Any], Settings], Finding]
CODE = "its {} names code of its own (auto_map), which is never run"
WITHOUT_CODE = "a model that transformers knows, or a copy of this one without auto_map"
LARGEST = 2**24  # of a vocabulary, a width or a number of layers
CURE = "download the model again, or use another one"


def config_of(base: BaseModel) -> dict[str, Any]:
    """The model's config.json. Raises `InvalidRun` if it is unreadable."""
    try:
        config = base.config()
        _require_sizes(ModelShape.from_config(config))
    except InvalidRun:
        raise
    except Exception as error:  # a third party's file: whatever it makes our reading raise is the reason
        raise _refused(base, f"its config.json cannot be read ({type(error).__name__}: {error})", CURE) from error
    return config


def _require_sizes(shape: ModelShape) -> None:
    """Raises `ValueError` for sizes that no model has: the sums that are made of them would overflow."""
    for name, value in asdict(shape).items():
        if isinstance(value, bool) or (name == "window" and value is None):
            continue
        if not isinstance(value, int) or not 0 < value <= LARGEST:
            raise ValueError(f"its size {name} is {value!r}")


def chat_of(base: BaseModel, settings: Settings) -> Chat:
    """The model's tokenizer. Raises `InvalidRun` if it is unreadable or has no chat template."""
    chat = Chat(base.folder, settings)
    try:
        size = chat.tokenizer.get_vocab_size()
        has_template = chat.source is not None
    except InvalidRun:
        raise
    except Exception as error:  # third-party files: any error of the library is the reason
        raise _refused(base, f"its tokenizer cannot be read ({type(error).__name__}: {error})", CURE) from error
    if not has_template:
        raise _refused(base, "its tokenizer has no chat template", "an instruct model, or GRPO_CHAT_TEMPLATE=plain")
    if not size:
        raise _refused(base, "its tokenizer has an empty vocabulary", CURE)
    return chat


def findings(base: BaseModel, config: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    for check in CHECKS:
        try:
            finding = check(base, config, settings)
        except Exception as error:  # a third party's values, of any type
            why = f"its config.json holds what no such model has ({type(error).__name__}: {error})"
            finding = _failed("model", base, why, CURE)
        yield finding


def exists(base: BaseModel, settings: Settings) -> Finding:
    """Where the model is, and how to pin its revision."""
    if base.commit is None:
        return Finding("passed", "model", f"{base.name} in {base.folder}")
    advice = "" if settings.model_revision == base.commit else f"; to pin it: GRPO_MODEL_REVISION={base.commit}"
    gate = ", gated; this token has access" if base.gated else ""
    return Finding("passed", "model", f"{base.name} at commit {base.commit[:12]}{gate}{advice}")


def tokenizer(base: BaseModel, chat: Chat, config: Mapping[str, Any]) -> Finding:
    """Every token needs an embedding, and one token must end a completion."""
    text = config.get("text_config") or config
    largest, room = max(chat.tokenizer.get_vocab(with_added_tokens=True).values()), int(text["vocab_size"])
    if largest >= room:
        why = f"its tokenizer has token ids up to {largest}, but the model has {room} embeddings"
        return _failed("tokenizer", base, why, "the model's own tokenizer")
    if chat.has_code():
        return _failed("tokenizer", base, CODE.format("tokenizer_config.json"), WITHOUT_CODE)
    try:
        why = _odd_token_id(base, config)
    except plain_files.NotPlain as fault:
        why = f"its generation_config.json cannot be read: {fault}"
    if why:
        return _failed("tokenizer", base, why, "a whole number, a list of them, or null")
    chat.require_questions()
    if not chat.ends_with():
        why = f"{base.name} has no eos_token, so completions may not end; set it in tokenizer_config.json"
        return Finding("warned", "tokenizer", why)
    return Finding("passed", "tokenizer", f"{largest + 1} tokens, has a chat template, eos_token {chat.ends_with()}")


def unread_options(chat: Chat) -> Iterator[Finding]:
    """A switch that the template does not know, such as one that is misspelled, changes no prompt."""
    source = chat.source or ""
    for name in chat.options:
        if not re.search(rf"\b{re.escape(name)}\b", source):
            why = f"GRPO_CHAT_TEMPLATE_KWARGS: {name!r} has no effect, for the chat template does not read it"
            yield Finding("warned", "tokenizer", why)


def _odd_token_id(base: BaseModel, config: Mapping[str, Any]) -> str:
    """An id that begins, ends or pads texts and is none: libraries use them without a look at their type."""
    named = {"config.json": config}
    if (path := base.folder / "generation_config.json").is_file():
        named["generation_config.json"] = plain_files.read_object(path)
    for file, values in named.items():
        for name, given in values.items():
            ids = given if isinstance(given, list) else [] if given is None else [given]
            if name.endswith("_token_id") and not all(type(one) is int for one in ids):
                return f"its {file} says that {name} is {json.dumps(given)[:80]}"
    return ""


def _architecture(base: BaseModel, config: Mapping[str, Any], settings: Settings) -> Finding:
    named = ", ".join(config.get("architectures") or ())
    writes = not named or "CausalLM" in named or "ConditionalGeneration" in named
    if config.get("is_encoder_decoder") or not writes:
        why = f"{named or config.get('model_type')} is not a text generation model"
        return _failed("architecture", base, why, "a causal language model with a chat template")
    if config.get("auto_map"):
        return _failed("architecture", base, CODE.format("config.json"), WITHOUT_CODE)
    return Finding("passed", "architecture", f"{named or config.get('model_type')}, no remote code")


def _precision(base: BaseModel, config: Mapping[str, Any], settings: Settings) -> Finding:
    quantized = config.get("quantization_config")
    if not quantized:
        return Finding("passed", "precision", "not quantized; the job quantizes if needed")
    method = quantized.get("quant_method", "unknown") if isinstance(quantized, dict) else "unknown"
    if method == "bitsandbytes" and settings.load_in_4bit is True:
        return Finding("passed", "precision", "quantized by bitsandbytes, as GRPO_LOAD_IN_4BIT=true expects")
    cure = "the original 16-bit model; GRPO_LOAD_IN_4BIT=true quantizes while loading"
    return _failed("precision", base, f"its weights are already quantized ({method})", cure)


def _length(base: BaseModel, config: Mapping[str, Any], settings: Settings) -> Finding:
    longest = (config.get("text_config") or config).get("max_position_embeddings")
    if longest and settings.max_seq_length > longest:
        return Finding(
            "failed",
            "context",
            f"GRPO_MAX_SEQ_LENGTH: {settings.max_seq_length} was given; {base.name} supports {longest} tokens; "
            f"allowed: at most {longest}",
        )
    return Finding("passed", "context", f"sequence length {settings.max_seq_length}, model limit {longest or 'none'}")


def _weights(base: BaseModel, config: Mapping[str, Any], settings: Settings) -> Finding:
    if fault := weights.fault(base):
        return _failed("weights", base, fault, CURE)
    return Finding("passed", "weights", "safetensors only")


def _lora_targets(base: BaseModel, config: Mapping[str, Any], settings: Settings) -> Finding:
    layers = weights.layers(base)
    wanted = settings.lora_target_modules
    if not layers:
        return Finding("skipped", "LoRA targets", "the names of the model's layers could not be read")
    missing = [name for name in wanted if name.rpartition(".")[2] not in layers]
    if missing:
        return Finding(
            "failed",
            "LoRA targets",
            f"GRPO_LORA_TARGET_MODULES: {', '.join(missing)} was given; {base.name} has the layers "
            f"{', '.join(sorted(layers))}",
        )
    return Finding("passed", "LoRA targets", f"{', '.join(wanted)} are layers of the model")


def _learning_rate(base: BaseModel, config: Mapping[str, Any], settings: Settings) -> Finding:
    return Finding("passed", "learning rate", learning_rate.reason(settings.learning_rate, config))


CHECKS: tuple[Check, ...] = (_architecture, _precision, _length, _weights, _lora_targets, _learning_rate)


def _failed(name: str, base: BaseModel, why: str, allowed: str) -> Finding:
    return Finding("failed", name, _refused(base, why, allowed).faults[0])


def _refused(base: BaseModel, why: str, allowed: str) -> InvalidRun:
    return InvalidRun(f"GRPO_MODEL: {base.name!r} was given; {why}; allowed: {allowed}")
