"""A reward of the user's own: judged with the whole row, warned of where its format is not known, held to EXAMPLES."""

import sys
from pathlib import Path

import pytest

from grpo_job.inputs import sample
from grpo_job.preflight import own_rewards
from grpo_job.preflight import rewards as checks
from grpo_job.rewards import Reward
from grpo_job.settings.reader import resolve
from tests.preflight.world import World, rows_of


@pytest.mark.parametrize("body", ["return 0.0", "return None", "return -float(len(completion))"])
def test_one_that_cannot_be_judged_is_warned_of_and_never_refused(body: str, world: World) -> None:
    world.reward(body)
    assert any("does not prefer a perfect completion" in found.sentence for found in world.warned())


@pytest.mark.parametrize(("health", "advised"), [("stop", True), ("warn", False), ("off", False)])
def test_a_setting_that_is_there_already_is_not_advised(health: str, advised: bool, world: World) -> None:
    world.set(HEALTH=health)
    world.reward("return 0.0")
    (told,) = [found.sentence for found in world.warned() if "does not prefer a perfect" in found.sentence]
    assert ("set GRPO_HEALTH=warn" in told) == advised


def with_module(world: World, source: str) -> None:
    path: Path = world.folder / "of_the_user.py"
    path.write_text(source)
    world.set(REWARDS=f"{path}::brief:1")


def test_it_is_asked_for_no_more_completions_at_once_than_in_training(world: World) -> None:
    world.set(PER_DEVICE_TRAIN_BATCH_SIZE="8", NUM_GENERATIONS="4")
    with_module(world, "def brief(completions, **kwargs): return [1.0 / (len(completions) <= 8)] * len(completions)\n")
    assert world.failed() == []


def test_one_that_is_slow_is_asked_about_fewer_rows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SECONDS", 0.0)
    monkeypatch.setattr(own_rewards, "CHEAP", 0.0)
    body = "    asked.append(question)\n    return 1.0 / (question == asked[0])\n"
    with_module(world, f"asked = []\ndef brief(completion, question):\n{body}")
    assert world.failed() == []


def test_it_is_checked_with_the_columns_that_it_asks_for(world: World) -> None:
    rows = [{**row, "level": number} for number, row in enumerate(rows_of(sample.TRAIN, 100))]
    world.rows(train=rows, test=rows_of(sample.HELD_OUT, 60))
    with_module(world, "def brief(completion, level, completion_ids): return level - len(completion_ids)\n")
    assert world.failed() == []


def test_a_column_that_is_not_there_is_told_with_those_that_are(world: World) -> None:
    with_module(world, "def brief(completion, answer, levle): return 1.0\n")
    [failed] = world.failed()
    assert "asks for levle; there are answer, completion" in failed.sentence


def rows_with(world: World, **columns: list[object]) -> None:
    train, test = (
        [
            {**row, **{name: values[number % len(values)] for name, values in columns.items()}}
            for number, row in enumerate(rows)
        ]
        for rows in (rows_of(sample.TRAIN, 100), rows_of(sample.HELD_OUT, 60))
    )
    world.rows(train=train, test=test)


def test_it_is_asked_about_further_rows_too(world: World) -> None:
    rows_with(world, level=[*range(1, 50), None])
    with_module(world, "def brief(completion, level): return len(completion) / level\n")
    [failed] = world.failed()
    assert "'brief' raised TypeError" in failed.sentence
    assert rows_of(sample.TRAIN, 100)[49]["question"][:50] in failed.sentence


def test_one_that_takes_its_time_is_asked_about_no_further_row(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_rewards, "CHEAP", 0.0)
    rows_with(world, level=[*range(1, 50), None])
    with_module(world, "def brief(completion, level): return len(completion) / level\n")
    assert world.failed() == []


def test_one_that_pays_for_the_end_token_teaches_something(world: World) -> None:
    with_module(world, "def brief(completion, completion_ids): return float(completion_ids[-1:] == [569])\n")
    said = "brief does not prefer a perfect completion (perfect 1, wrong 1, empty 1, garbled 0)"
    assert any(said in found.sentence for found in world.warned())


