"""GRPO_EXAMPLE: a worked example in the format asked for, at the end of the system prompt."""

AUTO, OFF = "auto", "off"

# A small model does not write tags that it was only told of.
WORKED = """For example, for the question "Tom has 3 apples and buys 4 more. How many has he?" respond:
<reasoning>
3 + 4 = 7
</reasoning>
<answer>
7
</answer>"""


def given(value: str) -> str:
    """The example that a setting gives; empty where the setting is `auto` or `off`."""
    return "" if value in (AUTO, OFF) else value


def joined(system_prompt: str, example: str) -> str:
    r"""The system message with the example; either may be empty.

    >>> joined("Use tags.\n", "For example ...")
    'Use tags.\n\nFor example ...'
    """
    if not example:
        return system_prompt
    return f"{system_prompt.rstrip()}\n\n{example.strip()}" if system_prompt.strip() else example.strip()
