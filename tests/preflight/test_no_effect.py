"""A setting that was given and does nothing is named, with what would let it act."""

import pytest

from grpo_job.preflight.no_effect import findings
from grpo_job.settings.reader import resolve
from grpo_job.settings.recipes import RECIPES
from tests.preflight.world import World

SEVERAL_UPDATES = {"GRPO_NUM_ITERATIONS": "2"}
# What is given, the one of it that does nothing, and what lets it act.
IDLE = [
    ({"GRPO_EVAL_STEPS_ROWS": "128"}, {"GRPO_EVAL_STEPS": "25"}),
    ({"GRPO_WARM_START_LEARNING_RATE": "2e-4"}, {"GRPO_WARM_START_STEPS": "20"}),
    ({"GRPO_SOLUTION_COLUMN": "work"}, {"GRPO_WARM_START_STEPS": "20"}),
    ({"GRPO_ADAM_BETA1": "0.8", "GRPO_OPTIM": "sgd"}, {"GRPO_OPTIM": "paged_lion_8bit"}),
    ({"GRPO_ADAM_BETA2": "0.95", "GRPO_OPTIM": "adafactor"}, {"GRPO_OPTIM": "ademamix"}),
    ({"GRPO_WARMUP_STEPS": "20", "GRPO_LR_SCHEDULER_TYPE": "constant"}, {"GRPO_LR_SCHEDULER_TYPE": "linear"}),
    ({"GRPO_PUBLISH_IF": "improved"}, {"GRPO_PUBLISH_TO": "file:///srv/adapter"}),
    ({"GRPO_PUBLISH_SECONDS": "90"}, {"GRPO_PUBLISH_TO": "s3://bucket/adapter"}),
    ({"GRPO_PUBLISH_PRIVATE": "false", "GRPO_PUBLISH_TO": "s3://bucket/it"}, {"GRPO_PUBLISH_TO": "hf://me/it"}),
    ({"GRPO_METRICS_ADDRESS": "10.0.0.7"}, {"GRPO_METRICS_PORT": "9400"}),
    ({"GRPO_PUBLISH_MERGED_DTYPE": "float32"}, {"GRPO_PUBLISH_MERGED": "true"}),
    ({"GRPO_HEALTH_GROUPS": "90", "GRPO_HEALTH": "off"}, {"GRPO_HEALTH": "warn"}),
    ({"GRPO_HEALTH_MAX_KL": "5"}, {"GRPO_BETA": "0.04"}),
    ({"GRPO_EPSILON": "0.1"}, SEVERAL_UPDATES),
    ({"GRPO_EPSILON_HIGH": "0.28"}, {"GRPO_STEPS_PER_GENERATION": "2"}),
]


@pytest.mark.parametrize(("given", "cure"), IDLE, ids=[next(iter(given)) for given, _ in IDLE])
def test_what_does_nothing_is_named_and_with_its_cure_it_is_not(given: dict[str, str], cure: dict[str, str]) -> None:
    (found,) = findings(resolve(given).settings)
    assert (found.status, found.name) == ("warned", "settings")
    assert found.sentence.startswith(f"{next(iter(given))} has no effect w")
    assert list(findings(resolve({**given, **cure}).settings)) == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_a_recipe_sets_is_not_told(recipe: str) -> None:
    given = {"GRPO_RECIPE": recipe, "GRPO_OPTIM": "sgd", "GRPO_LR_SCHEDULER_TYPE": "constant"}
    given["GRPO_METRICS_ADDRESS"] = "0.0.0.0"  # of the images
    assert list(findings(resolve(given).settings)) == []


def test_a_check_tells_it_and_the_run_begins(world: World) -> None:
    world.set(EVAL_STEPS_ROWS="128")
    told = [found.sentence for found in world.warned() if found.name == "settings"]
    assert told == ["GRPO_EVAL_STEPS_ROWS has no effect without GRPO_EVAL_STEPS"]
    assert world.failed() == []


def test_a_switch_that_the_chat_template_does_not_read_is_named(world: World) -> None:
    template = world.folder / "mine.jinja"
    template.write_text("{{ messages[-1].content }}{% if enable_thinking is false %} Answer at once.{% endif %}")
    world.set(CHAT_TEMPLATE=str(template), CHAT_TEMPLATE_KWARGS='{"enable_thinking": false, "thinking": false}')
    [told] = [found.sentence for found in world.warned() if "KWARGS" in found.sentence]
    assert told == "GRPO_CHAT_TEMPLATE_KWARGS: 'thinking' has no effect, for the chat template does not read it"
