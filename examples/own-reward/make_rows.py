"""Writes rows.csv: when does a train arrive that leaves at 14:35 and takes 1 h 50 min?"""

import csv
import random
from pathlib import Path

random.seed(1)
with Path("rows.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["problem", "arrival"])
    for start in random.sample(range(5 * 60, 22 * 60), 600):
        takes = random.randrange(35, 9 * 60)
        end = (start + takes) % (24 * 60)
        problem = f"A train leaves at {start // 60}:{start % 60:02} and takes {takes // 60} h {takes % 60} min."
        table.writerow([f"{problem} When does it arrive?", f"{end // 60}:{end % 60:02}"])
