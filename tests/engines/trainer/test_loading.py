"""A model whose files contradict each other or that transformers cannot load is refused with the reason."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoConfig

from grpo_job.engines.trainer.loading import refusing_bad_files
from grpo_job.inputs import base_model, sample
from grpo_job.outcomes import InvalidRun


def model(folder: Path, **changes: object) -> base_model.BaseModel:
    shutil.copytree(sample.MODEL, folder / "model")
    config = folder / "model" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    return base_model.fetch(str(folder / "model"), None)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_hidden_layers": 900}, "says 900 layers, its weights are of 3"),
        ({"vocab_size": 10**6}, r"says \[1000000, 128\] for model\.embed_tokens\.weight, which has \[\d+, 128\]"),
    ],
)
def test_sizes_that_the_weights_have_not_are_refused_before_memory_is_taken(
    changes: dict[str, object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRun, match=told), refusing_bad_files(model(tmp_path, **changes)):
        pass


def test_what_transformers_raises_for_a_file_is_a_refusal_and_memory_is_not(tmp_path: Path) -> None:
    base = model(tmp_path)
    with pytest.raises(InvalidRun, match=r"transformers cannot load it \(KeyError: 'x'\)"), refusing_bad_files(base):
        raise KeyError("x")
    with pytest.raises(RuntimeError, match="out of memory"), refusing_bad_files(base):
        raise RuntimeError("CUDA out of memory")


def test_a_value_of_another_type_than_the_architecture_has_is_refused(tmp_path: Path) -> None:
    base = model(tmp_path, use_sliding_window="x")
    with pytest.raises(InvalidRun, match=r"cannot load it \(Strict.*use_sliding_window"), refusing_bad_files(base):
        AutoConfig.from_pretrained(base.folder)
