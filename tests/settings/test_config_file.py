"""GRPO_CONFIG: a file of settings, below the environment and above the recipe."""

from pathlib import Path
from typing import Any

import pytest

from grpo_job.outcomes import InvalidRun
from grpo_job.settings import table
from grpo_job.settings.reader import Resolved, resolve
from grpo_job.settings.schema import known_names
from tests.settings.test_table import own

YAML = """
# the run
recipe: smoke
GRPO_MAX_STEPS: 7
learning-rate: 1e-4
example: off
run_id: 007
load_in_4bit: false
eval_dataset: null
rewards: {correct: 2, format_tags: 0.5}
publish_to: [file:///a, file:///b]
reward_options:
  format_tags: {}
epsilon_high: 0.28
system_prompt: |
  one
  two: three
"""
TOML = """
recipe = "smoke"
GRPO_MAX_STEPS = 7
learning_rate = 1e-4
example = "off"
run_id = "007"
load_in_4bit = false
rewards = [["correct", 2], ["format_tags", 0.5]]
publish_to = ["file:///a", "file:///b"]
epsilon_high = 0.28
system_prompt = "one\\ntwo: three\\n"
[reward_options]
format_tags = {}
"""


def read(folder: Path, text: str, name: str = "job.yaml", **environment: str) -> Resolved:
    (folder / name).write_text(text)
    return resolve({"GRPO_CONFIG": str(folder / name), **environment})


def faults(folder: Path, text: str, name: str = "job.yaml", **environment: str) -> tuple[str, ...]:
    with pytest.raises(InvalidRun) as refusal:
        read(folder, text, name, **environment)
    return refusal.value.faults


@pytest.mark.parametrize(("name", "text"), [("job.yaml", YAML), ("job.yml", YAML), ("job.TOML", TOML)])
def test_a_file_says_what_variables_would_say(name: str, text: str, tmp_path: Path) -> None:
    settings = read(tmp_path, text, name).settings
    said: dict[str, Any] = {
        "recipe": "smoke", "max_steps": 7, "learning_rate": 1e-4, "example": "off", "run_id": "007",
        "load_in_4bit": False, "eval_dataset": None, "rewards": (("correct", 2.0), ("format_tags", 0.5)),
        "publish_to": ("file:///a", "file:///b"), "reward_options": {"format_tags": {}},
    }  # fmt: skip
    assert {field: getattr(settings, field) for field in said} == said
    assert settings.grpo_config == {"epsilon_high": 0.28}
    assert settings.system_prompt.strip() == "one\ntwo: three"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("job.yaml", "recipe: smoke\nsample_prompts: ['What is 2, 3?', Why]\n"),
        ("job.toml", 'recipe = "smoke"\nsample_prompts = ["What is 2, 3?", "Why"]\n'),
    ],
)
def test_a_list_of_sample_prompts_is_as_many_questions(name: str, text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text, name).settings.sample_prompts == "What is 2, 3?|Why"


@pytest.mark.parametrize("line", ["system_prompt: null", "example: none", "example: no", "sample_prompts: false"])
def test_a_word_for_nothing_is_not_shown_to_the_model(line: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, f"recipe: smoke\n{line}\n")
    assert "this word is no text for a prompt; allowed: " in fault
    assert "job.yaml, line 2" in fault


