"""Judges JSON by its shape and by the words of the question: rows need no right answer."""

import json
import re

EXAMPLES = [("", 0.0), ("Sure! Here is your JSON.", 0.0), ("[1, 2]", 0.25), ('{"city": "Oslo"}', 0.25)]


def valid_order(completion, question):
    """Pays 0.25 for JSON, 0.5 for the right keys and types, and up to 1.0 for what was ordered."""
    try:
        order = json.loads(completion)
    except (ValueError, RecursionError):
        return 0.0
    if not has_shape(order):
        return 0.25
    wanted = {(int(count), name) for count, name in re.findall(r"(\d+) (\w+)", question)}
    given = {(item["count"], item["name"]) for item in order["items"]}
    right = len(wanted & given) / len(wanted | given)
    return 0.5 + 0.4 * right + 0.1 * question.endswith(f" to {order['city']}.")


def has_shape(order):
    """Whether it is {"city": text, "items": [{"count": number, "name": text}, ...]} and nothing more."""
    if not isinstance(order, dict) or set(order) != {"city", "items"} or not isinstance(order["items"], list):
        return False
    items_hold = all(
        isinstance(item, dict)
        and set(item) == {"count", "name"}
        and type(item["count"]) is int
        and isinstance(item["name"], str)
        for item in order["items"]
    )
    return isinstance(order["city"], str) and items_hold and bool(order["items"])
