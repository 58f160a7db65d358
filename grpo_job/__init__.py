"""Unattended GRPO fine-tuning: environment variables in, a trained and measured LoRA adapter out.

Start reading in `job.py`, which tells one run from top to bottom. Nothing is imported here, so
that settings can be refused in milliseconds.
"""