def test_command_line_then_environment_then_file_then_recipe(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("recipe: smoke\nmax_steps: 5\nseed: 5\nlora_seed: 5\n")
    environment = {
        "GRPO_CONFIG": str(tmp_path / "job.yaml"),
        "GRPO_MAX_STEPS": "6",
        "GRPO_SEED": "6",
        "GRPO_LORA_SEED": "",
    }
    settings, origins = resolve(environment, {"seed": "7"})
    assert (settings.seed, settings.max_steps, settings.lora_seed, settings.eval_rows) == (7, 6, 5, 300)
    assert [origins[name] for name in ("seed", "max_steps", "lora_seed", "eval_rows")] == [
        "command line", "environment", "file job.yaml, line 4", "recipe smoke"
    ]  # fmt: skip
    chosen = [line.split()[0] for line in table.lines((Resolved(settings, origins)), every=False)]
    assert chosen.index("GRPO_MAX_STEPS") < chosen.index("GRPO_LORA_SEED") < chosen.index("GRPO_EVAL_ROWS")


def test_the_command_line_names_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text("max_steps = 5")
    assert resolve({}, {"config": str(tmp_path / "job.toml")}).settings.max_steps == 5


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = "max_steps: many\nlr: 1e-4\n\nnum_generations: 3\nhf_token: abcdef\nmax_prompt_length: 900\n"
    found = faults(tmp_path, text, GRPO_SAVE_STEPS="0")
    assert sorted(found) == [
        "GRPO_HF_TOKEN: a value (not shown) was given; no setting has this name; use instead: HF_TOKEN or "
        "HF_TOKEN_PATH, the library's own variables (job.yaml, line 5)",
        "GRPO_LR: '1e-4' was given; no setting has this name; use instead: GRPO_LEARNING_RATE (job.yaml, line 2)",
        "GRPO_MAX_PROMPT_LENGTH=900 + GRPO_MAX_COMPLETION_LENGTH=512 = 1412 tokens, more than GRPO_MAX_SEQ_LENGTH=1024"
        "; allowed: a sum of at most GRPO_MAX_SEQ_LENGTH (job.yaml, line 6)",
        "GRPO_MAX_STEPS: 'many' was given; allowed: a whole number from 1, or -1 (job.yaml, line 1)",
        "GRPO_NUM_GENERATIONS=3 must divide the generation batch of 128 completions (GRPO_PER_DEVICE_TRAIN_BATCH_SIZE="
        "128 × 1 micro-step from GRPO_GRADIENT_ACCUMULATION_STEPS); allowed: a generation batch of 3, 6, 9, ... "
        "(job.yaml, line 4)",
        "GRPO_SAVE_STEPS: '0' was given; allowed: a whole number from 1",
    ]


def test_toml_tells_lines_too(tmp_path: Path) -> None:
    found = faults(tmp_path, 'seed = 1\n"max_steps" = "many"\n[trainer]\nx = 1\n', "job.toml")
    assert found[0].endswith("(job.toml, line 3)")
    assert found[1].endswith("(job.toml, line 2)")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("job.yaml", "max_steps: 1\nGRPO_MAX_STEPS: 2\n", "job.yaml, line 2: GRPO_MAX_STEPS is set 2 times"),
        ("job.yaml", "max_steps: 1\nmax_steps: 2\n", "job.yaml, line 1: max_steps is set 2 times"),
        ("job.toml", "max_steps = 1\nmax_steps = 2\n", "(at line 2"),
        ("job.yaml", "a: [1\nb: 2\n", "GRPO_CONFIG: job.yaml, line 2:"),
        ("job.yaml", "- max_steps\n", "holds no names with values"),
        ("job.yaml", "just text", "holds no names with values"),
        ("job.yaml", "seed: 1\nb: !!python/name:os.system [x]\n", "GRPO_CONFIG: job.yaml, line 2"),
        ("job.yaml", "seed: *missing\n", "GRPO_CONFIG: job.yaml, line 1: found undefined alias"),
        ("job.yaml", "seed: 1\n--- \nseed: 2\n", "GRPO_CONFIG: job.yaml, line 2"),
        ("job.yaml", "[1, 2]: 3\n", "GRPO_?"),
        ("job.toml", "max_steps: 3\n", "GRPO_CONFIG: job.toml:"),
        ("job.json", "{}", "allowed: a file .yaml, .yml, .toml or .env"),
        ("job.yaml", "config: other.yaml\n", "job.yaml, line 1: config cannot be set in a file"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused(name: str, text: str, told: str, tmp_path: Path) -> None:
    assert told in "\n".join(faults(tmp_path, text, name))


def test_a_missing_file_and_one_that_is_no_text_are_refused_beside_other_faults(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_bytes(b"seed: \xff\xfe")
    for name, why in (("none.yaml", "No such file or directory"), ("job.yaml", "it is not UTF-8"), ("", "")):
        with pytest.raises(InvalidRun) as refusal:
            resolve({"GRPO_CONFIG": str(tmp_path / name), "GRPO_SEED": "x"})
        assert why in str(refusal.value)
        assert "GRPO_SEED: 'x' was given" in str(refusal.value)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "# nothing\n").settings.changing_result() == resolve({}).settings.changing_result()


def test_the_name_of_the_file_changes_no_run(tmp_path: Path) -> None:
    assert read(tmp_path, "seed: 3").settings.result_hash() == resolve({"GRPO_SEED": "3"}).settings.result_hash()


@pytest.mark.parametrize("name", sorted(own() - {"recipe", "config"} & set(known_names())))
def test_a_printed_value_in_a_file_gives_the_same_value(name: str, tmp_path: Path) -> None:
    import json

    first = resolve({"GRPO_RECIPE": "smoke"})
    text = table.as_text(table.value_of(first, name))
    again = read(tmp_path, f"recipe: smoke\n{name}: {json.dumps(text)}\n")
    assert table.value_of(again, name) == table.value_of(first, name)


def test_the_file_of_the_settings_page_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/settings.md").read_text()
    settings = read(tmp_path, page.split("```yaml\n")[1].split("```")[0]).settings
    assert settings.rewards == (("correct", 2.0), ("./my_rewards.py::brief", 0.5))
    assert (settings.model, settings.publish_to) == ("Qwen/Qwen2.5-1.5B-Instruct", ("hf://your-name/your-model",))


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "aliases of lists": (".yaml", LAUGHS, r"line 2: \*a stands for a list or an object"),
    "a list in itself": (".yaml", "rewards: &a [*a]\n", r"line 1: \*a stands for a list"),
    "a tag that runs": (".yaml", "max_steps: !!python/object/apply:os.mkdir [canary]\n", "could not determine a"),
    "no such day": (".yaml", "sample_prompts: [2024-13-45]\n", "month must be in"),
    "a number of 5,000 digits": (".yaml", f"rewards: [{'9' * 5000}]\n", "Exceeds the limit"),
    "open brackets": (".yaml", "rewards: " + "[" * 50_000, "nested deeper than 100 levels"),
    "open entries": (".yaml", "rewards:\n " + "- " * 50_000, "nested deeper than 100 levels"),
    "names": (".yaml", "".join(f"k{number}: 1\n" for number in range(9000)), "has 9000 names; allowed: at most 1000"),
    "bytes": (".yaml", "#" * 200_001, "has more than 200000 bytes"),
    "deep keys": (".toml", "reward_options.a" + ".a" * 3000 + " = 1\n", "recursion"),
    "a number of 5,000 digits in TOML": (".toml", f"max_steps = {'9' * 5000}\n", "Exceeds the limit"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_strangers_file_is_one_sentence(kind: str, tmp_path: Path) -> None:
    suffix, text, told = HOSTILE[kind]
    (tmp_path / f"job{suffix}").write_text(text)
    with pytest.raises(InvalidRun, match=told) as refusal:
        resolve({"GRPO_CONFIG": str(tmp_path / f"job{suffix}")})
    assert len(refusal.value.faults) == 1


def test_an_alias_of_one_value_is_the_value(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("recipe: smoke\nmax_steps: &steps 7\nsave_steps: *steps\n")
    assert resolve({"GRPO_CONFIG": str(tmp_path / "job.yaml")}).settings.save_steps == 7
