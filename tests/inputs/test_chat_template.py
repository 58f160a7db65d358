"""Prompts are rendered and counted here as the engine renders and counts them."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from grpo_job.evaluation.completion import Truncated
from grpo_job.inputs import sample
from grpo_job.inputs.chat_template import Chat, Message
from grpo_job.outcomes import InvalidRun
from grpo_job.settings.reader import resolve
from grpo_job.settings.recipes import SYSTEM_PROMPT
from grpo_job.settings.schema import Settings

CHATML = (
    "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
USER: list[Message] = [{"role": "user", "content": "What is 2 + 2?"}]
SYSTEM: Message = {"role": "system", "content": SYSTEM_PROMPT}


def tokenizer_of(folder: Path, **config: object) -> Chat:
    """A folder with a byte-level tokenizer, switched to cut and fill as some are saved."""
    tokenizer = Tokenizer(models.BPE({letter: n for n, letter in enumerate(pre_tokenizers.ByteLevel.alphabet())}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", **config})
    )
    return Chat(folder, Settings())


def test_a_chat_is_rendered_up_to_the_assistants_turn(tmp_path: Path) -> None:
    chat = tokenizer_of(tmp_path, chat_template=CHATML)
    assert chat.render([{"role": "system", "content": "Think."}, *USER]) == (
        "<|im_start|>system\nThink.<|im_end|>\n<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_tokens_are_counted_in_full_whatever_the_tokenizer_was_saved_with(tmp_path: Path) -> None:
    chat = tokenizer_of(tmp_path, chat_template=CHATML)
    prompts = [USER, [SYSTEM, *USER]]
    texts = [chat.render(prompt).replace("<|im_end|>", "E") for prompt in prompts]
    assert chat.lengths(prompts) == [len(text) for text in texts]
    assert chat.lengths([]) == []


def test_the_template_file_wins_over_the_one_in_the_configuration(tmp_path: Path) -> None:
    chat = tokenizer_of(tmp_path, chat_template="old")
    (tmp_path / "chat_template.jinja").write_text("new")
    assert chat.render(USER) == "new"


def test_of_several_templates_the_default_is_taken(tmp_path: Path) -> None:
    several = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    assert tokenizer_of(tmp_path, chat_template=several).render(USER) == "plain"


def test_a_tokenizer_without_a_template_says_so(tmp_path: Path) -> None:
    assert tokenizer_of(tmp_path).source is None
    assert tokenizer_of(tmp_path, chat_template=CHATML).source == CHATML
    (tmp_path / "tokenizer_config.json").unlink()
    assert Chat(tmp_path, Settings()).source is None


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ bos_token }}{{ eos_token }}", "<s><|im_end|>"),
        ("{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.role }}{% endfor %}", "assistant"),
        ("{{ messages[1] | tojson }}", '{"role": "user", "content": "What is 2 + 2?"}'),
        ("a\n{%- generation -%}\n b \n{%- endgeneration %} c", "ab c"),
        ("{{ strftime_now('%%') }}{% if tools %}tools{% endif %}", "%"),
    ],
)
def test_what_transformers_gives_a_template_is_there(template: str, text: str, tmp_path: Path) -> None:
    chat = tokenizer_of(tmp_path, chat_template=template, bos_token={"content": "<s>"}, add_bos_token=False)
    assert chat.render([{"role": "assistant", "content": "Hello."}, *USER]) == text


@pytest.mark.parametrize("how", ["render", "lengths"])
def test_a_template_that_rejects_the_messages_is_refused_with_its_own_reason(how: str, tmp_path: Path) -> None:
    chat = tokenizer_of(tmp_path, chat_template="{{ raise_exception('Only tools are supported') }}")
    with pytest.raises(InvalidRun, match=r"GRPO_MODEL: .* system, user: Only tools are supported; allowed: "):
        chat.render([SYSTEM, *USER]) if how == "render" else chat.lengths([[SYSTEM, *USER]])


def of(tmp_path: Path, **variables: str) -> Chat:
    """A base without a template, with settings of the user's."""
    tokenizer_of(tmp_path, bos_token="<s>")
    return Chat(tmp_path, resolve({f"GRPO_{name}": text for name, text in variables.items()}).settings)


