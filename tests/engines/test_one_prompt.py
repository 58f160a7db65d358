"""One text for a prompt: training, probe, evaluation, rehearsal and sample prompts ask with the same, on a CPU."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grpo_job import rewards
from grpo_job.engines.trainer import memory_dry_run
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.inputs import base_model, dataset
from grpo_job.inputs.chat_template import Chat
from grpo_job.phases import evaluate, probe, sample_prompts
from grpo_job.rewards import answers
from grpo_job.runtime.signals import Interruption
from grpo_job.settings.reader import resolve
from grpo_job.worker import NullListener

QUESTION = "Tom has 3 apples and buys 4 more. How many apples has he?"
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n"
    "{% if opening %}<reasoning>\n{% endif %}{% endif %}"
)
ASKED = f"<|user|>\nBe brief.\n\n{QUESTION}<|end|>\n<|assistant|>\n<reasoning>\n"


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    (tmp_path / "mine.jinja").write_text(TEMPLATE, encoding="utf-8")
    variables = {
        "RECIPE": "smoke", "CHAT_TEMPLATE": str(tmp_path / "mine.jinja"), "CHAT_TEMPLATE_KWARGS": '{"opening": true}',
        "SYSTEM_PROMPT": "Be brief.", "MAX_STEPS": "1", "PER_DEVICE_TRAIN_BATCH_SIZE": "4", "NUM_GENERATIONS": "4",
        "MAX_COMPLETION_LENGTH": "8", "SAMPLE_PROMPTS": QUESTION, "REHEARSAL": "always", "PROBE_PROMPTS": "1",
    }  # fmt: skip
    return resolve({f"GRPO_{name}": text for name, text in variables.items()}).settings


class Spy:
    """An engine whose model tells each prompt that it is asked to go on from."""

    def __init__(self, settings: Any, rows: list[dict[str, Any]], folder: Path) -> None:
        base = base_model.fetch("sample", None)
        functions = rewards.as_trl_functions(rewards.load([("tag_count", 1.0)]), 10)
        self.engine = PlainTrl(settings, base, rows, functions, folder)
        self.asked: set[str] = set()
        tokenizer, generate = self.engine.tokenizer, self.engine.model.generate

        def listening(*arguments: Any, **options: Any) -> Any:
            ids = options["input_ids"] if "input_ids" in options else arguments[0]
            texts = tokenizer.batch_decode(ids)
            self.asked |= {text.replace(tokenizer.pad_token, "") for text in texts}
            return generate(*arguments, **options)

        self.engine.model.generate = listening

    def of(self, what: Any) -> set[str]:
        self.asked.clear()
        what()
        return set(self.asked)


def test_all_parts_of_a_run_ask_with_the_same_text(settings: Any, tmp_path: Path) -> None:
    rows = [
        {"prompt": dataset.prompt_of(QUESTION, settings), "question": QUESTION, "answer": "7", "answers": ["7"]}
    ] * 2
    spy = Spy(settings, rows, tmp_path)
    engine, chat = spy.engine, Chat(base_model.fetch("sample", None).folder, settings)
    tokens = engine.tokenizer(ASKED, add_special_tokens=False)["input_ids"]
    chosen = rewards.load([("tag_count", 1.0)])
    paid, never = rewards.as_trl_functions(chosen, 10), lambda *_: False
    judge = probe.Judge(paid, never, never, answers.last_answer)
    attempt: Any = SimpleNamespace(settings=settings, start=None)
    asked = {
        "training": lambda: engine.train(NullListener(Interruption())),
        "evaluation": lambda: evaluate.records(engine, "on", rows, chosen, settings, chat),
        "probe": lambda: probe.sample(partial(engine.generate, adapter="off"), rows[:1], judge, settings),
        "samples": lambda: sample_prompts._answered(engine, [rows[0]["prompt"]], len(tokens), attempt),
    }  # fmt: skip
    assert {name: spy.of(what) for name, what in asked.items()} == {name: {ASKED} for name in asked}
    assert chat.lengths([rows[0]["prompt"]]) == [len(tokens)]
    assert memory_dry_run.sizes(settings, None, rows, engine.chat) == (len(tokens), 8)


def test_a_template_that_was_given_is_saved_with_the_adapter(settings: Any, tmp_path: Path) -> None:
    rows = [{"prompt": dataset.prompt_of(QUESTION, settings), "answer": "7"}]
    Spy(settings, rows, tmp_path).engine.save_adapter(tmp_path / "adapter")
    assert (tmp_path / "adapter" / "chat_template.jinja").read_text() == TEMPLATE
