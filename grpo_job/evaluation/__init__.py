"""Grades the same held-out prompts before and after training, and tests the difference."""
