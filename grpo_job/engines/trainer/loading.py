"""A model whose files the library cannot load is a refusal with its reason, not an unexpected error."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open

from grpo_job.inputs.base_model import BaseModel
from grpo_job.outcomes import InvalidRun, in_one_line

LAYER = re.compile(r"layers\.(\d{1,6})\.")
# What transformers raises for values in config.json and tokenizer files that no model has; never memory or a GPU.
OF_FILES = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, RecursionError, SafetensorError,
    StrictDataclassError, TypeError, ValueError,
)  # fmt: skip


@contextmanager
def refusing_bad_files(base: BaseModel) -> Iterator[None]:
    """Around the loading of model and tokenizer. Raises `InvalidRun` if their files are the fault."""
    if why := _other_sizes(base):
        raise InvalidRun(f"GRPO_MODEL: {base.name!r} was given; {why}; allowed: weights and config of one model")
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


def _other_sizes(base: BaseModel) -> str | None:
    """Where weights and config.json differ on sizes, for which memory would be taken; from the headers alone."""
    config = base.config()
    text = config.get("text_config") or config
    wanted, most = [text["vocab_size"], text["hidden_size"]], -1
    for path in sorted(base.folder.glob("*.safetensors")):
        with safe_open(path, "np") as file:
            for name in file.keys():  # noqa: SIM118  # no mapping
                shape = file.get_slice(name).get_shape() if name.endswith("embed_tokens.weight") else wanted
                if shape != wanted:
                    return f"its config.json says {wanted} for {name}, which has {shape}"
                most = max(most, *(int(number) for number in LAYER.findall(name)), -1)
    if 0 <= most < text["num_hidden_layers"] - 1:
        return f"its config.json says {text['num_hidden_layers']} layers, its weights are of {most + 1}"
    return None