def test_a_template_of_the_users_own_is_taken_with_its_options(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text("{{ messages[0].content }}|{{ mood }}|", encoding="utf-8")
    chat = of(tmp_path, CHAT_TEMPLATE=str(tmp_path / "mine.jinja"), CHAT_TEMPLATE_KWARGS='{"mood": "calm"}')
    assert chat.render(USER) == "What is 2 + 2?|calm|"


def test_plain_asks_with_the_texts_alone(tmp_path: Path) -> None:
    chat = of(tmp_path, CHAT_TEMPLATE="plain")
    assert chat.render([{"role": "system", "content": "Think."}, *USER]) == "Think.\n\nWhat is 2 + 2?\n\n"


def test_plain_begins_with_the_token_that_the_tokenizer_puts_in_front(tmp_path: Path) -> None:
    chat = of(tmp_path, CHAT_TEMPLATE="plain")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert chat.render(USER) == "<s>What is 2 + 2?\n\n"


def test_a_completion_has_its_end_token_unless_it_was_truncated_and_none_in_front(tmp_path: Path) -> None:
    chat = of(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.add_special_tokens(["<s>", "<|im_end|>"])
    first, end = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("<|im_end|>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", first)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    whole, truncated = chat.completion_ids(["12", Truncated("12")])
    assert whole == [*truncated, end]
    assert len(truncated) == 2


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file or directory"), (b"\xff\xfe{", "it is not UTF-8")], ids=["none", "bytes"]
)
def test_a_template_file_that_cannot_be_read_is_named(content: bytes | None, why: str, tmp_path: Path) -> None:
    if content:
        (tmp_path / "mine.jinja").write_bytes(content)
    with pytest.raises(InvalidRun, match=rf"GRPO_CHAT_TEMPLATE: .*mine.jinja' was given; it cannot be read: {why}"):
        of(tmp_path, CHAT_TEMPLATE=str(tmp_path / "mine.jinja")).render(USER)


def test_an_error_of_the_users_own_template_names_it_and_the_options(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text("{{ raise_exception('no ' ~ mood) }}", encoding="utf-8")
    chat = of(tmp_path, CHAT_TEMPLATE=str(tmp_path / "mine.jinja"), CHAT_TEMPLATE_KWARGS='{"mood": "calm"}')
    told = r'GRPO_CHAT_TEMPLATE: .* messages of user with GRPO_CHAT_TEMPLATE_KWARGS={"mood": "calm"}: no calm; allowed'
    with pytest.raises(InvalidRun, match=told):
        chat.lengths([USER])


def test_a_template_cannot_reach_out_of_its_sandbox(tmp_path: Path) -> None:
    chat = tokenizer_of(tmp_path, chat_template="{{ messages.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(InvalidRun, match="unsafe"):
        chat.render(USER)


@pytest.mark.parametrize("where", ["a tokenizer of the test's own", "the sample"])
def test_counts_and_texts_are_those_of_transformers(where: str, tmp_path: Path) -> None:
    if where == "the sample" and not (sample.MODEL / "tokenizer.json").is_file():
        pytest.skip("the sample has not been made")
    chat = Chat(sample.MODEL, Settings()) if where == "the sample" else tokenizer_of(tmp_path, chat_template=CHATML)
    from transformers import AutoTokenizer

    engine = AutoTokenizer.from_pretrained(chat.folder)
    questions = [
        "What is 2 + 2?",
        "Où est 1,000 €?",
        "  <answer>72</answer>\n\n",
        "🦥" * 20,
        "",
        "<|im_end|>",
        "x " * 300,
    ]
    prompts = [[*system, {"role": "user", "content": text}] for text in questions for system in ([], [SYSTEM])]
    theirs = [engine.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False) for prompt in prompts]
    assert [chat.render(prompt) for prompt in prompts] == theirs
    ids = [engine.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"] for prompt in prompts]
    assert chat.lengths(prompts) == [len(tokens) for tokens in ids]


@pytest.mark.parametrize(
    ("end", "opening"),
    [
        ("<|assistant|><think>\n", "<think>"),
        ("assistant\n<reasoning>", "<reasoning>"),
        ("<think>\n\n</think>\n\n", ""),
        ("<|assistant|>\n", ""),
        ("{{ raise_exception('no') }}", ""),
    ],
)
def test_the_tag_that_a_prompt_ends_with_is_known(end: str, opening: str, tmp_path: Path) -> None:
    assert tokenizer_of(tmp_path, chat_template="{{ messages[0].content }}" + end).opening() == opening
