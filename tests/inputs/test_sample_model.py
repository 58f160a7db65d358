"""The embedded model: small, in the shape that GPUs take, well spoken and careless."""

import json
import re
from typing import Any

import pytest

from grpo_job.inputs import sample

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors")

CONFIG = json.loads((sample.MODEL / "config.json").read_text())
HELD_OUT = [json.loads(line) for line in sample.HELD_OUT.read_text().splitlines()]
ASKED_FORM = re.compile(
    r"<reasoning>\n(\d+ [-+*/] \d+ = \d+\n)+</reasoning>\n<answer>\n(?P<answer>\d+)\n</answer><\|im_end\|>"
)
ANY_TEXT = (
    "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\n#### 72",
    "Ein Café für 3,50 €: naïve, 日本語, 🙂\t\r\n\n  x = \\frac{1}{2}",
    "<reasoning>\n12 - 3 = 9\n</reasoning>\n<answer>\n9\n</answer>",
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(sample.MODEL, padding_side="left", local_files_only=True)


@pytest.fixture(scope="module")
def completions(tokenizer: Any) -> list[str]:
    """What the model answers to the first hundred held-out questions, greedily."""
    model = transformers.AutoModelForCausalLM.from_pretrained(sample.MODEL, dtype=torch.float32)
    chats = [[{"role": "user", "content": row["question"]}] for row in HELD_OUT[:100]]
    asked = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model gains nothing from more, and loses much on a busy machine
    written = model.generate(**asked, max_new_tokens=64, do_sample=False)
    torch.set_num_threads(threads)
    texts = tokenizer.batch_decode(written[:, asked["input_ids"].shape[1] :])
    return [text.replace("<|endoftext|>", "") for text in texts]


def test_the_model_is_small_and_stored_as_bf16() -> None:
    path = sample.MODEL / "model.safetensors"
    with safetensors.safe_open(path, framework="pt") as tensors:
        weights = [tensors.get_tensor(name) for name in tensors.offset_keys()]
    assert {weight.dtype for weight in weights} == {torch.bfloat16}
    assert sum(weight.numel() for weight in weights) <= 5_000_000
    assert sum(file.stat().st_size for file in sample.MODEL.iterdir()) <= 10 * 1024**2


def test_the_shape_is_one_that_gpu_kernels_take() -> None:
    assert CONFIG["architectures"] == ["Qwen2ForCausalLM"]
    assert CONFIG["dtype"] == "bfloat16"
    assert CONFIG["hidden_size"] == 64 * CONFIG["num_attention_heads"]
    assert CONFIG["vocab_size"] % 64 == 0
    assert CONFIG["max_position_embeddings"] == 2048


def test_no_file_names_a_folder_of_the_machine_it_was_made_on() -> None:
    for file in sample.MODEL.glob("*.json"):
        assert "_name_or_path" not in file.read_text()
        assert not re.search(r'"/\w+/', file.read_text())


def test_everybody_may_read_the_files() -> None:
    assert all(file.stat().st_mode & 0o444 == 0o444 for file in sample.MODEL.iterdir())


@pytest.mark.parametrize("text", ANY_TEXT)
def test_any_text_encodes_and_decodes_to_itself(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_plain_tokenizers_counts_as_transformers_does(tokenizer: Any) -> None:
    plain = pytest.importorskip("tokenizers").Tokenizer.from_file(str(sample.MODEL / "tokenizer.json"))
    texts = [*ANY_TEXT, *(row["question"] for row in HELD_OUT)]
    assert [plain.encode(text).ids for text in texts] == [tokenizer.encode(text) for text in texts]


def test_tags_are_single_tokens_and_digits_are_split(tokenizer: Any) -> None:
    assert tokenizer.tokenize("<reasoning>\n12") == ["<reasoning>", "Ċ", "1", "2"]
    assert all(len(tokenizer.encode(tag)) == 1 for tag in ("</reasoning>", "<answer>", "</answer>"))


def test_a_turn_ends_with_the_token_that_stops_generation(tokenizer: Any) -> None:
    generation = json.loads((sample.MODEL / "generation_config.json").read_text())
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token == "<|endoftext|>"
    assert tokenizer.eos_token_id == CONFIG["eos_token_id"] == generation["eos_token_id"]
    assert tokenizer.pad_token_id == CONFIG["pad_token_id"] == generation["pad_token_id"]
    assert len(tokenizer) <= CONFIG["vocab_size"]


def test_the_chat_template_knows_the_three_roles(tokenizer: Any) -> None:
    chat = [{"role": role, "content": role.upper()} for role in ("system", "user", "assistant")]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == (
        "<|im_start|>system\nSYSTEM<|im_end|>\n<|im_start|>user\nUSER<|im_end|>\n"
        "<|im_start|>assistant\nASSISTANT<|im_end|>\n"
    )
    asked = tokenizer.apply_chat_template(chat[1:2], tokenize=False, add_generation_prompt=True)
    assert asked == "<|im_start|>user\nUSER<|im_end|>\n<|im_start|>assistant\n"


def test_nearly_every_answer_has_the_asked_form(completions: list[str]) -> None:
    assert sum(bool(ASKED_FORM.fullmatch(text)) for text in completions) >= 98


def test_the_model_leaves_grpo_something_to_improve(completions: list[str]) -> None:
    answers = [found["answer"] if (found := ASKED_FORM.fullmatch(text)) else None for text in completions]
    golds = [row["answer"].rpartition("#### ")[2] for row in HELD_OUT]
    assert 30 <= sum(answer == gold for answer, gold in zip(answers, golds, strict=False)) <= 50
