"""The engine on a CPU, over the embedded sample: what a resume with a reference ends with."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from grpo_job.engines.trainer.adapter import is_saved_in
from grpo_job.engines.trl_cpu import PlainTrl
from grpo_job.inputs import base_model
from grpo_job.inputs.chat_template import Chat
from grpo_job.outcomes import Unexpected
from grpo_job.run_folder.paths import WEIGHTS
from grpo_job.settings.reader import resolve

ROWS = [{"prompt": [{"role": "user", "content": f"What is {n} + 2?"}], "answer": str(n + 2)} for n in range(8)]
SETTINGS = {
    "GRPO_RECIPE": "smoke",
    "GRPO_BETA": "0.04",
    "GRPO_MAX_STEPS": "4",
    "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "4",
    "GRPO_NUM_GENERATIONS": "4",
    "GRPO_MAX_COMPLETION_LENGTH": "12",
    "GRPO_LEARNING_RATE": "1e-2",
}


def by_length(completions: Sequence[Any], **_: Any) -> list[float]:
    """A reward with spread in nearly every group."""
    return [float(len(str(completion))) for completion in completions]


def engine(folder: Path, **settings: str) -> PlainTrl:
    resolved = resolve({**SETTINGS, **settings}).settings
    return PlainTrl(resolved, base_model.fetch("sample", None), ROWS, [(by_length, 1.0)], folder)


class SavesAfter:
    """A listener that asks for a checkpoint after one step, and remembers what each step told."""

    def __init__(self, step: int) -> None:
        self.step, self.kl = step, list[float]()

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.kl.append(metrics["kl"])

    def should_save(self, step: int) -> bool:
        return step == self.step

    def __getattr__(self, name: str) -> Any:
        return {"measure": lambda step: {}}.get(name, lambda *_: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlainTrl, list[float]]:
    """A folder with the checkpoint after step 2 of 4, the engine after step 4, the KL of each step."""
    folder = tmp_path_factory.mktemp("whole")
    trained, listener = engine(folder), SavesAfter(2)
    trained.train(listener)  # type: ignore[arg-type]
    return folder, trained, listener.kl


def test_with_a_reference_the_model_holds_and_saves_one_adapter(whole: tuple[Path, PlainTrl, list[float]]) -> None:
    folder, trained, _ = whole
    assert list(trained.model.peft_config) == ["default"]
    saved = folder / "checkpoint-2"
    assert (saved / WEIGHTS).is_file()
    assert [path.name for path in saved.iterdir() if path.is_dir()] == []


def test_the_reference_is_the_base(whole: tuple[Path, PlainTrl, list[float]]) -> None:
    """Nothing is learned before step 1, so nothing is away from the base."""
    kl = whole[2]
    assert kl[0] == pytest.approx(0.0, abs=1e-6)
    assert kl[-1] > 1e-4


def test_a_run_with_a_reference_that_is_cut_ends_with_the_bytes_of_a_whole_one(
    whole: tuple[Path, PlainTrl, list[float]], tmp_path: Path
) -> None:
    folder, trained, kl = whole
    again, listener = engine(tmp_path), SavesAfter(99)
    again.train(listener, folder / "checkpoint-2")  # type: ignore[arg-type]
    assert listener.kl == kl[2:]
    trained.save_adapter(tmp_path / "whole")
    assert is_saved_in(again.model, tmp_path / "whole" / WEIGHTS)


def test_the_adapter_in_memory_is_the_checkpoints_after_loading(
    whole: tuple[Path, PlainTrl, list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = whole[0] / "checkpoint-2"
    again = engine(tmp_path)
    assert not is_saved_in(again.model, checkpoint / WEIGHTS)
    again.trainer._load_from_checkpoint(str(checkpoint))
    assert is_saved_in(again.model, checkpoint / WEIGHTS)
    next(weight for name, weight in again.model.named_parameters() if "lora_B" in name).data += 1.0
    monkeypatch.setattr(again.model, "load_adapter", lambda *_, **__: None)
    with pytest.raises(Unexpected, match="is not the checkpoint's after loading it"):
        again.trainer._load_from_checkpoint(str(checkpoint))


QUESTION = [[{"role": "user", "content": "Tom has 3 apples and buys 4 more. How many apples has he?"}]]


def with_generation_config(folder: Path, **values: Any) -> base_model.BaseModel:
    """The embedded sample with a generation_config.json of its own."""
    shutil.copytree(base_model.fetch("sample", None).folder, folder)
    (folder / "generation_config.json").write_text(json.dumps(values))
    return base_model.fetch(str(folder), None)


def over(base: base_model.BaseModel, folder: Path) -> PlainTrl:
    return PlainTrl(resolve(SETTINGS).settings, base, ROWS, [(by_length, 1.0)], folder)


def test_each_of_the_models_end_tokens_ends_an_answer(tmp_path: Path) -> None:
    plain = engine(tmp_path / "plain")
    (whole,) = plain.generate(QUESTION, adapter="off", max_tokens=12)[0]
    tokens = plain.tokenizer(whole.text, add_special_tokens=False)["input_ids"]
    ends = [plain.tokenizer.eos_token_id, tokens[3]]
    listed = over(with_generation_config(tmp_path / "model", eos_token_id=ends), tmp_path / "run")
    (cut,) = listed.generate(QUESTION, adapter="off", max_tokens=12)[0]
    assert whole.text.startswith(cut.text)
    assert (whole.tokens, whole.truncated) == (12, True)
    assert (cut.tokens, cut.truncated) == (4, False)
    assert set(listed.trainer.eos_token_ids) == set(ends)


def test_the_answers_that_are_asked_for_are_told_before_the_first_is_there(tmp_path: Path) -> None:
    plain, heard = engine(tmp_path), list[tuple[int, int]]()
    plain.on_answers = lambda done, asked: heard.append((done, asked))
    plain.generate(QUESTION * 2, adapter="off", max_tokens=2, samples=2, temperature=1.0)
    assert heard == [(0, 4), (4, 4)]


def test_no_other_default_of_the_model_changes_an_answer(tmp_path: Path) -> None:
    plain = engine(tmp_path / "plain")
    defaults = {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1, "suppress_tokens": [*range(20, 60)], "top_k": 1}
    base = with_generation_config(tmp_path / "model", eos_token_id=plain.tokenizer.eos_token_id, **defaults)
    other = over(base, tmp_path / "run")
    for how in ({}, {"temperature": 1.0, "samples": 3, "seed": 5}):
        answers = [one.generate(QUESTION, adapter="off", max_tokens=12, **how) for one in (plain, other)]
        assert answers[0] == answers[1]


def test_an_answer_is_drawn_from_what_the_cuts_leave(tmp_path: Path) -> None:
    plain = engine(tmp_path)
    (greedy,) = plain.generate(QUESTION, adapter="off", max_tokens=12)[0]
    hot = {"temperature": 3.0, "samples": 2, "adapter": "off", "max_tokens": 12}
    assert plain.generate(QUESTION, **hot)[0] != [greedy, greedy]
    for cut in ({"top_k": 1}, {"min_p": 1.0}, {"top_p": 1e-6}):
        assert plain.generate(QUESTION, **hot, **cut)[0] == [greedy, greedy]
    assert plain.generate(QUESTION, adapter="off", max_tokens=12, repetition_penalty=5.0)[0] != [greedy]


def test_a_key_of_generation_acts_in_an_answer_as_in_training(tmp_path: Path) -> None:
    plain = engine(tmp_path, GRPO_GENERATION_KWARGS='{"min_tokens": 30}', GRPO_MAX_COMPLETION_LENGTH="30")
    options: dict[str, Any] = {"adapter": "off", "max_tokens": 30, "temperature": 1.0, "samples": 4}
    free = plain.generate(QUESTION, **options)[0]
    held = plain.generate(QUESTION, further={"min_tokens": 30}, **options)[0]
    assert min(one.tokens for one in free) < 30
    assert [one.tokens for one in held] == [30] * 4
    assert plain.trainer.generation_config.min_new_tokens == 30


def test_options_of_the_chat_template_reach_answers_training_and_lengths(tmp_path: Path) -> None:
    base = with_generation_config(tmp_path / "model", eos_token_id=1)
    template = base.folder / "chat_template.jinja"
    template.write_text("{% if brief %}Be brief. {% endif %}" + template.read_text())
    settings = resolve({**SETTINGS, "GRPO_CHAT_TEMPLATE_KWARGS": '{"brief": true}'}).settings
    told = PlainTrl(settings, base, ROWS, [(by_length, 1.0)], tmp_path / "run")
    (answered,) = told.texts(QUESTION)
    (learned,) = told.trainer._tokenize_prompts(QUESTION)[0]
    assert answered.startswith("Be brief. ")
    assert told.tokenizer.decode(learned) == answered
    assert Chat(base.folder, settings).render(QUESTION[0]) == answered


def test_each_completion_of_a_group_has_the_tokens_of_its_own_prompt(tmp_path: Path) -> None:
    told = engine(tmp_path)
    one, other = ([{"role": "user", "content": f"{number} plus 1?"}] for number in (3, 4))
    prompts = [one, one, other, other, one]
    tokens = told.trainer._tokenize_prompts(prompts)[0]
    assert [told.tokenizer.decode(ids) for ids in tokens] == told.texts(prompts)
    assert tokens[0] is not tokens[1]


class Records:
    """A listener that asks for a checkpoint at the end and keeps each step's metrics."""

    def __init__(self) -> None:
        self.rows = list[dict[str, float]]()

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.rows.append(metrics)

    def should_save(self, step: int) -> bool:
        return step == 2

    def __getattr__(self, name: str) -> Any:
        return {"measure": lambda step: {}}.get(name, lambda *_: None)


