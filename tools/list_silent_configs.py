"""Print what transformers assumes where the config.json of a decoder is silent, as JSON by model type.

    python -m tools.list_silent_configs > grpo_job/planner/silent_configs.json

The planner counts parameters without importing transformers. A test runs this again and compares.
"""

import json
import sys
from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

HEADS, HEAD_SIZE = 24, 96
# What the planner assumes of every model; listed is only what a model type assumes otherwise.
USUAL = {
    "head_dim": HEAD_SIZE, "num_key_value_heads": HEADS, "tie_word_embeddings": False, "attention_bias": False,
    "sliding_window": None, "layer_types": None,
}  # fmt: skip


def silent(model_type: str) -> dict[str, Any]:
    """The assumed values of a config that has only its sizes."""
    config = CONFIG_MAPPING[model_type](hidden_size=HEADS * HEAD_SIZE, num_attention_heads=HEADS)
    found = {name: getattr(config, name, None) for name in USUAL}
    kinds = sorted(set(found["layer_types"] or ()))
    found["layer_types"] = kinds if len(kinds) > 1 else None  # that they differ, not which layer is which
    return {name: value for name, value in found.items() if value is not None and value != USUAL[name]}


def all_silent() -> dict[str, dict[str, Any]]:
    listed = {}
    for model_type in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        try:
            listed[model_type] = silent(model_type)
        except Exception:  # other sizes, of parts or of single layers: not a decoder that the planner counts
            continue
    return {model_type: found for model_type, found in listed.items() if found}


if __name__ == "__main__":
    json.dump(all_silent(), sys.stdout, indent=1, sort_keys=True)
    print()
