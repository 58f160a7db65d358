"""The same held-out prompts before and after, and whether the difference is real."""
