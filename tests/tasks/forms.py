"""The sample's problems as people have theirs: rows, the reward where they bring their own, and settings."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from grpo_job.inputs import sample

Row = dict[str, Any]
TRAIN, HELD_OUT = 600, 100
LETTERS = "ABCD"


class Task(NamedTuple):
    """`row` makes a row of a problem: its question, worked solution, answer and number."""

    row: Callable[[str, str, str, int], Row]
    settings: dict[str, str]
    rewards: str = ""


def trl_chat(question: str, work: str, answer: str, number: int) -> Row:
    return {"prompt": [{"role": "user", "content": question}], "answer": answer}


def sharegpt(question: str, work: str, answer: str, number: int) -> Row:
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": f"{work}\n#### {answer}"}]
    return {"id": number, "conversations": turns}


def verl(question: str, work: str, answer: str, number: int) -> Row:
    return {
        "data_source": "shop/sums",
        "prompt": [{"role": "user", "content": question}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {"index": number, "split": "train"},
    }


def multiple_choice(question: str, work: str, answer: str, number: int) -> Row:
    place, right = number % len(LETTERS), int(answer)
    choices = [str(right + other - place) for other in range(len(LETTERS))]
    return {"question": question, "choices": choices, "label": LETTERS[place]}


def without_gold(question: str, work: str, answer: str, number: int) -> Row:
    return {"instruction": question}


def worked(question: str, work: str, answer: str, number: int) -> Row:
    solution = f"We compute {work.replace(chr(10), ', then ')}. So the answer is $\\boxed{{{answer}}}$."
    return {"problem": question, "level": "Level 1", "solution": solution}


def two_more_columns(question: str, work: str, answer: str, number: int) -> Row:
    return {"prompt": question, "target": int(answer), "steps": work.count("\n") + 1}


# The sample knows no letters: it names the value, as a model does that is asked for one of several.
CHOICE = """
import re

def picks(completions, choices, label, **kwargs):
    paid = []
    for completion, values, letter in zip(completions, choices, label):
        said = re.findall(r"<answer>\\s*(.*?)\\s*</answer>", completion[0]["content"], re.S)
        paid.append(1.0 if said and said[-1] == values["ABCD".index(letter)] else 0.0)
    return paid
"""
# A worked answer as JSON, each of whose steps is a sum that holds: nobody knows the gold.
JSON = """
import json, re

def as_json(completion):
    lines = re.findall(r"^(\\d+) ([-+*/]) (\\d+) = (\\d+)$", completion, re.M)
    steps = [[int(a), sign, int(b), int(c)] for a, sign, b, c in lines]
    answer = re.findall(r"<answer>\\s*(\\d+)\\s*</answer>", completion)
    return json.dumps({"steps": steps, "answer": int(answer[0]) if answer else None})

def valid_json(completion):
    found = json.loads(as_json(completion))
    right = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b}
    holds = all(right[sign](a, b) == c for a, sign, b, c in found["steps"] if b or sign != "/")
    return float(holds and len(found["steps"]) >= 2 and found["answer"] == found["steps"][-1][3])
"""
COLUMNS = """
def by_steps(prompts, completions, completion_ids, target, steps, **kwargs):
    texts = [completion[0]["content"] for completion in completions]
    assert len(texts) == len(prompts) == len(completion_ids)
    right = [f"<answer>\\n{goal}\\n</answer>" in text for text, goal in zip(texts, target)]
    return [ok + 0.2 * (text.count(" = ") == number) for ok, text, number in zip(right, texts, steps)]
"""
TASKS = {
    "TRL's chat rows": Task(trl_chat, {"PROMPT_COLUMN": "prompt"}),
    "ShareGPT": Task(sharegpt, {"PROMPT_COLUMN": "conversations", "ANSWER_COLUMN": "conversations"}),
    "verl": Task(verl, {"PROMPT_COLUMN": "prompt", "ANSWER_COLUMN": "reward_model.ground_truth"}),
    "multiple choice": Task(multiple_choice, {"ANSWER_COLUMN": "label", "REWARDS": "{file}::picks:1"}, CHOICE),
    "JSON without a gold": Task(
        without_gold, {"PROMPT_COLUMN": "instruction", "REWARDS": "{file}::valid_json:1"}, JSON
    ),
    "MATH's worked solutions": Task(
        worked, {"PROMPT_COLUMN": "problem", "ANSWER_COLUMN": "solution", "REWARDS": "correct_anywhere:1"}
    ),
    "two more columns": Task(two_more_columns, {"PROMPT_COLUMN": "prompt", "REWARDS": "{file}::by_steps:1"}, COLUMNS),
    "a judge": Task(trl_chat, {"PROMPT_COLUMN": "prompt", "REWARDS": "judge:1"}),
}


def write(task: Task, folder: Path) -> dict[str, str]:
    """The rows and the reward in `folder`; the settings that name them."""
    rows, file = folder / "rows", folder / "my_rewards.py"
    rows.mkdir(parents=True)
    for split, path, number in (("train", sample.TRAIN, TRAIN), ("test", sample.HELD_OUT, HELD_OUT)):
        (rows / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in _rows(task, path, number)))
    file.write_text(task.rewards)
    settings = {"DATASET": str(rows), "EVAL_SPLIT": "test", **task.settings}
    return {f"GRPO_{name}": text.replace("{file}", str(file)) for name, text in settings.items()}


def _rows(task: Task, path: Path, number: int) -> list[Row]:
    problems = [json.loads(line) for line in path.read_text().splitlines()[:number]]
    found = [re.fullmatch(r"(.*)\n#### (.*)", problem["answer"], re.DOTALL) for problem in problems]
    pairs = zip(problems, found, strict=True)
    return [task.row(one["question"], told[1], told[2], at) for at, (one, told) in enumerate(pairs) if told]
