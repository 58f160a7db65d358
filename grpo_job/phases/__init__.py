"""The verbs of the story in `job.py`, one file each."""
