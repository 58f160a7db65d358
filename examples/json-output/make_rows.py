"""Writes rows.jsonl: orders in plain words. Nobody writes down the right JSON."""

import json
import random
from pathlib import Path

NAMES = ["mugs", "plates", "bowls", "forks", "lamps", "chairs"]
CITIES = ["Oslo", "Lima", "Cairo", "Turin", "Perth", "Quito"]

random.seed(1)
orders = set()
while len(orders) < 600:
    parts = [f"{random.randint(2, 40)} {name}" for name in random.sample(NAMES, random.randint(1, 3))]
    orders.add(f"Please send {' and '.join(parts)} to {random.choice(CITIES)}.")
Path("rows.jsonl").write_text("".join(json.dumps({"order": order}) + "\n" for order in sorted(orders)))