def test_a_finished_run_that_gets_more_steps_learns_from_the_first_of_them(tmp_path: Path) -> None:
    first, more = Records(), Records()
    engine(tmp_path / "first", GRPO_MAX_STEPS="2").train(first)  # type: ignore[arg-type]
    longer = engine(tmp_path / "more", GRPO_MAX_STEPS="4")
    before = tmp_path / "first" / "checkpoint-2"
    longer.train(more, before)  # type: ignore[arg-type]
    assert [row["learning_rate"] for row in more.rows] == pytest.approx([5e-3, 2.5e-3])  # linear from 1e-2, steps 3, 4


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_groups_without_spread_are_counted_whatever_rewards_are_scaled_by(scale: str, tmp_path: Path) -> None:
    def by_question(prompts: Sequence[Any], **_: Any) -> list[float]:
        """Alike within a group, and different from group to group."""
        return [float(prompt[-1]["content"].split()[2]) / 3 for prompt in prompts]

    given = {**SETTINGS, "GRPO_BETA": "0", "GRPO_SCALE_REWARDS": scale, "GRPO_PER_DEVICE_TRAIN_BATCH_SIZE": "8"}
    base, records = base_model.fetch("sample", None), Records()
    made = PlainTrl(resolve(given | {"GRPO_MAX_STEPS": "1"}).settings, base, ROWS, [(by_question, 1.0)], tmp_path)
    made.train(records)  # type: ignore[arg-type]
    assert records.rows[0]["frac_reward_zero_std"] == 1.0


class Asked(SavesAfter):
    """A listener that remembers the prompts of all completions."""

    def __init__(self) -> None:
        super().__init__(0)
        self.prompts = list[Any]()

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        pass

    def on_completions(self, step: int, rows: list[dict[str, Any]]) -> None:
        self.prompts += [row["prompt"] for row in rows]


def test_the_rows_that_an_engine_takes_later_are_those_it_asks(tmp_path: Path) -> None:
    trained, listener = engine(tmp_path, GRPO_MAX_STEPS="1", GRPO_BETA="0"), Asked()
    other = [{**row, "prompt": [{"role": "system", "content": "Use tags."}, *row["prompt"]]} for row in ROWS]
    trained.take_rows(other, 40)
    trained.train(listener)  # type: ignore[arg-type]
    assert listener.prompts
    assert all("Use tags." in str(prompt) for prompt in listener.prompts)
