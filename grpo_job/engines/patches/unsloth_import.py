"""Imports Unsloth as this job wants it: the GRPO trainer alone rewritten, our variables kept.

Unsloth has to be imported before trl, transformers and peft, with the variables of
`library_environment` set.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from grpo_job.engines.patches.fast_imports import lean_imports
from grpo_job.engines.patches.import_hooks import on_import
from grpo_job.runtime.library_env import OVERWRITTEN_BY_UNSLOTH

# Models of full attention alone. Unsloth loads kernels for linear attention beside others: 1.8 s.
FULL_ATTENTION = ("gemma", "gemma2", "granite", "llama", "mistral", "qwen2", "qwen3")


def import_unsloth(model_type: str) -> Any:
    """Import Unsloth, for models of this type; its `FastLanguageModel`. The first heavy import of the process."""
    if model_type in FULL_ATTENTION:
        os.environ.setdefault("UNSLOTH_DISABLE_VENDORED_FLA", "1")
    with variables_kept(), lean_imports(), on_import("unsloth.models.rl", _patch_the_grpo_trainer_only):
        from unsloth import FastLanguageModel
    return FastLanguageModel


def _patch_the_grpo_trainer_only(module: ModuleType) -> None:
    """Unsloth rewrites all of TRL's trainers while it is imported; this run has one."""
    module._TRL_EXPERIMENTAL_TRAINERS = ()  # type: ignore[attr-defined]
    module.patch_trl_rl_trainers = lambda: module._patch_trl_rl_trainers("grpo_trainer")  # type: ignore[attr-defined]
    module.patch_trl_async_grpo = lambda: None  # type: ignore[attr-defined]


@contextmanager
def variables_kept() -> Iterator[None]:
    """Unsloth removes our Inductor cache and raises vLLM's log level; put both back."""
    kept = {name: os.environ[name] for name in OVERWRITTEN_BY_UNSLOTH if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
