"""A reward with a slope: a time that is nearly right earns nearly as much as the right one."""

import re

DAY = 24 * 60
EXAMPLES = [("", 0.0), ("in the evening", 0.0), ("<answer>25:00</answer>", 0.0)]  # checked before each run


def on_time(completion, answer, *, tolerance=60):
    """Pays 1.0 for the right time, less for each minute that it is off, 0.0 from `tolerance` minutes on."""
    told = re.findall(r"\b(\d{1,2}):(\d{2})\b", completion)
    if not told or int(told[-1][0]) > 23 or int(told[-1][1]) > 59:
        return 0.0
    hours, minutes = answer.split(":")
    apart = abs(60 * int(told[-1][0]) + int(told[-1][1]) - 60 * int(hours) - int(minutes))
    return max(0.0, 1.0 - min(apart, DAY - apart) / tolerance)
