"""Writes rows.jsonl: questions with their choices in the prompt, and the letter of the right one."""

import json
import random
from pathlib import Path

MILLIMETRES = {"mm": 1, "cm": 10, "dm": 100, "m": 1_000}


def as_prompt(question, choices):
    """One text: the model sees only what is in the prompt's column."""
    lines = [f"{letter}) {choice}" for letter, choice in zip("ABCD", choices, strict=True)]
    return "\n".join([question, *lines, "Answer with one letter."])


def lengths():
    """Four lengths of 2 to 90 m in different units, no two of them the same, with their millimetres."""
    units = random.sample(sorted(MILLIMETRES.items()), 4)
    numbers = [(random.randint(2_000, 90_000) // size, unit, size) for unit, size in units]
    found = {f"{number} {unit}": number * size for number, unit, size in numbers}
    return found if len(set(found.values())) == 4 else lengths()


random.seed(1)
with Path("rows.jsonl").open("w") as file:
    for _ in range(600):
        choices = lengths()
        right = list(choices).index(max(choices, key=choices.get))
        file.write(json.dumps({"prompt": as_prompt("Which is the longest?", choices), "letter": "ABCD"[right]}) + "\n")
