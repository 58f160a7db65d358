"""Does the format pay without answers: the mean advantage of ways to answer, in simulated groups, by reward recipe.

python -m benchmarks.learning.format_hack

`plain` answers without tags, `hack` writes the tags around one constant, `honest` writes the tags around its answer.
Above 0 a way to answer is learned. The figures are of single updates; they choose what to try, not what is best.
"""

import random
from collections.abc import Mapping
from statistics import fmean, stdev
from typing import NamedTuple

from grpo_job import rewards
from grpo_job.rewards.tags import in_format
from grpo_job.settings.reader import resolve

RIGHT = {"plain": 0.10, "hack": 0.02, "honest": 0.12}  # shares of right answers: a small model on GSM8K
STAGES = {
    "no format yet": {"plain": 0.90, "hack": 0.06, "honest": 0.04},
    "format known": {"plain": 0.0, "hack": 0.5, "honest": 0.5},
}
GROUP, BATCH, GROUPS = 8, 8, 8_000
GOLD = "72"


class Recipe(NamedTuple):
    """GRPO_REWARDS, and what GRPO_SCALE_REWARDS divides by: the std of the group, of the batch, or nothing."""

    rewards: str
    scale: str = "group"


RECIPES = (
    Recipe("correct:2,format_tags:0.5,tag_count:0.5"),
    Recipe("correct:2,format_tags:0.1,tag_count:0.1"),
    Recipe("correct:2,format_tags:0.1,tag_count:0.1", "batch"),
    Recipe("correct:2,format_tags:0.1,tag_count:0.1", "none"),
    Recipe("correct_anywhere:1,correct:1"),
    Recipe("correct_anywhere:1,correct:1,format_tags:0.1", "batch"),
    Recipe("correct_anywhere:1,correct:1,format_tags:0.1", "none"),
)


def advantages(recipe: Recipe, shares: Mapping[str, float], *, groups: int = GROUPS, seed: int = 1) -> dict[str, float]:
    """The mean advantage of each way to answer."""
    draw, earned = random.Random(seed), _earnings(recipe)
    found: dict[str, list[float]] = {way: [] for way, share in shares.items() if share}
    for _ in range(groups // BATCH):
        ways = [draw.choices(list(shares), list(shares.values()), k=GROUP) for _ in range(BATCH)]
        paid = [[earned[way, draw.random() < RIGHT[way]] for way in group] for group in ways]
        whole = [value for group in paid for value in group]
        for group, values in zip(ways, paid, strict=True):
            scale = {"group": values, "batch": whole}.get(recipe.scale)
            divisor = stdev(scale) + 1e-4 if scale else 1.0
            for way, value in zip(group, values, strict=True):
                found[way].append((value - fmean(values)) / divisor)
    return {way: fmean(values) for way, values in found.items()}


def _earnings(recipe: Recipe) -> dict[tuple[str, bool], float]:
    """What a completion earns by how it answers and whether that is right, from the rewards themselves."""
    chosen = rewards.load(resolve({"GRPO_REWARDS": recipe.rewards}).settings.rewards)
    texts = {
        (way, right): answer if way == "plain" else in_format("I think", answer)
        for way in RIGHT
        for right, answer in ((True, GOLD), (False, "5"))
    }
    return {
        key: sum(reward.weight * (reward.function(text, GOLD) or 0.0) for reward in chosen)
        for key, text in texts.items()
    }


def main() -> None:
    """Print a Markdown table, a row a recipe."""
    print("| rewards | scale | " + " | ".join(f"{stage}: hack, honest" for stage in STAGES) + " |")
    print("| --- | --- |" + " --- |" * len(STAGES))
    for recipe in RECIPES:
        found = [advantages(recipe, shares) for shares in STAGES.values()]
        cells = [f"{each['hack']:+.2f}, {each['honest']:+.2f}" for each in found]
        print(f"| `{recipe.rewards}` | {recipe.scale} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
