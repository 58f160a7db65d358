"""What is odd but may be meant: a warning with its number, and the run begins."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grpo_job.inputs import sample
from grpo_job.inputs.base_model import BaseModel
from grpo_job.preflight import license, resources, versions
from grpo_job.runtime.locked_versions import locked
from tests.preflight.world import World, rows_of

Plant = Callable[[World], object]


def rows(world: World, *changes: dict[str, Any], of: int = 100) -> None:
    """The training rows, of which the first ones are changed."""
    known = rows_of(sample.TRAIN, of)
    world.rows(train=[{**row, **change} for row, change in zip(known, changes, strict=False)] + known[len(changes) :])


def of_a_pirate(number: int) -> list[dict[str, str]]:
    return [{"role": "system", "content": "You are a pirate."}, {"role": "user", "content": f"{number} + 1?"}]


def by_a_pirate(row: dict[str, Any]) -> dict[str, Any]:
    turns = [{"role": "system", "content": "You are a pirate."}, {"role": "user", "content": row["question"]}]
    return {**row, "question": turns}


def other_versions(world: World, **differing: str) -> None:
    world.patch.setattr(versions, "installed", lambda: {**locked()["cpu"], **differing})


ODD: list[tuple[str, str, str, Plant]] = [
    ("licence not stated", "licence", "states no licence", lambda w: w.hub_model()),
    (
        "licence of its own",
        "licence",
        "(https://llama.com): read it",
        lambda w: w.hub_model(cardData={"license": "llama3.2", "license_link": "https://llama.com"}),
    ),
    (
        "licence for research",
        "licence",
        "no commercial use",
        lambda w: w.hub_model(cardData={"license": "cc-by-nc-4.0"}),
    ),
    ("no end of an answer", "tokenizer", "has no eos_token", lambda w: written_without_end(w)),
    ("many long prompts", "prompt lengths", "would keep 99%", lambda w: w.set(MAX_PROMPT_LENGTH="50")),
    (
        "few answers missing",
        "rows",
        "2 rows have no answer and 1 no question",
        lambda w: rows(w, {"answer": ""}, {"answer": "####"}, {"question": " "}),
    ),
    (
        "solutions as answers",
        "rows",
        "2 of 100 answers have more than 200 characters, and correct would pay only for all of them: check",
        lambda w: rows(w, *[{"answer": f"It is {n}. " * 30} for n in (1, 2)]),
    ),
    (
        "sentences as answers",
        "rows",
        "100 of 100 answers are sentences, such as 'Bolt 0 had been fastened with the wrong torque.', and correct",
        lambda w: rows(w, *[{"answer": f"Bolt {n} had been fastened with the wrong torque."} for n in range(100)]),
    ),
    (
        "many duplicates",
        "rows",
        "30 of 100 questions are duplicates",
        lambda w: rows(w, *[{"question": "1 + 1?"}] * 31),
    ),
    ("one answer", "rows", "every row has the answer '7'", lambda w: rows(w, *[{"answer": "7"}] * 100)),
    (
        "the question as the answer",
        "rows",
        "every answer is its question: check GRPO_PROMPT_COLUMN",
        lambda w: rows(w, *[{"question": f"{n} + 1?", "answer": f"{n} + 1?"} for n in range(100)]),
    ),
    (
        "questions of supervised training",
        "rows",
        "100 of 100 questions end with their answer: check GRPO_PROMPT_COLUMN",
        lambda w: rows(w, *[{"question": f"{n} + 1?\n\n### Response:\n{n + 1}", "answer": n + 1} for n in range(100)]),
    ),
    (
        "questions of supervised training with worked solutions",
        "rows",
        "99 of 100 questions end with their answer: check",
        lambda w: rows(w, *[{"question": f"{n}? So \\boxed{{{n}}}.", "answer": n} for n in range(99)]),
    ),
    (
        "questions that a template has rendered",
        "rows",
        "100 of 100 questions hold <|im_start|>, so that the chat template is applied to them twice: take it out",
        lambda w: rows(
            w, *[{"question": f"<|im_start|>user\n{n} + 1?<|im_end|>\n<|im_start|>assistant\n"} for n in range(100)]
        ),
    ),
    (
        "system messages of the rows",
        "rows",
        "3 of 100 rows have a system message of their own, so that their prompts do not show GRPO_SYSTEM_PROMPT: take",
        lambda w: (w.set(SYSTEM_PROMPT="Use tags."), rows(w, *[{"question": of_a_pirate(n)} for n in range(3)])),
    ),
    (
        "texts that no prompt shows",
        "rows",
        "no prompt shows its row's column context or input: if the question is about it, write both into GRPO_PROMPT",
        lambda w: rows(
            w, *[{"context": f"Karl has {n} beads.", "input": "" if n % 2 else f"{n} beads"} for n in range(100)]
        ),
    ),
    (
        "options that no prompt shows",
        "rows",
        "no prompt shows its row's options (column choices): write",
        lambda w: rows(w, *[{"choices": ["red", "blue"], "answer": "AB"[n % 2]} for n in range(100)]),
    ),
    (
        "places among options",
        "rows",
        "options and every answer is a whole number that is none of them, perhaps a place among them",
        lambda w: rows(w, *[{"choices": ["red", "blue"], "answer": n % 2} for n in range(100)]),
    ),
    (
        "no fresh rows",
        "rows",
        "asks 8 prompts, and the 8 rows have no fresh ones",
        lambda w: (rows(w, of=8), w.set(MAX_STEPS="5", DYNAMIC_SAMPLING="1")),
    ),
    ("few rows", "rows", "32 epochs over 25 rows", lambda w: (rows(w, of=25), w.set(MAX_STEPS="100"))),
    (
        "many epochs",
        "rows",
        "a smaller GRPO_NUM_TRAIN_EPOCHS (now 30)",
        lambda w: w.set(MAX_STEPS="-1", NUM_TRAIN_EPOCHS="30"),
    ),
    (
        "held-out rows in training",
        "held-out rows",
        "10 of 60 held-out questions occur in training",
        lambda w: w.rows(test=rows_of(sample.TRAIN, 10) + rows_of(sample.HELD_OUT, 50)),
    ),
    (
        "held-out questions under another system message",
        "held-out rows",
        "12 of 60 occur in training with the same answer under another system message",
        lambda w: w.rows(test=[*map(by_a_pirate, rows_of(sample.TRAIN, 12)), *rows_of(sample.HELD_OUT, 48)]),
    ),
    (
        "a problem in two columns",
        "rows",
        "no prompt shows its row's column Body",
        lambda w: rows(w, *[{"Body": f"Ann has {number} pens and {number} caps."} for number in range(100)]),
    ),
    (
        "places among endings",
        "rows",
        "no prompt shows its row's options and every answer is a whole number that is none of them, perhaps a place "
        "among them (column endings)",
        lambda w: rows(
            w, *[{"endings": ["sings", f"lifts {number}"], "answer": str(number % 2)} for number in range(100)]
        ),
    ),
    (
        "no answer in words",
        "rows",
        "2 of 100 rows have the answer proof or notfound",
        lambda w: rows(w, {"answer": "proof"}, {"answer": "notfound"}),
    ),
    (
        "dates with the day first",
        "rows",
        "25/12/2024 has its day first, but 1 of 100 answers, such as 05/06/2024, are read with the month first",
        lambda w: rows(w, {"answer": "25/12/2024"}, {"answer": "05/06/2024"}),
    ),
    (
        "places among options in columns",
        "rows",
        "perhaps a place among them (columns opa, opb)",
        lambda w: rows(w, *[{"opa": "red", "opb": "blue", "answer": n % 2} for n in range(100)]),
    ),
    (
        "options in columns of one letter",
        "rows",
        "no prompt shows its row's options (columns A, B)",
        lambda w: rows(w, *[{"A": "red", "B": "blue", "answer": "AB"[n % 2]} for n in range(100)]),
    ),
    (
        "few held-out rows",
        "held-out rows",
        "20 held-out rows pin accuracy down only to ±22 points; use at least 50",
        lambda w: w.set(EVAL_ROWS="20"),
    ),
    (
        "format alone is paid",
        "rewards together",
        "as much as the right one",
        lambda w: w.set(REWARDS="format_tags:1"),
    ),
    (
        "shared memory of a container",
        "shared memory",
        "has 64 MB",
        lambda w: (w.gpu(), w.patch.setattr(resources, "shm_bytes", lambda: 64_000_000)),
    ),
    (
        "GPU before bfloat16",
        "GPU",
        "training uses float16",
        lambda w: w.gpu(name="Tesla T4", memory=15360, capability="7.5"),
    ),
    ("part of a GPU", "GPU", "is partitioned (MIG)", lambda w: w.gpu(mig="Enabled")),
    ("others on the GPU", "GPU memory", "other processes use 2.1 GB", lambda w: w.gpu(used=2000)),
    (
        "versions allowed",
        "locked versions",
        "untested; allowed by GRPO_ALLOW_OTHER_VERSIONS=true",
        lambda w: (other_versions(w, trl="1.14.2"), w.set(ALLOW_OTHER_VERSIONS="true")),
    ),
    (
        "another version of what matters less",
        "other versions",
        "rich 14.0.0 is installed",
        lambda w: other_versions(w, rich="14.0.0"),
    ),
    ("time for a part of the steps", "budget", "will probably end the run", lambda w: w.set(MAX_HOURS="0.006")),
]


def written_without_end(world: World) -> None:
    path = world.model() / "tokenizer_config.json"
    path.write_text(path.read_text().replace('"eos_token"', '"unused"'))


@pytest.mark.parametrize(("name", "part", "plant"), [odd[1:] for odd in ODD], ids=[odd[0] for odd in ODD])
def test_what_is_odd_is_told_and_lets_the_run_begin(name: str, part: str, plant: Plant, world: World) -> None:
    plant(world)
    warned = world.warned()
    assert [(finding.name, part in finding.sentence) for finding in warned] == [(name, True)], warned


def test_options_that_each_prompt_shows_with_their_letter_as_the_answer_are_fine(world: World) -> None:
    offered = ["\\frac12", 'it\'s "blue"']
    asked = f"A) {offered[0]} B) {offered[1]}"
    rows(world, *[{"question": f"{n}: {asked}", "choices": offered, "answer": "AB"[n % 2]} for n in range(100)])
    assert not world.warned()


def test_long_answers_are_fine_where_no_reward_compares_them(world: World) -> None:
    world.reward("return len(answer) / 1000 if answer in completion else 0.0")
    rows(world, *[{"answer": f"It is {n}. " * 30} for n in range(100)])
    assert not world.warned()


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps({"names": [f"the name of item number {n} here" for n in range(20)], "of": "{n}"}).replace(
            "{n}", "%d"
        ),
        "Ann %d, Ben Smith, Cleo, Dan, Eve, Frank, Grace",
        r"\sin x \cos x \tan x \ln x \left(\frac{%d}{2}\right)",
        "The Lord of Rings %d",
    ],
)
def test_answers_that_can_be_compared_are_fine(answer: str, world: World) -> None:
    world.set(REWARDS="correct_anywhere:1,correct:1")
    rows(world, *[{"answer": answer % n} for n in range(100)])
    assert not world.warned()


def test_a_constant_reward_beside_a_good_one_is_named(world: World) -> None:
    world.reward("return 0.25")
    mine = world.environment["GRPO_REWARDS"]
    world.set(REWARDS=f"correct:2,{mine}")
    assert [finding.sentence for finding in world.warned()] == [
        "paid pays 0.25 for every completion, so it teaches nothing: fix it"
    ]


def test_own_rewards_that_want_another_form_pass_with_a_warning(world: World) -> None:
    world.reward("return 1.0 if completion == f'JSON: {answer}' else 0.0")
    world.set(HEALTH="warn")
    assert [finding.name for finding in world.warned()] == ["rewards", "rewards together"]


@pytest.mark.parametrize("form", ["\\\\boxed{{{answer}}}", "#### {answer}", "<answer>\\n{answer}\\n</answer>"])
def test_a_reward_of_the_users_own_may_want_any_usual_form(form: str, world: World) -> None:
    world.reward(f"return 1.0 if f'{form}' in completion else 0.0")
    assert world.warned() == []


def test_the_rewards_of_the_reference_run_prefer_the_perfect_completion(world: World) -> None:
    world.set(REWARDS="xmlcount:1,soft_format:1,strict_format:1,int:1,correctness:1")
    found = world.examine()
    assert [finding for finding in found if finding.name.startswith("rewards") and finding.status != "passed"] == []


def test_a_reward_with_a_negative_weight_is_to_pay_what_is_bad(world: World) -> None:
    world.reward("return float('<answer>' not in completion)")
    world.set(REWARDS=f"correct:2,{world.environment['GRPO_REWARDS'].replace(':1', ':-1')}")
    assert world.warned() == []


@pytest.mark.parametrize(
    ("name", "status", "part"),
    [
        ("unsloth/Qwen2.5-3B-Instruct", "warned", "Qwen Research licence"),
        ("Qwen/Qwen2.5-Coder-3B", "warned", "Qwen2.5-1.5B-Instruct"),
        ("unsloth/Qwen2.5-3B-Instruct-bnb-4bit", "warned", "no commercial use"),
        ("Qwen/Qwen2.5-7B-Instruct", "passed", "apache-2.0"),
        ("Qwen/Qwen2.5-1.5B-Instruct", "passed", "apache-2.0"),
    ],
)
def test_a_licence_for_research_is_known_whatever_the_card_says(name: str, status: str, part: str) -> None:
    found = license.finding(BaseModel(name, Path(), "abc", {"license": "apache-2.0"}))
    assert found.status == status
    assert part in found.sentence


def test_a_split_to_evaluate_on_that_no_setting_names_is_told(world: World) -> None:
    folder = world.folder / "rows"
    (folder / "test.jsonl").rename(folder / "validation.jsonl")
    told = "GRPO_DATASET has a split 'validation' too: GRPO_EVAL_SPLIT=validation evaluates on it"
    assert any(told in finding.sentence for finding in world.warned())
    world.set(EVAL_SPLIT="validation")
    assert not any("evaluates on it" in finding.sentence for finding in world.warned())


@pytest.mark.parametrize("texts", [{"context": "About {n}."}, {"context": ""}, {"context": None}, {"notes": "{n}"}])
def test_a_text_that_the_prompt_shows_or_that_is_not_there_is_not_told(
    texts: dict[str, str | None], world: World
) -> None:
    cells = [{name: text and text.format(n=n) for name, text in texts.items()} for n in range(100)]
    rows(world, *[{**cell, "question": f"{cell.get('context') or ''} {n} + 1?"} for n, cell in enumerate(cells)])
    assert world.warned() == []
