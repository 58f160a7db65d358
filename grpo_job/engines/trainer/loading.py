"""A model whose files the library cannot load is a refusal with its reason, not an unexpected error."""

from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from grpo_job.inputs.base_model import BaseModel
from grpo_job.outcomes import InvalidRun, in_one_line

# What transformers raises for values in config.json and tokenizer files that no model has; never memory or a GPU.
OF_FILES = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, RecursionError, SafetensorError,
    TypeError, ValueError,
)  # fmt: skip


@contextmanager
def refusing_bad_files(base: BaseModel) -> Iterator[None]:
    """Around the loading of model and tokenizer. Raises `InvalidRun` if their files are the fault."""
    try:
        yield
    except OF_FILES as error:
        raise InvalidRun(
            f"GRPO_MODEL: {base.name!r} was given; transformers cannot load it ({type(error).__name__}: "
            f"{in_one_line(error)}); allowed: a model that it loads"
        ) from error
    except RuntimeError as error:
        if "size mismatch" not in str(error) and "mismatched sizes" not in str(error):
            raise
        raise InvalidRun(
            f"GRPO_MODEL: {base.name!r} was given; its weights have other shapes than its config.json says"
        ) from error