@pytest.mark.parametrize(
    ("signature", "told"),
    [
        ("query, response", "gets the completion as query, and the answer as response, by their order"),
        ("completion, gold", "gets the completion as completion, and the answer as gold, by their order"),
    ],
)
def test_a_guess_of_its_parameters_is_told(signature: str, told: str, world: World) -> None:
    with_module(world, f"def brief({signature}): return 1.0\n")
    assert f"brief {told}" in [found.sentence for found in world.examine()]


@pytest.mark.parametrize(
    "signature", ["completion, answer", "solution_str, ground_truth", "completions, **kwargs", "text"]
)
def test_names_that_leave_no_choice_are_not_told(signature: str, world: World) -> None:
    with_module(world, f"def brief({signature}): return [1.0]\n")
    assert not any("by their order" in found.sentence for found in world.examine())


def test_a_column_in_whose_place_it_gets_the_jobs_answer_is_warned_of(world: World) -> None:
    rows_with(world, gold=[7])
    world.set(ANSWER_COLUMN="gold")
    with_module(world, "def brief(completions, answer, **kwargs): return [float(len(text)) for text in completions]\n")
    assert any("GRPO_ANSWER_COLUMN=gold, not the rows' column answer" in found.sentence for found in world.warned())


def without_answers(world: World) -> None:
    train, test = ([{"question": row["question"]} for row in rows_of(of, 60)] for of in (sample.TRAIN, sample.HELD_OUT))
    world.rows(train=train, test=test)
    with_module(world, "def brief(completions, **kwargs): return [-float(len(c[0]['content'])) for c in completions]\n")


def test_rows_without_an_answer_do_for_one_that_asks_for_none(world: World) -> None:
    without_answers(world)
    assert not any("the answer" in found.sentence for found in world.warned())


@pytest.mark.parametrize(("measure", "needs"), [("brief", False), ("format_tags", False), ("correct", True)])
def test_rows_need_an_answer_if_the_measure_asks_for_one(measure: str, needs: bool, world: World) -> None:
    without_answers(world)
    world.set(MEASURE=measure)
    named = ["GRPO_ANSWER_COLUMN: 'answer' was given" in found.sentence for found in world.failed()]
    assert any(named) == needs


def test_a_measure_that_raises_is_told_before_the_base_is_asked(world: World) -> None:
    (world.folder / "measure.py").write_text("def brief(completion): return 1 / 0\n")
    world.set(MEASURE=f"{world.folder}/measure.py::brief")
    [failed] = world.failed()
    assert failed.sentence.startswith("GRPO_MEASURE: reward 'brief' raised ZeroDivisionError")


def test_a_measure_may_prefer_what_it_likes(world: World) -> None:
    world.set(MEASURE="soft_overlong")
    assert world.failed() == []


def test_a_measure_of_another_file_may_not_take_the_name_of_a_reward(world: World) -> None:
    with_module(world, "def brief(completion): return -float(len(completion))\n")
    own = f"{world.folder / 'of_the_user.py'}::brief"
    world.set(MEASURE="./other.py::brief")
    [failed] = world.failed()
    assert failed.sentence.startswith("GRPO_MEASURE: './other.py::brief' was given; allowed: another name than that of")
    for same in ("brief", own):
        world.set(MEASURE=same)
        assert world.failed() == []


def test_rewards_of_the_menu_that_judge_the_completion_alone_do_without_answers(world: World) -> None:
    without_answers(world)
    for rewards in ("format_tags:1", "think_format:1,soft_overlong:0.5", "xmlcount:1,repetition_penalty:1"):
        world.set(REWARDS=rewards)
        assert world.failed() == []


@pytest.mark.parametrize("found", ["5", "[('short',)]", "[(1, 1.0)]", "[('short', 'x')]"])
def test_examples_that_are_no_pairs_are_refused(found: str, world: World) -> None:
    with_module(world, f"EXAMPLES = {found}\ndef brief(completion, answer): return float(len(completion) < 9)\n")
    [finding] = world.failed()
    assert f"of_the_user.py are {found}; allowed: pairs of a completion and its pay" in finding.sentence


