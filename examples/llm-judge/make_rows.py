"""Writes rows.jsonl: complaints, and for each what a good reply does."""

import itertools
import json
from pathlib import Path

THINGS = ["kettle", "desk lamp", "bicycle pump", "rain jacket", "coffee mill"]
CURES = {
    "arrived broken": "offers a new one",
    "came a week late": "explains the delay",
    "is not mine": "asks for the order's number",
}
TONES = ["angry", "sad", "polite", "brief", "confused"]
OPENINGS = ["Hello, my", "The", "Once again: my", "I ordered in May. The"]
ENDINGS = ["", " What now?"]

with Path("rows.jsonl").open("w") as file:
    for thing, fault, tone, opening, ending in itertools.product(THINGS, CURES, TONES, OPENINGS, ENDINGS):
        complaint = f"{opening} {thing} {fault}.{ending} ({tone} customer)"
        rubric = f"apologizes once, names the {thing}, {CURES[fault]}, suits a customer who is {tone}"
        file.write(json.dumps({"complaint": complaint, "rubric": rubric}) + "\n")