def test_examples_of_a_name_that_the_file_lacks_are_refused(world: World) -> None:
    with_module(
        world, "EXAMPLES = {'breif': [('short', 0.5)]}\ndef brief(completion): return float(len(completion) < 9)\n"
    )
    [finding] = world.failed()
    assert "of_the_user.py name breif; allowed: names that this file has, such as brief" in finding.sentence


def test_an_example_may_differ_in_the_last_digits(world: World) -> None:
    source = "EXAMPLES = [('short', 0.3)]\ndef brief(completion, answer): return 0.1 * 3 * (len(completion) < 9)\n"
    with_module(world, source)
    assert world.failed() == []


@pytest.mark.parametrize(("expected", "names"), [("1.0", []), ("0.5", ["examples of rewards"])])
def test_its_examples_are_run(expected: str, names: list[str], world: World) -> None:
    source = f"EXAMPLES = [('short', {expected})]\ndef brief(completion, answer): return float(len(completion) < 9)\n"
    with_module(world, source)
    assert [finding.name for finding in world.failed()] == names


OTHER_FORMS = {
    "an object": "class C:\n    def __call__(self, completion): return float(len(completion) < 9)\nbrief = C()\n",
    "a lambda": "brief = lambda completion: float(len(completion) < 9)\n",
    "one of another file": "from helper_of_examples import brief\n",
}


@pytest.mark.parametrize("form", OTHER_FORMS)
@pytest.mark.parametrize("found", ["[('short', 0.5)]", "{'brief': [('short', 0.5)]}"])
def test_examples_of_what_is_no_plain_function_are_run(
    form: str, found: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "helper_of_examples", raising=False)
    helper: Path = world.folder / "helper_of_examples.py"
    helper.write_text("def brief(completion): return float(len(completion) < 9)\n")
    with_module(world, f"{OTHER_FORMS[form]}EXAMPLES = {found}\n")
    assert [finding.name for finding in world.failed()] == ["examples of rewards"]


@pytest.mark.parametrize(
    ("rewards", "measure", "needs"),
    [
        ("soft_overlong:1", "auto", False),
        ("format_tags:1,repetition_penalty:1", "auto", False),
        ("format_tags:1,exact:1", "auto", True),
        ("format_tags:1", "correct", True),
    ],
)
def test_rows_need_a_gold_only_where_a_reward_or_the_measure_reads_it(
    rewards: str, measure: str, needs: bool, world: World
) -> None:
    train, test = ([{"question": row["question"]} for row in rows_of(of, 60)] for of in (sample.TRAIN, sample.HELD_OUT))
    world.rows(train=train, test=test)
    world.set(REWARDS=rewards, MEASURE=measure)
    assert any("GRPO_ANSWER_COLUMN" in found.sentence for found in world.failed()) == needs


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (
            0.5,
            "takes about 32 s for the 64 completions of a generation (0.5 s each), which the estimated time leaves out",
        ),
        (2.0, "GRPO_REWARD_TIMEOUT_SECONDS=60 would end the run: brief takes about 128 s for the 64 completions"),
        (0.01, ""),
    ],
)
def test_the_time_that_it_takes_for_a_generation_is_told(seconds: float, told: str, world: World) -> None:
    world.set(PER_DEVICE_TRAIN_BATCH_SIZE="64", REWARD_TIMEOUT_SECONDS="60")
    one = Reward("brief", 1.0, lambda completion: 1.0, own=True)
    found = [finding.sentence for finding in own_rewards.of_time(one, seconds, resolve(world.environment).settings)]
    assert [told in sentence for sentence in found] == [True] * bool(told)


def test_one_that_is_async_may_grade_all_at_once(world: World) -> None:
    async def brief(completion: str) -> float:
        return 1.0

    assert (
        list(own_rewards.of_time(Reward("brief", 1.0, brief, own=True), 9.0, resolve(world.environment).settings)) == []
    )


def test_a_slow_one_is_warned_of(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_rewards, "SLOW", 0.0)
    with_module(world, "def brief(completion): return float(len(completion))\n")
    assert any("which the estimated time leaves out" in found.sentence for found in world.warned())
